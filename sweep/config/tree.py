"""Configs before they are checked: trees of values that know where each was given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep.config.dimensions import Location


@dataclass(frozen=True)
class Node:
    """A value, and where it was given.

    Attributes:
        value: A scalar, or nodes in a dict or a list.
        source: A file's name, or the option as it was typed.
        line: In the file, from 1; 0 where there are no lines.
        layer: What is given in a higher layer overrides what is given in a lower one.
    """

    value: Any
    source: str
    line: int = 0
    layer: int = 0

    @property
    def where(self) -> str:
        """The place, for messages."""
        return f"{self.source}:{self.line}" if self.line else self.source

    @property
    def newest_layer(self) -> int:
        """The highest layer that has a part in the value."""
        return max([self.layer, *(child.newest_layer for child in self.children())])

    def children(self) -> list["Node"]:
        """Returns the nodes right below."""
        match self.value:
            case dict():
                return list(self.value.values())
            case list():
                return self.value
        return []

    def get(self, *keys: str | int) -> "Node | None":
        """Returns the node at the end of a path of keys and indices, None if there is none."""
        nearest, n_found = self.nearest(keys)
        return nearest if n_found == len(keys) else None

    def nearest(self, location: Location) -> tuple["Node", int]:
        """Returns the last node on the way to a location, and how many steps lead to it."""
        node = self
        for i, key in enumerate(location):
            match node.value:
                case dict() if key in node.value:
                    node = node.value[key]
                case list() if isinstance(key, int) and key < len(node.value):
                    node = node.value[key]
                case _:
                    return node, i
        return node, len(location)

    def to_plain(self) -> Any:
        """Returns the value without the places."""
        match self.value:
            case dict():
                return {key: child.to_plain() for key, child in self.value.items()}
            case list():
                return [child.to_plain() for child in self.value]
        return self.value


def merge(lower: Node, upper: Node) -> Node:
    """Returns one tree laid over another: mappings key by key, anything else replaced.

    The search space is replaced as a whole: who writes one says all that is searched.
    """
    if not isinstance(lower.value, dict) or not isinstance(upper.value, dict):
        return upper
    merged = dict(lower.value)
    for key, child in upper.value.items():
        is_laid_over = key in merged and key != "space"
        merged[key] = merge(merged[key], child) if is_laid_over else child
    return replace(upper, value=merged)


def put(tree: Node, keys: Sequence[str], leaf: Node) -> Node:
    """Returns the tree with one key, given by its path, replaced by a leaf."""
    if not keys:
        return leaf
    branch = tree if isinstance(tree.value, dict) else replace(leaf, value={})
    child = branch.value.get(keys[0], replace(leaf, value={}))
    return replace(branch, value={**branch.value, keys[0]: put(child, keys[1:], leaf)})
