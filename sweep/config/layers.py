"""What a higher layer of a config means for the search space and its first points."""

from collections.abc import Mapping
from dataclasses import replace

from sweep.config.dimensions import Dimension, RefusedError, parse_space
from sweep.config.domains import HYPERPARAMETERS
from sweep.config.points import parse_points
from sweep.config.tree import Node


def settle(tree: Node) -> tuple[Node, list[str]]:
    """Leaves each hyperparameter either searched or fixed, as the higher layer says.

    Returns:
        The tree without the dimensions that were taken out or overruled, and without what
        is fixed below its search; and a sentence for each hyperparameter that one layer
        both fixes and searches.
    """
    space, recipe = _entries(tree, "space"), _entries(tree, "recipe")
    problems = []
    for name in [name for name in HYPERPARAMETERS if name in space]:
        searched, fixed = space[name], recipe.get(name)
        if searched.value is None:
            del space[name]
        elif fixed is None:
            continue
        elif fixed.newest_layer > searched.newest_layer:
            del space[name]
        else:
            del recipe[name]
            if fixed.newest_layer == searched.newest_layer:
                problems.append(
                    f"`{name}` is fixed in `recipe` and searched in `space`: keep one of them "
                    f"({fixed.where} and {searched.where})"
                )
    return _with_entries(tree, space=space, recipe=recipe), problems


def fit_first(tree: Node, before: Node) -> tuple[Node, list[str]]:
    """Fits the points of `first` to what higher layers than theirs say.

    Such a point loses the names that a higher layer no longer searches, and is left out
    if it lies outside a range that a higher layer gives.

    Args:
        tree: As settled.
        before: The same, before it was settled.

    Returns:
        The tree with the points fitted, and a sentence for each that was left out.
    """
    first, searched = tree.get("first"), tree.get("space")
    if first is None or searched is None:
        return tree, []
    try:
        parse_points(first.to_plain(), {}, {})
        space = parse_space(searched.to_plain())
    except RefusedError:
        return tree, []  # and the check that follows says why
    newer = {name for name in HYPERPARAMETERS if _layer(before, name) > first.newest_layer}
    kept, notes = [], []
    for point in first.value:
        values = {k: v for k, v in point.value.items() if k in space or k not in newer}
        refusal = _refusal(values, {k: v for k, v in space.items() if k in newer})
        if refusal is not None:
            notes.append(f"a point of `first` is left out: {refusal} ({point.where})")
        elif values:
            kept.append(replace(point, value=values))
    return replace(tree, value={**tree.value, "first": replace(first, value=kept)}), notes


def _refusal(point: Mapping[str, Node], space: Mapping[str, Dimension]) -> str | None:
    for name, node in point.items():
        if name in space and (refusal := space[name].refusal(node.value)) is not None:
            return f"`{name}` {refusal}"
    return None


def _layer(tree: Node, name: str) -> int:
    """Returns the highest layer that says whether and how a hyperparameter is searched."""
    nodes = [tree.get(*path) for path in (("space",), ("recipe",))]
    layers = [node.layer for node in nodes if node is not None]
    entries = [tree.get("space", name), tree.get("recipe", name)]
    return max(layers + [node.newest_layer for node in entries if node is not None])


def _entries(tree: Node, section: str) -> dict[str, Node]:
    node = tree.get(section)
    return dict(node.value) if node is not None and isinstance(node.value, dict) else {}


def _with_entries(tree: Node, **sections: dict[str, Node]) -> Node:
    """Returns the tree with the entries of those sections replaced that are mappings."""
    value = dict(tree.value)
    for name, entries in sections.items():
        if name in value and isinstance(value[name].value, dict):
            value[name] = replace(value[name], value=entries)
    return replace(tree, value=value)
