"""Configs from presets, files and the command line, laid over each other and checked.

See `sweep.config.layers` for what wins.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from analysis.formatting import printable
from analysis.hyperparameters import show_value
from sweep.config.document import MAX_CHARACTERS, Source, read_yaml
from sweep.config.layers import Stack
from sweep.config.messages import explain, suggest
from sweep.config.registry import RENAMED
from sweep.config.sweep_config import SweepConfig
from sweep.errors import UsageError

PRESETS = ("quick", "classic", "best")
DEFAULT_PRESET = "classic"


@dataclass(frozen=True)
class Overrides:
    """What the command line sets: `settings` are the values of `--set`, in order."""

    settings: Sequence[str] = ()
    trials: int | None = None
    epochs: int | None = None
    seed: int | None = None


def resolve_config(
    *,
    preset: str | None = None,
    path: Path | None = None,
    overrides: Overrides = Overrides(),
    notify: Callable[[str], None] = lambda note: None,
) -> SweepConfig:
    """Return the preset, overridden by the file, overridden by the command line.

    `notify` receives what is allowed but may surprise, one sentence at a time.

    Raises:
        UsageError: Something is wrong with what was given.
    """
    stack = Stack()
    stack.add(_read_preset(preset or DEFAULT_PRESET))
    if path is not None:
        stack.add(_read_file(path))
    for source in _read_options(overrides):
        stack.add(source)
    left_out: dict[int, str] = {}
    context = {"newer": stack.newer, "left_out": left_out}
    try:
        config = SweepConfig.model_validate(stack.value, context=context)
        problems = stack.problems
    except ValidationError as error:
        problems = [*stack.problems, *explain(error, stack)]
    if problems:
        raise UsageError("\n".join(problems))
    for i, reason in left_out.items():
        source, at = stack.find(("initial_points", i))
        notify(f"an initial point is left out: {reason} ({source.mark(at)})")
    for note in config.notes():
        notify(note)
    return config


def preset_text(name: str) -> str:
    """Return a preset's file.

    Raises:
        UsageError: There is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no preset `{printable(name)}`{suggest(name, PRESETS)}")
    return (files("sweep") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def _read_preset(name: str) -> Source:
    return read_yaml(preset_text(name), f"preset {name}")


def _read_file(path: Path) -> Source:
    name = printable(str(path), 500)
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no config file {name}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"a config must be text in UTF-8 ({name}:{line})") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read the config file {name}: {reason}") from None
    source = read_yaml(text, name)
    if source.value is None:
        raise UsageError(f"{name} is empty: write what differs from a preset, as `trials: 8`")
    if not isinstance(source.value, dict):
        got = f"but got {show_value(source.value)} ({source.mark(())})"
        raise UsageError(f"a config must be a mapping, such as `trials: 8`, {got}")
    return source


def _read_options(overrides: Overrides) -> Iterator[Source]:
    for setting in overrides.settings:
        key, equals, text = setting.partition("=")
        first, *rest = (part.strip() for part in key.split("."))
        at = (RENAMED.get(first, first), *rest)
        name = printable(f"--set {setting}")
        if not equals or not all(at) or len(at) > 4:
            raise UsageError(f"`--set` takes KEY=VALUE, such as `trials=8` ({name})")
        yield read_yaml(text, name, at)
    for key in ("trials", "epochs", "seed"):
        if (value := getattr(overrides, key)) is not None:
            yield Source(f"--{key} {value}", value, {(key,): 0})
