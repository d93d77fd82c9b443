"""Points of a search space that are tried before anything the searcher proposes."""

from collections.abc import Mapping, Sequence

from sweep.config.dimensions import Dimension, Problem, RefusedError
from sweep.config.domains import HYPERPARAMETERS, Value
from sweep.config.wording import did_you_mean, shown

Point = Mapping[str, Value]

_MOST_POINTS = 200


def fit_points(points: Sequence[Point], space: Mapping[str, Dimension]) -> tuple[Point, ...]:
    """Returns those points that lie in the space, without the names it does not search."""
    fitted = []
    for point in points:
        searched = {name: value for name, value in point.items() if name in space}
        if searched and not any(space[name].refusal(searched[name]) for name in searched):
            fitted.append(searched)
    return tuple(fitted)


def parse_points(
    raw: object, space: Mapping[str, Dimension], fixed: Mapping[str, Value]
) -> tuple[Point, ...]:
    """Reads a list of points of the space.

    A point may say what is fixed as well, if it says the same; those names are left out.

    Args:
        raw: What was given.
        space: What is searched.
        fixed: Values that the space does not search; a name in neither is taken as it is.

    Raises:
        RefusedError: With everything that is wrong, and where in the list.
    """
    if not isinstance(raw, list | tuple):
        raise RefusedError(((), f"must be a list of points, but got {shown(raw)}"))
    if len(raw) > _MOST_POINTS:
        raise RefusedError(((), f"must have at most {_MOST_POINTS} points, but got {len(raw)}"))
    problems: list[Problem] = []
    points = []
    for i, raw_point in enumerate(raw):
        try:
            point = _parse_point(raw_point)
        except RefusedError as refused:
            problems += [((i, *where), message) for where, message in refused.problems]
            continue
        for name, value in point.items():
            if message := _refusal(name, value, space, fixed):
                problems.append(((i, name), message))
        if searched := {name: value for name, value in point.items() if name not in fixed}:
            points.append(searched)
    if problems:
        raise RefusedError(*problems)
    return tuple(points)


def _parse_point(raw: object) -> dict[str, Value]:
    if not isinstance(raw, Mapping) or not raw:
        example = "such as `{dropout: 0.25, rotation: 10}`"
        raise RefusedError(((), f"must be a point, {example}, but got {shown(raw)}"))
    point: dict[str, Value] = {}
    problems: list[Problem] = []
    for name, value in raw.items():
        if name not in HYPERPARAMETERS:
            problems.append(((name,), f"is unknown{did_you_mean(name, HYPERPARAMETERS)}"))
            continue
        try:
            point[name] = HYPERPARAMETERS[name].check(value)
        except ValueError as error:
            problems.append(((name,), str(error)))
    if problems:
        raise RefusedError(*problems)
    return point


def _refusal(
    name: str, value: Value, space: Mapping[str, Dimension], fixed: Mapping[str, Value]
) -> str | None:
    if name in space:
        return space[name].refusal(value)
    if name in fixed and value != fixed[name]:
        here = f"is not searched and is fixed at {shown(fixed[name])}"
        return f"{here}, so it must be left out or the same, but got {shown(value)}"
    return None
