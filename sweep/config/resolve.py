"""Configs from several sources, merged and checked.

The sources, from the lowest to the highest: a preset (`classic` by default), a config file,
options of the command line in their order. The higher one wins, key by key: a file needs only
the keys that differ. A file with a search space replaces the entire space; `--set space.NAME=…`
replaces one of its dimensions, and `null` removes it. The higher source also decides whether a
hyperparameter is fixed or searched: `recipe.dropout` in a file ends the search of `dropout` in
the preset, and vice versa; both in one source are an error. An initial point loses the values
that a higher source fixes, and is left out if it is outside a range that a higher source gives.
"""

import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis.errors import describe_cause
from analysis.formatting import printable
from analysis.hyperparameters import HYPERPARAMETERS, is_own_argument, own_arguments, show_value
from data_utils.registry import is_path
from models import own
from sweep.config.dimensions import Location
from sweep.config.document import Source, read_file, read_setting, read_yaml
from sweep.config.messages import describe, suggest
from sweep.config.sweep_config import SweepConfig
from sweep.errors import UsageError

PRESETS = ("quick", "classic", "best")


def resolve_config(
    *,
    preset: str | None = None,
    path: Path | None = None,
    settings: Sequence[str] = (),
    trials: int | None = None,
    time_budget: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    dataset: str | None = None,
    notify: Callable[[str], None] = lambda note: None,
) -> SweepConfig:
    """Return the preset, overridden by the file, overridden by the command line.

    `settings` are the values of `--set`, in order. `notify` receives notes about settings that
    are valid but may surprise, one sentence each. UsageError if the preset, the file or an option
    is invalid, NetworkError if the network of the user's own cannot be used.
    """
    layers = _Layers()
    preset = preset or "classic"
    layers.add(read_yaml(preset_text(preset), f"preset {preset}"))
    if path is not None:
        if str(path) in PRESETS and not path.exists():
            advice = f"to use the preset: --preset {path}; to see it: sweep preset {path}"
            raise UsageError(f"there is no config file {path}; {advice}")
        layers.add(read_file(path))
    for setting in settings:
        layers.add(read_setting(setting))
    given: dict[str, Any] = {"trials": trials, "time_budget": time_budget}
    given |= {"epochs": epochs, "seed": seed, "dataset": dataset}
    for key, value in given.items():
        if value is not None:
            option = key.replace("_", "-")
            layers.add(Source(f"--{option} {value}", value, {(key,): 0}))
    layers.read_network()
    left_out: dict[int, str] = {}
    context = {"newer": layers.newer, "left_out": left_out}
    try:
        config = SweepConfig.model_validate(layers.value, context=context)
    except ValidationError as error:
        raise UsageError("\n".join(layers.explain(error))) from None
    for i, reason in left_out.items():
        source, at = layers.find(("initial_points", i))
        notify(f"an initial point is left out: {reason} ({source.mark(at)})")
    for note in (*layers.notes, *config.notes()):
        notify(note)
    if not is_path(config.dataset):
        return config
    # The sweep may be resumed from another folder.
    try:
        folder = layers.find(("dataset",))[0].folder
        path = (folder / Path(config.dataset).expanduser()).absolute()
        path = path.resolve() if ".." in path.parts else path
        str(path).encode()
    except (RuntimeError, UnicodeEncodeError) as error:
        why = error if isinstance(error, RuntimeError) else "its path must be UTF-8"
        raise UsageError(f"invalid `dataset` {printable(config.dataset)}: {why}") from None
    return config.model_copy(update={"dataset": str(path)})


def preset_text(name: str) -> str:
    """Return a preset's file; UsageError if there is no such preset."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset `{printable(name)}`{suggest(name, PRESETS)}")
    return (files("sweep") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


class _Layers:
    """Sources merged into one config.

    `newer` has the hyperparameters that a source above that of the initial points fixes or
    searches.
    """

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.newer: set[str | int] = set()
        self.notes: list[str] = []
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Merge a source, which overrides those before it."""
        self._sources.append(source)
        old_scheduler = self.value.get("scheduler")
        path = min(source.lines, key=len)
        if path:
            self.value = _replace(self.value, path, source.value)
        else:
            for key, value in source.value.items():
                old: Any = self.value.get(key)
                is_merged = isinstance(value, dict) and isinstance(old, dict) and key != "space"
                self.value[key] = {**old, **value} if is_merged else value
        scheduler = self.value.get("scheduler")
        if isinstance(scheduler, str | None):  # the same one keeps its parameters
            name, old = scheduler or "none", old_scheduler
            is_same = isinstance(old, dict) and old.get("name") == name
            self.value["scheduler"] = old if is_same else {"name": name}
        self._fix_or_search(source)

    def find(self, location: Location) -> tuple[Source, Location]:
        """Return the highest source that gives a value, and the value's location.

        If no source gives it, they are those of the smallest section around it. If a higher source
        replaced a section by a plain value, lower sources do not count.
        """
        found, at = self._sources[-1], location[:0]
        for source in reversed(self._sources):
            for n in range(len(location), len(at), -1):
                given = [line for line in source.lines if line[:n] == location[:n]]
                if given:
                    found, at = source, location[:n]
                    if given == [at]:
                        return found, at
                    break
        return found, at

    def explain(self, error: ValidationError) -> list[str]:
        """Return what pydantic found wrong, one line per problem, in the order of the sources."""
        lines = []
        for problem in error.errors(include_url=False):
            location = problem["loc"]
            source, at = self.find(location[:-1] if problem["type"] == "missing" else location)
            order = self._sources.index(source), source.lines.get(at, 0)
            option = "--set " if source.name.startswith("--set ") else ""
            lines.append((order, f"{describe(problem, option)} ({source.mark(at)})"))
        return [text for _, text in sorted(lines, key=lambda line: line[0])]

    def read_network(self) -> None:
        """Read the network of the user's own that the config names, and check its arguments."""
        model = self.value.get("model")
        source, at = self.find(("model",))
        found = re.fullmatch(r"(.*\.py)(?::(.*))?", model) if isinstance(model, str) else None
        if found is None:
            return self._check_arguments(None)
        path, name = Path(found[1]), found[2] or ""
        mark, shown = source.mark(at), printable(found[1], 500)
        if not name.isidentifier():
            got = f"but got {show_value(model)} ({mark})"
            raise UsageError(f"`model` must name a class or function, such as net.py:Net, {got}")
        try:
            text = (source.folder / path.expanduser()).read_bytes()
        except FileNotFoundError:
            raise UsageError(f"there is no file {shown} of a network ({mark})") from None
        except (OSError, RuntimeError, ValueError) as error:
            cause = describe_cause(error) if isinstance(error, OSError) else error
            raise UsageError(f"cannot read {shown}: {cause} ({mark})") from None
        self.value["model"] = f"model.py:{name}@{own.register(text, shown)}"
        try:
            make = own.find(self.value["model"])
            self._check_arguments(make)
            both = [self.value.get(key) for key in ("space", "recipe")]
            sections = [section for section in both if isinstance(section, dict)]
            given = [name for section in sections for name in own_arguments(section)]
            own.check_arguments(self.value["model"], given)
        except own.NetworkError as error:
            raise own.NetworkError(f"{error} ({mark})") from None
        if not own.takes(make, "dropout") and any(s.get("dropout") for s in sections):
            self.add(read_setting("recipe.dropout=0"))
            self.notes.append(f"`dropout` is not used: `{name}` of {shown} does not take it")
        return None

    def _check_arguments(self, make: Callable[..., Any] | None) -> None:
        """Check that the network takes each `model.X` that the config gives."""
        for key in ("space", "recipe"):
            section = self.value.get(key)
            for name in own_arguments(section) if isinstance(section, dict) else ():
                source, at = self.find((key, f"model.{name}"))
                what = f"`{key}.model.{name}`"
                if make is None:
                    text = f"{what} is for a network of your own: `model: FILE.py:NAME`"
                elif name in own.GIVEN:
                    text = f"{what} is set by the data"
                    if name == "dropout":
                        text = f"{what} is called `dropout`, without `model.`"
                elif not own.takes(make, name):
                    names = [n for n in own.parameters_of(make) if n not in own.GIVEN]
                    text = f"{what}: `{make.__name__}` takes no `{name}`{suggest(name, names)}"
                else:
                    continue
                raise UsageError(f"{text} ({source.mark(at)})")

    def _fix_or_search(self, source: Source) -> None:
        """Leave each hyperparameter of a source either fixed or searched."""
        space, recipe = self.value.get("space"), self.value.get("recipe")
        if not isinstance(space, dict) or not isinstance(recipe, dict):
            return  # `SweepConfig` rejects it
        given = [(at[0], str(at[1])) for at in source.lines if at[1:]]
        known = [at for at in given if at[1] in HYPERPARAMETERS or is_own_argument(at[1])]
        fixed, searched = ({name for k, name in known if k == key} for key in ("recipe", "space"))
        for name in sorted(fixed & searched):
            marks = " and ".join(source.mark((key, name)) for key in ("recipe", "space"))
            both = f"`{name}` is fixed in `recipe` and searched in `space`"
            raise UsageError(f"{both}: keep one of them ({marks})")
        ended = (fixed - searched) | {name for name in searched if space.get(name) is None}
        self.value["space"] = {name: v for name, v in space.items() if name not in ended}
        self.value["recipe"] = {
            name: v for name, v in recipe.items() if name in ended or name not in searched
        }
        self.newer |= fixed | searched
        if ("space",) in source.lines:
            self.newer |= HYPERPARAMETERS.keys()
        if ("initial_points",) in source.lines:
            self.newer.clear()


def _replace(value: Any, path: Location, new: Any) -> Any:
    """Return a copy of nested mappings with one value replaced."""
    if not path:
        return new
    inner = value if isinstance(value, dict) else {}
    return {**inner, path[0]: _replace(inner.get(path[0]), path[1:], new)}
