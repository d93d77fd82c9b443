"""Error messages about a config."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

from analysis.formatting import printable
from analysis.hyperparameters import HYPERPARAMETERS, show_value
from sweep.config.dimensions import FloatRange, Location, Section
from sweep.config.sweep_config import Confirm, Resources, Scheduler, SweepConfig

_SECTIONS: dict[str, type[Section]] = {
    "scheduler": Scheduler,
    "resources": Resources,
    "confirm": Confirm,
}
_PHRASES = {
    "a valid tuple": "a list",
    "a valid integer": "an integer",
    "a valid": "a",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    " after validation": "",
}
_SYNONYMS = {"lr": "learning_rate", "wd": "weight_decay", "warmup": "warmup_epochs"}


def describe(problem: Any) -> str:
    """Return a problem that pydantic found in a config as a sentence."""
    location: Location = problem["loc"]
    steps = (f"[{s}]" if isinstance(s, int) else f".{printable(s)}" for s in location)
    return f"`{''.join(steps).removeprefix('.')}` {_what_is_wrong(problem, location)}"


def suggest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean …?`, or all names where none is close."""
    known = list(names)
    meant = _SYNONYMS.get(name.lower())
    close = difflib.get_close_matches(name[:60].lower(), known, n=1)
    if meant in known or close:
        return f"; did you mean `{meant if meant in known else close[0]}`?"
    return f"; choose from {', '.join(known)}"


def _what_is_wrong(problem: Any, location: Location) -> str:
    name, value = str(location[-1]), problem["input"]
    match problem["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return _unknown(location)
        case "rejected":
            return str(problem["msg"])
        case "value_error":
            is_range = location[0] == "recipe" and isinstance(value, dict | list)
            hint = "; a range belongs in `space`" if is_range else ""
            return str(problem["ctx"]["error"]) + hint
        case "model_type" | "dict_type":
            must = "must be a mapping"
            must += " or `none`" if name in ("scheduler", "confirm") else ""
        case _:
            must = re.sub(r"^\w+ should", "must", problem["msg"])
            for theirs, ours in _PHRASES.items():
                must = must.replace(theirs, ours)
    return f"{must}, but got {show_value(value)}"


def _unknown(location: Location) -> str:
    name, section = str(location[-1]), str(location[0])
    if len(location) == 1:
        meant = _SYNONYMS.get(name.lower(), name)
        if meant in HYPERPARAMETERS:
            return f"is unknown: write `recipe.{meant}` to fix it, or `space.{meant}` to search it"
        return "is unknown" + suggest(name, SweepConfig.model_fields)
    if section in _SECTIONS:
        names: Iterable[str] = _SECTIONS[section].model_fields
    elif section == "space" and len(location) > 2:
        names = [*FloatRange.model_fields, "choices"]
    else:
        names = HYPERPARAMETERS
    if name in SweepConfig.model_fields and name not in names:
        return "belongs at the top level"
    return "is unknown" + suggest(name, names)
