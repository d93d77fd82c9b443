"""Configs from files, presets and the command line, laid over each other and checked.

From the lowest layer to the highest: a preset (`classic`, if none is named), a config file,
the command line. The higher one wins, key by key: a file need only say what differs. Only
the search space is replaced as a whole by a file that has one; `--set space.NAME=…` replaces
one of its dimensions, and `null` takes it out. Whether a hyperparameter is fixed or searched
is for the higher one to say, too: `recipe.dropout` in a file ends the search of `dropout` in
the preset, and the other way round; both in one layer are refused. Points of `first` from a
lower layer are fitted to what the higher ones say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from sweep.config.layers import fit_first, settle
from sweep.config.messages import explain
from sweep.config.reading import MOST_CHARACTERS, read_yaml
from sweep.config.sweep_config import SweepConfig
from sweep.config.tree import Node, merge, put
from sweep.config.wording import did_you_mean, first_few, printable, shown
from sweep.errors import UsageError

PRESETS = ("quick", "classic", "best")
DEFAULT_PRESET = "classic"

_MOST_BYTES = 4 * MOST_CHARACTERS
_DEEPEST_KEY = 8
_PRESET_LAYER, _FILE_LAYER, _OPTION_LAYER = range(3)

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Overrides:
    """What the command line sets.

    Attributes:
        settings: `KEY=VALUE` each, in order: a dotted key, and a value in YAML that replaces
            whatever is there; `space.NAME=null` ends the search of a hyperparameter.
        trials: The option `--trials`, if it was given.
        epochs: The option `--epochs`, if it was given.
        seed: The option `--seed`, if it was given.
    """

    settings: Sequence[str] = ()
    trials: int | None = None
    epochs: int | None = None
    seed: int | None = None


def _keep_quiet(note: str) -> None:
    """Ignores a note."""


def resolve_config(
    *,
    preset: str | None = None,
    path: Path | None = None,
    overrides: Overrides = Overrides(),
    notify: Notify = _keep_quiet,
) -> SweepConfig:
    """Returns the config for the options `--preset`, `--config` and those that override.

    Args:
        preset: A preset's name; `classic` if left out.
        path: A file to lay over the preset.
        overrides: What to lay over both.
        notify: Is told what is allowed and may surprise, a sentence at a time.

    Raises:
        UsageError: Something is wrong with what was given.
    """
    name = preset or DEFAULT_PRESET
    if path is None:
        return load_preset(name, overrides=overrides, notify=notify)
    return read_config_file(path, preset=name, overrides=overrides, notify=notify)


def preset_text(name: str) -> str:
    """Returns a preset's file.

    Raises:
        UsageError: There is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no preset `{printable(name)}`{did_you_mean(name, PRESETS)}")
    return (files("sweep") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def load_preset(
    name: str, *, overrides: Overrides = Overrides(), notify: Notify = _keep_quiet
) -> SweepConfig:
    """Returns a preset's config.

    Raises:
        UsageError: There is no such preset, or something is wrong with the overrides.
    """
    return _checked(_override(_read_preset(name), overrides), notify)


def load_config(
    text: str,
    source_name: str,
    *,
    preset: str = DEFAULT_PRESET,
    overrides: Overrides = Overrides(),
    notify: Notify = _keep_quiet,
) -> SweepConfig:
    """Returns the config in a text, laid over a preset.

    What `SweepConfig.to_yaml` returns comes out equal, whichever the preset.

    Args:
        text: The config, in YAML.
        source_name: What messages call it.
        preset: What it is laid over.
        overrides: What is laid over it.
        notify: Is told what is allowed and may surprise, a sentence at a time.

    Raises:
        UsageError: Something is wrong with the text; it says what, and on which line.
    """
    source = printable(source_name, 500)
    tree = read_yaml(text, source, layer=_FILE_LAYER)
    if tree.value is None:
        example = "such as `trials: 8`"
        raise UsageError(f"{source} is empty: say what differs from a preset, {example}")
    if not isinstance(tree.value, dict):
        what = f"must be a mapping, such as `trials: 8`, but got {shown(tree.to_plain())}"
        raise UsageError(f"a config {what} ({tree.where})")
    merged = merge(_read_preset(preset), tree)
    return _checked(_override(merged, overrides), notify)


def read_config_file(
    path: Path,
    *,
    preset: str = DEFAULT_PRESET,
    overrides: Overrides = Overrides(),
    notify: Notify = _keep_quiet,
) -> SweepConfig:
    """Returns the config in a file, as `load_config` does.

    Raises:
        UsageError: The file cannot be read, is not UTF-8, or something is wrong with it.
    """
    source = printable(str(path), 500)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise UsageError(f"there is no config file {source}") from None
    except IsADirectoryError:
        raise UsageError(f"{source} is a folder, not a config file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read the config file {source}: {reason}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"a config must be text in UTF-8 ({source}:{line})") from None
    return load_config(text, str(path), preset=preset, overrides=overrides, notify=notify)


def apply_settings(tree: Node, settings: Sequence[str], *, layer: int = _OPTION_LAYER) -> Node:
    """Returns a config's tree with `KEY=VALUE` settings applied in order.

    Raises:
        UsageError: A setting is not of that form, or its value is not YAML.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        keys = key.strip().split(".")
        source = printable(f"--set {setting}")
        if not equals or not all(keys):
            raise UsageError(f"`--set` takes KEY=VALUE, such as `trials=8` ({source})")
        if len(keys) > _DEEPEST_KEY:
            raise UsageError(f"no key has so many parts ({source})")
        value = read_yaml(text, source, layer=layer, has_lines=False)
        tree = put(tree, keys, value)
    return tree


@cache
def _read_preset(name: str) -> Node:
    return read_yaml(preset_text(name), f"preset {name}", layer=_PRESET_LAYER)


def _override(tree: Node, overrides: Overrides) -> Node:
    tree = apply_settings(tree, overrides.settings)
    for key in ("trials", "epochs", "seed"):
        value = getattr(overrides, key)
        if value is not None:
            tree = put(tree, [key], Node(value, f"--{key} {value}", layer=_OPTION_LAYER))
    return tree


def _checked(tree: Node, notify: Notify) -> SweepConfig:
    settled, problems = settle(tree)
    fitted, notes = fit_first(settled, tree)
    try:
        config = SweepConfig.model_validate(fitted.to_plain())
    except ValidationError as error:
        problems += explain(error, fitted)
    if problems:
        raise UsageError(first_few(problems))
    for note in (*notes, *config.notes()):
        notify(note)
    return config
