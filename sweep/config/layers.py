"""The values of a config from several sources, laid over each other.

The layers, from the lowest to the highest: a preset (`classic` by default), a config file,
options of the command line. The higher layer wins, key by key: a file need only say what
differs. Only the search space is replaced as a whole by a file that has one;
`--set space.NAME=…` replaces one of its dimensions, and `null` removes it. Whether a
hyperparameter is fixed or searched is decided by the higher layer, too: `recipe.dropout` in a
file ends the search of `dropout` in the preset, and the other way round; both in one layer are
an error. Initial points of a lower layer are fitted to what the higher layers say.
"""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from analysis.hyperparameters import HYPERPARAMETERS
from sweep.config.dimensions import Location, Point, Space
from sweep.config.document import Source

_SPACE: TypeAdapter[Any] = TypeAdapter(Space)
_POINTS: TypeAdapter[Any] = TypeAdapter(list[Point])


class Stack:
    """Sources laid over each other: `value` is what they say together."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Lay a source over those before it."""
        self._sources.append(source)
        path = min(source.lines, key=len)
        if path:
            self.value = _replace(self.value, path, source.value)
            return
        for key, value in source.value.items():
            old = self.value.get(key)
            if isinstance(value, dict) and isinstance(old, dict) and key != "space":
                value = {**old, **value}
            self.value[key] = value

    def find(self, location: Location) -> Source:
        """Return the source of a location, which is in `value`; the newest wins."""
        return next(s for s in reversed(self._sources) if location in s.lines)

    def newest_layer(self, location: Location) -> int:
        """Return the highest layer that has a part in the value at a location; -1 for none."""
        n = len(location)
        layers = (s.layer for s in self._sources if any(at[:n] == location for at in s.lines))
        return max(layers, default=-1)

    def fix_or_search(self) -> list[str]:
        """Leave each hyperparameter either fixed or searched, as the higher layer says.

        Returns:
            A sentence for each hyperparameter that one layer both fixes and searches.
        """
        problems = []
        space, recipe = self.value["space"], self.value["recipe"]
        if not isinstance(space, dict) or not isinstance(recipe, dict):
            return []  # the check that follows says why
        space, recipe = dict(space), dict(recipe)
        for name in space.keys() & HYPERPARAMETERS.keys():
            searched, fixed = ("space", name), ("recipe", name)
            if space[name] is None:
                del space[name]
            elif name in recipe:
                above = self.newest_layer(fixed) - self.newest_layer(searched)
                if above == 0:
                    marks = " and ".join(self.find(at).mark(at) for at in (fixed, searched))
                    both = f"`{name}` is fixed in `recipe` and searched in `space`"
                    problems.append(f"{both}: keep one of them ({marks})")
                del (space if above > 0 else recipe)[name]
        self.value |= {"space": space, "recipe": recipe}
        return problems

    def fit_points(self) -> list[str]:
        """Fit the initial points to what higher layers than theirs say; call it last.

        A point loses the names that a higher layer no longer searches. It is left out if it
        lies outside a range of a higher layer.

        Returns:
            A sentence for each point that was left out.
        """
        path = ("initial_points",)
        try:
            space = _SPACE.validate_python(self.value["space"])
            points = _POINTS.validate_python(self.value[path[0]])
        except ValidationError:
            return []  # the check that follows says why
        own = self.newest_layer(path)
        newer = {name for name in HYPERPARAMETERS if self._layer_of_search(name) > own}
        kept, notes = [], []
        for i, point in enumerate(points):
            values = {k: v for k, v in point.items() if k in space or k not in newer}
            reasons = {
                name: space[name].why_invalid(values[name]) for name in newer & values.keys()
            }
            outside = [f"`{name}` {reason}" for name, reason in reasons.items() if reason]
            if outside:
                mark = self.find((*path, i)).mark((*path, i))
                notes.append(f"an initial point is left out: {outside[0]} ({mark})")
            elif values or not point:
                kept.append(values)
        self.value = {**self.value, path[0]: kept}
        return notes

    def _layer_of_search(self, name: str) -> int:
        """Return the highest layer that says whether and how a hyperparameter is searched."""
        whole = max(s.layer for s in self._sources if ("space",) in s.lines)
        return max(whole, *(self.newest_layer((key, name)) for key in ("space", "recipe")))


def _replace(value: Any, path: Location, new: Any) -> Any:
    """Return a copy of nested mappings with one value replaced."""
    if not path:
        return new
    inner = value if isinstance(value, dict) else {}
    return {**inner, path[0]: _replace(inner.get(path[0]), path[1:], new)}
