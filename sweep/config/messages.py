"""What is wrong with a config, in sentences that say where."""

from typing import Any

from pydantic import ValidationError

from sweep.config.dimensions import Location
from sweep.config.domains import HYPERPARAMETERS
from sweep.config.sections import Confirm, Recipe, Resources, Scheduler, Section
from sweep.config.sweep_config import SweepConfig
from sweep.config.tree import Node
from sweep.config.wording import did_you_mean, printable, shown

_SECTIONS: dict[str, type[Section]] = {
    "recipe": Recipe,
    "scheduler": Scheduler,
    "resources": Resources,
    "confirm": Confirm,
}


def explain(error: ValidationError, tree: Node) -> list[str]:
    """Returns what pydantic found wrong in a tree, a line for each problem, in its order."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        location: Location = problem["loc"]
        node, _ = tree.nearest(location)
        text = f"`{_key(location)}` {_sentence(problem, tree)} ({node.where})"
        lines.append((node.layer, node.line, text))
    return [text for *_, text in sorted(lines, key=lambda line: line[:2])]


def _key(location: Location) -> str:
    """Returns `first[0].dropout` for its location."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{printable(step)}"
    return text.removeprefix(".")


def _sentence(problem: Any, tree: Node) -> str:
    location: Location = problem["loc"]
    match problem["type"]:
        case "extra_forbidden":
            return _unknown(location)
        case "value_error":
            sentence = str(problem["ctx"]["error"])
            if location[0] == "recipe" and sentence.endswith(("a mapping", "a list")):
                sentence += "; what is searched belongs in `space`"
            return sentence
        case "model_type" | "model_attributes_type" | "dict_type":
            node = tree.get(*location)
            return f"must be a mapping, but got {shown(node.to_plain() if node else None)}"
    return str(problem["msg"])


def _unknown(location: Location) -> str:
    name = str(location[-1])
    if len(location) == 1:
        if name in HYPERPARAMETERS:
            return "belongs in `recipe` to be fixed, or in `space` to be searched"
        return f"is unknown{did_you_mean(name, SweepConfig.model_fields)}"
    if name in SweepConfig.model_fields:
        return "belongs at the top level"
    return f"is unknown{did_you_mean(name, _SECTIONS[str(location[0])].model_fields)}"
