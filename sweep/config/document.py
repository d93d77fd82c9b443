"""YAML as plain data that knows where each value was given.

Only what a config needs is read: mappings, lists and plain values. Tags and aliases are
rejected, and with them objects, recursion and documents that grow while they are read. Plain
values are read as YAML 1.1 has them (`yes` is true, `010` is 8, `1:30` is 90), except that
`1e-3` is a number and that dates are text. Keys are always text.
"""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.reader import ReaderError

from analysis.formatting import printable
from sweep.config.dimensions import Location
from sweep.errors import UsageError

MAX_CHARACTERS = 128 * 1024
_MAX_DEPTH = 8
_MAX_PROBLEMS = 10


@dataclass(frozen=True)
class Mark:
    """Where a value was given.

    Attributes:
        source: A file's name, or the option as it was typed.
        line: Line in the file, from 1; 0 for an option.
        layer: A value of a higher layer overrides that of a lower one.
    """

    source: str
    line: int = 0
    layer: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass
class Document:
    """Plain data, and the mark of each location in it; `()` is the location of all of it."""

    value: Any
    marks: dict[Location, Mark] = field(default_factory=dict)

    def mark(self, location: Location) -> Mark:
        """Return the mark of a location, or of the nearest one around it."""
        while location not in self.marks:
            location = location[:-1]
        return self.marks[location]

    def newest_layer(self, location: Location) -> int:
        """Return the highest layer that has a part in the value at a location; -1 for none."""
        n = len(location)
        return max((m.layer for at, m in self.marks.items() if at[:n] == location), default=-1)

    def part(self, *location: str) -> "Document":
        """Return a copy of what is at a location, which must be given."""
        value, n = self.value, len(location)
        for key in location:
            value = value[key]
        marks = {at[n:]: mark for at, mark in self.marks.items() if at[:n] == location}
        return Document(copy.deepcopy(value), marks)

    def set_path(self, path: Sequence[str], part: "Document") -> None:
        """Replace what is at a path, whose mappings are made where they are missing."""
        self.drop(tuple(path))
        target: dict[str, Any] = self.value
        for i, key in enumerate(path[:-1], start=1):
            if not isinstance(target.get(key), dict):
                self.drop(tuple(path[:i]))
                target[key] = {}
                self.marks[tuple(path[:i])] = part.marks[()]
            target = target[key]
        target[path[-1]] = part.value
        self.marks |= {(*path, *at): mark for at, mark in part.marks.items()}

    def drop(self, path: tuple[str, ...]) -> None:
        """Remove what is at a path, if it is given."""
        target = self.value
        for key in path[:-1]:
            target = target.get(key) if isinstance(target, dict) else None
        if isinstance(target, dict):
            target.pop(path[-1], None)
        n = len(path)
        self.marks = {at: mark for at, mark in self.marks.items() if at[:n] != path}


def read_yaml(text: str, source: str, *, layer: int = 0, has_lines: bool = True) -> Document:
    """Read one YAML document.

    Args:
        text: The document.
        source: Name of the document in messages.
        layer: Layer of every value.
        has_lines: Whether messages name the line.

    Raises:
        UsageError: It is not YAML, has more than a config needs, or gives a key twice.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"{source} is longer than {MAX_CHARACTERS // 1024} KiB")
    document = Document(None, {(): Mark(source, 0, layer)})
    problems: list[str] = []

    def convert(node: yaml.Node, line: int, location: Location) -> Any:
        document.marks[location] = Mark(source, line if has_lines else 0, layer)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [convert(n, n.start_mark.line + 1, (*location, i)) for i, n in items]
        if not isinstance(node, yaml.MappingNode):
            return loader.construct_object(node)
        mapping: dict[str, Any] = {}
        for key, item in node.value:
            # A value on a line of its own is still looked for at its key.
            at = Mark(source, key.start_mark.line + 1 if has_lines else 0, layer)
            if not isinstance(key, yaml.ScalarNode):
                problems.append(f"a key must be a plain name ({at})")
            elif key.value in mapping:
                earlier = document.marks[*location, key.value]
                name = printable(key.value)
                problems.append(f"`{name}` is given twice ({earlier} and {at})")
            else:
                mapping[key.value] = None
                inner = convert(item, key.start_mark.line + 1, (*location, key.value))
                mapping[key.value] = inner
        return mapping

    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is not None:
            document.value = convert(root, root.start_mark.line + 1, ())
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        at = (
            f"{source}:{mark.line + 1}, column {mark.column + 1}" if mark and has_lines else source
        )
    except ReaderError as error:
        problem = f"the character U+{error.character:04X} is not allowed"
        at = f"{source}:{text.count(chr(10), 0, error.position) + 1}" if has_lines else source
    except (ValueError, OverflowError):
        # PyYAML passes an escape beyond Unicode's end to `chr`, and a long number to `int`.
        problem, at = "an escape or a number is out of range", source
    else:
        raise_problems(problems)
        return document
    raise UsageError(f"cannot read the YAML: {printable(problem, 200)} ({at})")


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
