"""The JSON Schema of a config file, for editors."""

from typing import Any

from analysis.hyperparameters import HYPERPARAMETERS, OWN, Hyperparameter
from analysis.records.ledger import RENAMED_KEYS
from sweep.config.dimensions import Choices, FloatRange, IntRange
from sweep.config.sweep_config import SweepConfig


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config file.

    Every config that is accepted is valid. Relations between two values, such as a `low` below
    its `high`, are not in it: `sweep validate` checks them.
    """
    schema = SweepConfig.model_json_schema()
    definitions, properties = schema["$defs"], schema["properties"]
    for row in HYPERPARAMETERS.values():
        definitions["Point"]["properties"][row.name] = _value(row)
        definitions["Space"]["properties"][row.name] = _dimension(row)
    own = r"^model\.[^\W\d]\w*$"
    definitions["Point"]["patternProperties"] = {own: _value(OWN)}
    definitions["Space"]["patternProperties"] = {own: _dimension(OWN)}
    about = properties["space"]["description"]
    properties["space"] = {"$ref": "#/$defs/Space", "description": about}
    definitions["Space"]["minProperties"] = 1
    properties["initial_points"]["items"] |= {"minProperties": 1}
    del properties["initial_points"]["default"]  # in a file it is the preset's
    # A file gives what differs from the preset: a name alone, or parameters without a name.
    name = definitions["Scheduler"]["properties"]["name"]
    unused = {"type": "object", "properties": {"name": {"const": "none"}}, "required": ["name"]}
    others = [name, unused, {"$ref": "#/$defs/Scheduler"}, {"type": "null"}]
    properties["scheduler"] = {"anyOf": others}
    properties["confirm"]["anyOf"].append({"const": "none"})
    for old, new in RENAMED_KEYS.items():
        properties[old] = {**properties[new], "deprecated": True}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidy(schema)}


def _value(row: Hyperparameter) -> dict[str, Any]:
    """Return the schema of a value of a hyperparameter."""
    if row.kind == "own":
        return {"type": ["number", "string", "boolean"]}
    about = {"description": f"{row.label}; {row.allowed}", "default": row.default}
    if row.kind == "bool":
        return {"type": "boolean", **about}
    if row.kind == "choice":
        return {"enum": list(row.choices), **about}
    low = {"exclusiveMinimum" if row.above_low else "minimum": row.low}
    high = {"exclusiveMaximum" if row.below_high else "maximum": row.high}
    return {"type": "integer" if row.kind == "int" else "number", **low, **high, **about}


def _dimension(row: Hyperparameter) -> dict[str, Any]:
    """Return the schema of what is searched: choices, for a number also a range, or null."""
    value = {key: rule for key, rule in _value(row).items() if key != "default"}
    choices = Choices.model_json_schema()
    choices["properties"]["choices"] |= {"items": value, "uniqueItems": True}
    shapes = [choices["properties"]["choices"], choices]
    if row.is_number:
        bound = {"type": "number"} if row.kind == "own" else value
        shape = (IntRange if row.kind == "int" else FloatRange).model_json_schema()
        shape["properties"] |= {"low": bound, "high": bound}
        shapes.append(shape)
    shapes.append({"type": "null"})
    about = f"{row.label}: a range or choices; null does not search it"
    return {"description": about, "anyOf": shapes}


def _tidy(schema: Any) -> Any:
    """Return a schema without titles, which repeat the names, and without line breaks."""
    if isinstance(schema, dict):
        return {key: _tidy(item) for key, item in schema.items() if key != "title"}
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    return " ".join(schema.split()) if isinstance(schema, str) else schema
