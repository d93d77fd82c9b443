"""Error messages about a config."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from analysis.formatting import printable
from analysis.hyperparameters import HYPERPARAMETERS, show_value
from sweep.config.dimensions import FloatRange, Location, Section
from sweep.config.sweep_config import Confirm, Resources, Scheduler, SweepConfig
from sweep.errors import UsageError

S = TypeVar("S", bound=Section)

_SECTIONS: dict[str, type[Section]] = {
    "scheduler": Scheduler,
    "resources": Resources,
    "confirm": Confirm,
}
_PHRASES = {
    ", unable to parse string as an integer": "",
    "a valid tuple": "a list",
    "a valid integer": "an integer",
    "a valid": "a",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    " after validation": "",
}
# For each name the words that other tools have for it, or this one elsewhere.
_SYNONYMS = {
    word: name
    for name, words in {
        "dropout": "drop dropout_rate dropout_p",
        "rotation": "rot rotate degrees angle",
        "shift": "translate translation",
        "weight_decay": "wd l2 decay",
        "batch_size": "bs batch batchsize",
        "learning_rate": "lr",
        "schedule": "lr_schedule lr_scheduler",
        "warmup_epochs": "warmup warm_up",
        "trials": "n_trials num_trials num_samples count run_cap",
        "epochs": "n_epochs num_epochs max_epochs max_t",
        "searcher": "sampler search_alg algorithm method oracle",
        "scheduler": "pruner early_terminate early_stopping",
        "space": "search_space param_space parameters params",
        "initial_points": "points_to_evaluate init_points enqueue",
        "model": "network net arch architecture",
        "recipe": "fixed hyperparameters config",
        "seed": "random_seed random_state",
        "dataset": "data",
        "cpu": "cpus",
        "gpu": "gpus",
        "seeds": "n_seeds",
        "top_k": "k",
        "reduction_factor": "eta",
        "grace_period": "min_t min_resource",
        "low": "min",
        "high": "max",
        "choices": "values categorical",
        "step": "q",
        "log": "log_uniform",
    }.items()
    for word in words.split()
}


def describe(problem: Any, option: str = "") -> str:
    """Return a problem that pydantic found in a config as a sentence.

    `option` is `--set ` if that option gave the value, else empty.
    """
    location: Location = problem["loc"]
    steps = (f"[{s}]" if isinstance(s, int) else f".{printable(s)}" for s in location)
    return f"`{''.join(steps).removeprefix('.')}` {_what_is_wrong(problem, location, option)}"


def checked(kind: type[S], values: Mapping[str, Any]) -> S:
    """Return a section of a config with these values; UsageError names the first that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UsageError(describe(error.errors(include_url=False)[0])) from None


def suggest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean …?`, or all names where none is close; nothing if there are none."""
    if not (known := list(names)):
        return ""
    return _similar(name, known) or f"; choose from {', '.join(known)}"


def _similar(name: str, known: list[str]) -> str:
    meant = _SYNONYMS.get(name.lower())
    close = difflib.get_close_matches(name[:60].lower(), known, n=1)
    if meant in known or close:
        return f"; did you mean `{meant if meant in known else close[0]}`?"
    return ""


def find_key(word: str) -> str | None:
    """Return the key of a config that a word means, such as `recipe.learning_rate` for `lr`."""
    for name in (word.lower(), _SYNONYMS.get(word.lower(), "")):
        if name in SweepConfig.model_fields:
            return name
        if name in HYPERPARAMETERS:
            return f"recipe.{name}"
        for section, model in _SECTIONS.items():
            if name in model.model_fields:
                return f"{section}.{name}"
    return None


def _what_is_wrong(problem: Any, location: Location, option: str) -> str:
    name, value = str(location[-1]), problem["input"]
    match problem["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return _unknown(location, value, option)
        case "rejected":
            return str(problem["msg"])
        case "value_error":
            is_range = location[0] == "recipe" and isinstance(value, dict | list)
            hint = "; a range belongs in `space`" if is_range else ""
            return str(problem["ctx"]["error"]) + hint
        case "too_short" if name == "space":
            return "must search at least one hyperparameter, but is empty"
        case "too_short" if name == "choices" and location[0] == "space":
            n = len(value)
            return f"must have at least 2 choices, but got {n}; a fixed value belongs in `recipe`"
        case "model_type" | "dict_type":
            must = "must be a mapping"
            must += " or `none`" if name in ("scheduler", "confirm") else ""
        case _:
            must = re.sub(r"^\w+ should", "must", problem["msg"])
            for theirs, ours in _PHRASES.items():
                must = must.replace(theirs, ours)
    is_word = problem["type"] == "literal_error" and isinstance(value, str)
    hint = _similar(value, re.findall("'(.+?)'", must)) if is_word else ""
    return f"{must}, but got {show_value(value)}{hint}"


def _unknown(location: Location, value: object, option: str) -> str:
    name, section = str(location[-1]), str(location[0])
    if len(location) == 1:
        meant = find_key(name)
        if meant is not None and "." in meant:
            return f"is unknown: {_where(meant, value, option)}"
        return "is unknown" + suggest(name, SweepConfig.model_fields)
    if section in _SECTIONS:
        names: Iterable[str] = _SECTIONS[section].model_fields
    elif section == "space" and len(location) > 2:
        names = [*FloatRange.model_fields, "choices"]
    else:
        names = HYPERPARAMETERS
        if name.startswith("model."):
            return "is no name of an argument, such as `model.width`"
        if name == "model" and isinstance(value, dict):
            example = f"model.{next(iter(value), 'width')}"
            return f"is unknown: write its arguments with a dot, such as `{printable(example)}`"
    known = list(names)
    is_meant = section in _SECTIONS and _similar(name, known)  # such as `confirm.seeds`
    if name in SweepConfig.model_fields and not is_meant:
        return "belongs at the top level"
    own = ""
    if names is HYPERPARAMETERS and name.isidentifier() and not _similar(name, known):
        own = f", or `model.{name}` for an argument of your own network"
    return "is unknown" + suggest(name, known) + own


def _where(key: str, value: object, option: str) -> str:
    """Say where a config has a key that is given at its top level."""
    section, _, name = key.partition(".")
    is_range = isinstance(value, dict | list)
    shown = "…" if is_range else show_value(value)
    if section != "recipe":
        return f"write `{option}{key}={shown}`" if option else f"it belongs in `{section}`"
    row = HYPERPARAMETERS[name]
    dimension = "…" if is_range else "{low: …, high: …}" if row.is_number else "[…, …]"
    fix, search = f"recipe: {{{name}: {shown}}}", f"space: {{{name}: {dimension}}}"
    if option:
        fix, search = f"{option}recipe.{name}={shown}", f"{option}'space.{name}={dimension}'"
    if is_range:
        return f"write `{search}` to search it"
    return f"write `{fix}` to fix it, so that it is not searched, or `{search}` to search it"
