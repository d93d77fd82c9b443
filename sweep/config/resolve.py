"""Configs from presets, files and the command line, laid over each other and checked.

The layers, from the lowest to the highest: a preset (`classic` by default), a config file,
options of the command line. The higher layer wins, key by key: a file need only say what
differs. Only the search space is replaced as a whole by a file that has one;
`--set space.NAME=…` replaces one of its dimensions, and `null` removes it. Whether a
hyperparameter is fixed or searched is decided by the higher layer, too: `recipe.dropout` in a
file ends the search of `dropout` in the preset, and the other way round; both in one layer are
an error. Initial points of a lower layer are fitted to what the higher layers say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from analysis.formatting import printable
from analysis.hyperparameters import HYPERPARAMETERS, show_value
from sweep.config.dimensions import Point, Space
from sweep.config.document import MAX_CHARACTERS, Document, Mark, raise_problems, read_yaml
from sweep.config.messages import explain, suggest
from sweep.config.sweep_config import RENAMED, SweepConfig
from sweep.errors import UsageError

PRESETS = ("quick", "classic", "best")
DEFAULT_PRESET = "classic"

_PRESET_LAYER, _FILE_LAYER, _OPTION_LAYER = range(3)
_SPACE: TypeAdapter[Any] = TypeAdapter(Space)
_POINTS: TypeAdapter[Any] = TypeAdapter(list[Point])

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Overrides:
    """What the command line sets.

    Attributes:
        settings: `KEY=VALUE` each, in order: a dotted key, and a value in YAML that replaces
            what is there; `space.NAME=null` ends the search of a hyperparameter.
        trials: Value of the option `--trials`, if it was given.
        epochs: Value of the option `--epochs`, if it was given.
        seed: Value of the option `--seed`, if it was given.
    """

    settings: Sequence[str] = ()
    trials: int | None = None
    epochs: int | None = None
    seed: int | None = None


def resolve_config(
    *,
    preset: str | None = None,
    path: Path | None = None,
    overrides: Overrides = Overrides(),
    notify: Notify = lambda note: None,
) -> SweepConfig:
    """Return the config for the options `--preset`, `--config` and those that override.

    Args:
        preset: Name of a preset; None for `classic`.
        path: File to lay over the preset.
        overrides: What to lay over both.
        notify: Receives what is allowed but may surprise, one sentence at a time.

    Raises:
        UsageError: Something is wrong with what was given.
    """
    document = _read_preset(preset or DEFAULT_PRESET)
    if path is not None:
        _lay_over(document, _read_file(_read_text(path), _name(path)))
    return _resolve(document, overrides, notify)


def load_config(
    text: str,
    source_name: str,
    *,
    preset: str = DEFAULT_PRESET,
    overrides: Overrides = Overrides(),
    notify: Notify = lambda note: None,
) -> SweepConfig:
    """Return the config in a text that messages call `source_name`, laid over a preset.

    The text of `SweepConfig.to_yaml` gives an equal config, whichever the preset.

    Raises:
        UsageError: Something is wrong with the text; it says what, and on which line.
    """
    document = _read_preset(preset)
    _lay_over(document, _read_file(text, printable(source_name, 500)))
    return _resolve(document, overrides, notify)


def preset_text(name: str) -> str:
    """Return a preset's file.

    Raises:
        UsageError: There is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no preset `{printable(name)}`{suggest(name, PRESETS)}")
    return (files("sweep") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def _name(path: Path) -> str:
    return printable(str(path), 500)


def _read_preset(name: str) -> Document:
    return _parse_preset(name).part()


@cache
def _parse_preset(name: str) -> Document:
    return read_yaml(preset_text(name), f"preset {name}", layer=_PRESET_LAYER)


def _read_text(path: Path) -> str:
    source = _name(path)
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS)
    except FileNotFoundError:
        raise UsageError(f"there is no config file {source}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read the config file {source}: {reason}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"a config must be text in UTF-8 ({source}:{line})") from None


def _read_file(text: str, source: str) -> Document:
    document = read_yaml(text, source, layer=_FILE_LAYER)
    if document.value is None:
        raise UsageError(f"{source} is empty: write what differs from a preset, as `trials: 8`")
    if not isinstance(document.value, dict):
        got = f"but got {show_value(document.value)} ({document.mark(())})"
        raise UsageError(f"a config must be a mapping, such as `trials: 8`, {got}")
    return document


def _lay_over(document: Document, upper: Document) -> None:
    for key, value in upper.value.items():
        name = RENAMED.get(key, key)
        if name != key and name in upper.value:
            raise UsageError(f"`{key}` is now called `{name}`: keep one ({upper.mark((key,))})")
        is_merged = isinstance(value, dict) and isinstance(document.value.get(name), dict)
        if is_merged and name != "space":
            for inner in value:
                document.set_path((name, inner), upper.part(key, inner))
        else:
            document.set_path((name,), upper.part(key))


def _resolve(document: Document, overrides: Overrides, notify: Notify) -> SweepConfig:
    for setting in overrides.settings:
        key, equals, text = setting.partition("=")
        path = [part.strip() for part in key.split(".")]
        source = printable(f"--set {setting}")
        if not equals or not all(path) or len(path) > 4:
            raise UsageError(f"`--set` takes KEY=VALUE, such as `trials=8` ({source})")
        path[0] = RENAMED.get(path[0], path[0])
        value = read_yaml(text, source, layer=_OPTION_LAYER, has_lines=False)
        document.set_path(path, value)
    for key in ("trials", "epochs", "seed"):
        if (number := getattr(overrides, key)) is not None:
            mark = Mark(f"--{key} {number}", layer=_OPTION_LAYER)
            document.set_path([key], Document(number, {(): mark}))
    layers = {name: _newest_layer(document, name) for name in HYPERPARAMETERS}
    problems = _fix_or_search(document)
    notes = _fit_points(document, layers)
    try:
        config = SweepConfig.model_validate(document.value)
    except ValidationError as error:
        problems += explain(error, document)
    raise_problems(problems)
    for note in (*notes, *config.notes()):
        notify(note)
    return config


def _newest_layer(document: Document, name: str) -> int:
    """Return the highest layer that says whether and how a hyperparameter is searched."""
    entries = (document.newest_layer((section, name)) for section in ("space", "recipe"))
    return max(document.mark(("space",)).layer, *entries)


def _fix_or_search(document: Document) -> list[str]:
    """Leave each hyperparameter either fixed or searched, as the higher layer says.

    Returns:
        A sentence for each hyperparameter that one layer both fixes and searches.
    """
    space, recipe = document.value.get("space"), document.value.get("recipe")
    problems = []
    for name in [n for n in HYPERPARAMETERS if isinstance(space, dict) and n in space]:
        searched, fixed = ("space", name), ("recipe", name)
        if space[name] is None:
            document.drop(searched)
        elif isinstance(recipe, dict) and name in recipe:
            above = document.newest_layer(fixed) - document.newest_layer(searched)
            if above == 0:
                marks = f"{document.mark(fixed)} and {document.mark(searched)}"
                both = f"`{name}` is fixed in `recipe` and searched in `space`"
                problems.append(f"{both}: keep one of them ({marks})")
            document.drop(searched if above > 0 else fixed)
    return problems


def _fit_points(document: Document, layers: dict[str, int]) -> list[str]:
    """Fit the initial points to what higher layers than theirs say.

    A point loses the names that a higher layer no longer searches. It is left out if it lies
    outside a range of a higher layer.

    Returns:
        A sentence for each point that was left out.
    """
    path = ("initial_points",)
    try:
        space = _SPACE.validate_python(document.value.get("space"))
        points = _POINTS.validate_python(document.value.get(*path))
    except ValidationError:
        return []  # the check that follows says why
    newer = {name for name in layers if layers[name] > document.newest_layer(path)}
    kept, notes = Document([], {(): document.mark(path)}), []
    for i, point in enumerate(points):
        values = {k: v for k, v in point.items() if k in space or k not in newer}
        mark = document.mark((*path, i))
        for name in newer & values.keys():
            if (reason := space[name].why_invalid(values[name])) is not None:
                notes.append(f"an initial point is left out: `{name}` {reason} ({mark})")
                break
        else:
            if values or not point:
                kept.marks[len(kept.value),] = mark
                kept.value.append(values)
    document.set_path(path, kept)
    return notes
