"""How a config is laid out as YAML."""

from collections.abc import Mapping

from sweep.config.wording import number


def lay_out(tree: Mapping[str, object]) -> str:
    """Returns a config's plain tree as YAML, a line for each setting, dimension and point.

    Strings are written as they are: a config has only names that YAML reads back.
    """
    lines = []
    for key, value in tree.items():
        if key in ("recipe", "space") and isinstance(value, Mapping) and value:
            lines.append(f"{key}:")
            lines += [f"  {name}: {_flow(item)}" for name, item in value.items()]
        elif key == "first" and isinstance(value, list | tuple) and value:
            lines.append(f"{key}:")
            lines += [f"  - {_flow(point)}" for point in value]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case bool():
            return str(value).lower()
        case float():
            return number(value)
    return str(value)
