"""Reads YAML into a tree that knows its lines.

Only what a config needs is understood: mappings, lists and scalars. Tags and aliases are
refused; with them go objects, recursion and documents that grow when they are read.
Scalars are read as YAML 1.2 has them (`1e-3` is a number, `010` is ten, `1:30` is text),
and `yes`, `no`, `on` and `off` still are booleans.
"""

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

from sweep.config.tree import Node
from sweep.config.wording import first_few, printable
from sweep.errors import UsageError

MOST_CHARACTERS = 128 * 1024
_DEEPEST = 8
_LONGEST_NUMBER = 100
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
    **dict.fromkeys(("", "~", "null"), None),
    **dict.fromkeys((".inf", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


def read_yaml(text: str, source: str, *, layer: int = 0, has_lines: bool = True) -> Node:
    """Reads one YAML document.

    Args:
        text: The document.
        source: What messages call it.
        layer: The layer of every node.
        has_lines: Whether line numbers mean something to the user.

    Raises:
        UsageError: It is not YAML, has more than a config needs, or gives a key twice.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"{source} is longer than {MOST_CHARACTERS // 1024} KiB: no config is")
    try:
        root = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}, column {mark.column + 1}" if mark else source
        raise _unreadable(problem, place if has_lines else source) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character U+{error.character:04X} is not allowed"
        raise _unreadable(problem, f"{source}:{line}" if has_lines else source) from None
    except (ValueError, OverflowError):
        # PyYAML passes an escape beyond Unicode's end on to `chr`, a long version to `int`.
        raise _unreadable("an escape or a number is out of range", source) from None
    if root is None:
        return Node(None, source, 0, layer)
    problems: list[str] = []
    tree = _convert(root, source, layer, has_lines, problems)
    if problems:
        raise UsageError(first_few(problems))
    return tree


class _Loader(yaml.BaseLoader):
    """Composes nodes, every scalar a string; `_convert` gives them their types."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = f"aliases (*{event.anchor}) are not supported"
        elif getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            problem = f"tags ({tag}) are not supported"
        elif self._depth > _DEEPEST:
            problem = "it is nested too deeply"
        if problem is not None:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _unreadable(problem: str, place: str) -> UsageError:
    return UsageError(f"cannot read the YAML: {printable(problem, 200)} ({place})")


def _convert(
    node: yaml.Node, source: str, layer: int, has_lines: bool, problems: list[str]
) -> Node:
    def place(at: yaml.Node, value: Any) -> Node:
        return Node(value, source, at.start_mark.line + 1 if has_lines else 0, layer)

    def value_of(at: yaml.Node) -> Any:
        if isinstance(at, yaml.ScalarNode):
            return _scalar(at.value) if at.style is None else at.value
        if isinstance(at, yaml.SequenceNode):
            return [place(item, value_of(item)) for item in at.value]
        children: dict[str, Node] = {}
        for key, item in at.value:
            # A value on a line of its own is still looked for at its key.
            child = place(key, value_of(item))
            if not isinstance(key, yaml.ScalarNode):
                problems.append(f"a key must be a plain name ({child.where})")
            elif key.value in children:
                earlier = children[key.value].where
                problems.append(
                    f"`{printable(key.value)}` is given twice ({earlier} and {child.where})"
                )
            else:
                children[key.value] = child
        return children

    return place(node, value_of(node))


def _scalar(text: str) -> bool | int | float | str | None:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text
