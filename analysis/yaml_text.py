"""Plain data as YAML that is pleasant to read: what a config is made of, no more."""

import json
import math
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Words that YAML 1.1 takes for something else than text.
_RESERVED = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


def yaml_text(config: dict[str, Any]) -> str:
    """Returns a mapping as YAML: a key a line, two levels deep, the rest in brackets.

    Values are mappings, lists, strings, finite numbers, truth values and None.
    """
    lines = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            lines.append(f"{_scalar(key)}:")
            lines += [f"  {_scalar(name)}: {_flow(inner)}" for name, inner in value.items()]
        elif isinstance(value, list | tuple) and value:
            lines.append(f"{_scalar(key)}:")
            lines += [f"  - {_flow(item)}" for item in value]
        else:
            lines.append(f"{_scalar(key)}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_scalar(name)}: {_flow(inner)}" for name, inner in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        assert math.isfinite(value)
        text = repr(value)
        # YAML 1.1 takes an exponent for a number's only behind a decimal point.
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    if isinstance(value, str):
        return f'"{"".join(map(_escaped, value))}"'
    return json.dumps(value)


def _escaped(character: str) -> str:
    # JSON's way of writing what lies beyond 16 bits is none of YAML's.
    if ord(character) > 0xFFFF:
        return f"\\U{ord(character):08x}"
    return json.dumps(character)[1:-1]
