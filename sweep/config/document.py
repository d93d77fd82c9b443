"""YAML as plain data that knows where each value was given.

Only what a config needs is read: mappings, lists and plain values. Tags and aliases are
rejected, and with them objects, recursion and documents that grow while they are read. Plain
values are read as YAML 1.1 has them (`yes` is true, `010` is 8, `1:30` is 90), except that
`1e-3` is a number and that dates are text. Keys are always text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import ReaderError

from analysis.formatting import printable
from sweep.config.dimensions import Location
from sweep.config.registry import RENAMED
from sweep.errors import UsageError

MAX_CHARACTERS = 128 * 1024
_MAX_DEPTH = 8
_MAX_PROBLEMS = 10


@dataclass(frozen=True)
class Source:
    """What gives values of a config: a preset, a file or an option.

    Attributes:
        name: Name in messages.
        value: The values, as plain data.
        lines: Line of each location, from 1; 0 for an option.
    """

    name: str
    value: Any
    lines: dict[Location, int]

    def mark(self, location: Location) -> str:
        """Return where a location is given, for messages."""
        line = self.lines.get(location)
        return f"{self.name}:{line}" if line else self.name


def read_yaml(text: str, name: str, at: Location = ()) -> Source:
    """Read one YAML document.

    Args:
        text: The document.
        name: Name of the document in messages.
        at: Location of the value that an option gives; lines mean nothing then.

    Raises:
        UsageError: It is not YAML, has more than a config needs, or gives a key twice.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"{name} is longer than {MAX_CHARACTERS // 1024} KiB")
    lines: dict[Location, int] = {at: 0}
    problems: list[tuple[str, list[int]]] = []
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        value = None if root is None else _to_plain(loader, root, root, at, lines, problems)
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}, column {mark.column + 1}" if mark and not at else name
    except ReaderError as error:
        problem = f"the character U+{error.character:04X} is not allowed"
        where = name if at else f"{name}:{text.count(chr(10), 0, error.position) + 1}"
    except (ValueError, OverflowError):
        # PyYAML passes an escape beyond Unicode's end to `chr`, and a long number to `int`.
        problem, where = "an escape or a number is out of range", name
    else:
        marks = [name if at else " and ".join(f"{name}:{n}" for n in ns) for _, ns in problems]
        raise_problems(
            [f"{text} ({mark})" for (text, _), mark in zip(problems, marks, strict=True)]
        )
        return Source(name, value, dict.fromkeys(lines, 0) if at else lines)
    raise UsageError(f"cannot read the YAML: {printable(problem, 200)} ({where})")


def raise_problems(problems: Sequence[str]) -> None:
    """Raise the first ten problems as one error, if there are any.

    Raises:
        UsageError: There is a problem.
    """
    n_more = len(problems) - _MAX_PROBLEMS
    more = [f"and {n_more} more"] if n_more > 0 else []
    if problems:
        raise UsageError("\n".join([*problems[:_MAX_PROBLEMS], *more]))


class _Loader(yaml.SafeLoader):
    """A loader without aliases, tags and deep nesting."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = f"aliases (*{event.anchor}) are not supported"
        elif getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            problem = f"tags ({tag}) are not supported"
        elif self._depth > _MAX_DEPTH:
            problem = "it is nested too deeply"
        if problem is not None:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if "timestamp" not in tag]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _to_plain(
    loader: _Loader,
    node: yaml.Node,
    named_by: yaml.Node,
    at: Location,
    lines: dict[Location, int],
    problems: list[tuple[str, list[int]]],
) -> Any:
    """Return a node's data; add the line of each location, which is that of the key if any."""
    lines[at] = named_by.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [
            _to_plain(loader, item, item, (*at, i), lines, problems)
            for i, item in enumerate(node.value)
        ]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    mapping: dict[str, Any] = {}
    for key, item in node.value:
        name, line = key.value, key.start_mark.line + 1
        if not isinstance(name, str):
            problems.append(("a key must be a plain name", [line]))
            continue
        name = name if at else RENAMED.get(name, name)
        if name in mapping:
            problems.append((f"`{printable(name)}` is given twice", [lines[*at, name], line]))
        else:
            mapping[name] = _to_plain(loader, item, key, (*at, name), lines, problems)
    return mapping
