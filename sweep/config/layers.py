"""The values of a config from several sources, laid over each other.

The sources, from the lowest to the highest: a preset (`classic` by default), a config file,
options of the command line in their order. The higher one wins, key by key: a file need only
say what differs. Only the search space is replaced as a whole by a file that has one;
`--set space.NAME=…` replaces one of its dimensions, and `null` removes it. Whether a
hyperparameter is fixed or searched is decided by the higher source, too: `recipe.dropout` in a
file ends the search of `dropout` in the preset, and the other way round; both in one source are
an error. Initial points are fitted to what higher sources than theirs say.
"""

from typing import Any

from analysis.hyperparameters import HYPERPARAMETERS
from sweep.config.dimensions import Location
from sweep.config.document import Source


class Stack:
    """Sources laid over each other.

    Attributes:
        sources: From the lowest to the highest.
        value: What they say together.
        problems: A sentence for each hyperparameter that one source both fixes and searches.
        newer: Hyperparameters that a higher source than the initial points' fixes or searches.
    """

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.problems: list[str] = []
        self.sources: list[Source] = []
        self.newer: set[str] = set()
        self._given: dict[Location, Source] = {}

    def add(self, source: Source) -> None:
        """Lay a source over those before it."""
        self.sources.append(source)
        path = min(source.lines, key=len)
        given: dict[Location, Any] = {path: source.value}
        if not path:
            given = {}
            for key, value in source.value.items():
                is_merged = isinstance(value, dict) and isinstance(self.value.get(key), dict)
                if is_merged and key != "space":
                    given |= {(key, inner): item for inner, item in value.items()}
                else:
                    given[key,] = value
        for at, value in given.items():
            self.value = _replace(self.value, at, value)
            n = len(at)
            self._given = {old: s for old, s in self._given.items() if old[:n] != at}
        self._given |= dict.fromkeys(source.lines, source)
        self._fix_or_search(source)

    def find(self, location: Location) -> tuple[Source, Location]:
        """Return the newest source of a location, or of the nearest one around it, and that."""
        while True:
            n = len(location)
            found = [source for at, source in self._given.items() if at[:n] == location]
            if found:
                return max(found, key=self.sources.index), location
            location = location[:-1]

    def _fix_or_search(self, source: Source) -> None:
        """Leave each hyperparameter of a source either fixed or searched."""
        space, recipe = (self.value.get(key) for key in ("space", "recipe"))
        if not isinstance(space, dict) or not isinstance(recipe, dict):
            return  # the check that follows says why
        fixed, searched = (
            {name for name in HYPERPARAMETERS if any(at[:2] == (key, name) for at in source.lines)}
            for key in ("recipe", "space")
        )
        for name in fixed & searched:
            marks = " and ".join(source.mark((key, name)) for key in ("recipe", "space"))
            both = f"`{name}` is fixed in `recipe` and searched in `space`"
            self.problems.append(f"{both}: keep one of them ({marks})")
        ended = (fixed - searched) | {name for name in searched if space.get(name) is None}
        self.value["space"] = {name: v for name, v in space.items() if name not in ended}
        self.value["recipe"] = {
            name: v for name, v in recipe.items() if name in ended or name not in searched
        }
        self.newer |= set(HYPERPARAMETERS) if ("space",) in source.lines else fixed | searched
        if ("initial_points",) in source.lines:
            self.newer.clear()


def _replace(value: Any, path: Location, new: Any) -> Any:
    """Return a copy of nested mappings with one value replaced."""
    if not path:
        return new
    inner = value if isinstance(value, dict) else {}
    return {**inner, path[0]: _replace(inner.get(path[0]), path[1:], new)}
