"""The search space: for each searched hyperparameter a range, or a few choices."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sweep.config.domains import HYPERPARAMETERS, Domain, Number, OneOf, Value
from sweep.config.wording import did_you_mean, printable, shown

Location = tuple[str | int, ...]
Problem = tuple[Location, str]

_MOST_CHOICES = 100
_MOST_STEPS = 1_000_000


class RefusedError(ValueError):
    """Something that was given is refused.

    Attributes:
        problems: Where inside it, and why, for each thing that is wrong.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = problems


@dataclass(frozen=True)
class Range:
    """Every number from `low` to `high`, both included.

    Attributes:
        low: The smallest; an int where only whole numbers are searched.
        high: The largest; of the same type.
        log: Whether the logarithm is drawn uniformly, not the number.
        step: Distance between the numbers searched; None for all of them.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are searched."""
        return isinstance(self.low, int)

    def to_plain(self) -> dict[str, Value]:
        """Returns it as `parse_dimension` reads it, without what is at its default."""
        plain: dict[str, Value] = {"low": self.low, "high": self.high}
        if self.log:
            plain["log"] = True
        if self.step is not None:
            plain["step"] = self.step
        return plain

    def refusal(self, value: Value) -> str | None:
        """Returns why a value that its hyperparameter can take is not searched, or None."""
        assert not isinstance(value, str)
        if not self.low <= value <= self.high:
            bounds = f"{shown(self.low)} to {shown(self.high)}"
            return f"must be in the searched range, {bounds}, but got {shown(value)}"
        if self.step is not None:
            steps = (value - self.low) / self.step
            if abs(steps - round(steps)) > 1e-8:
                grid = f"{shown(self.low)} plus a multiple of {shown(self.step)}"
                return f"must be {grid}, as searched, but got {shown(value)}"
        return None


@dataclass(frozen=True)
class Choices:
    """A few values, with no order between them.

    Attributes:
        choices: At least two, none twice.
    """

    choices: tuple[Value, ...]

    def to_plain(self) -> list[Value]:
        """Returns it as `parse_dimension` reads it."""
        return list(self.choices)

    def refusal(self, value: Value) -> str | None:
        """Returns why a value that its hyperparameter can take is not searched, or None."""
        if value in self.choices:
            return None
        choices = ", ".join(shown(choice) for choice in self.choices)
        return f"must be one of the searched choices, {choices}, but got {shown(value)}"


Dimension = Range | Choices


def parse_dimension(domain: Domain, raw: object) -> Dimension:
    """Reads `{low, high, log, step}`, `{choices: […]}` or a bare list of choices.

    A range is of whole numbers where the hyperparameter is whole by nature.

    Raises:
        RefusedError: It is none of these, or goes beyond what the hyperparameter can be.
    """
    if isinstance(raw, Dimension):
        raw = raw.to_plain()
    match raw:
        case list() | tuple():
            return _parse_choices(domain, raw, ())
        case {"choices": list() | tuple() as choices, **others}:
            if others:
                names = " and ".join(f"`{printable(str(name))}`" for name in others)
                raise RefusedError(((), f"has `choices`, which cannot go with {names}"))
            return _parse_choices(domain, choices, ("choices",))
        case {"choices": other}:
            raise RefusedError((("choices",), f"must be a list, but got {shown(other)}"))
        case Mapping():
            if isinstance(domain, OneOf):
                raise RefusedError(((), "has no order, so it must be a list of choices"))
            return _parse_range(domain, raw)
    what = "a list of choices"
    if isinstance(domain, Number):
        what = "a range `{low: …, high: …}` or " + what
    raise RefusedError(((), f"must be {what}, but got {shown(raw)}"))


def parse_space(raw: object) -> dict[str, Dimension]:
    """Reads a search space, from names to what `parse_dimension` reads.

    The order of names does not matter and comes out the same: Optuna's draws depend on it.

    Raises:
        RefusedError: With everything that is wrong, and where in the space.
    """
    if not isinstance(raw, Mapping):
        what = "a mapping from names to ranges or choices"
        raise RefusedError(((), f"must be {what}, but got {shown(raw)}"))
    if not raw:
        raise RefusedError(((), "must name at least one hyperparameter to search"))
    space: dict[str, Dimension] = {}
    problems: list[Problem] = []
    for name, dimension in raw.items():
        if name not in HYPERPARAMETERS:
            problems.append(((name,), f"is unknown{did_you_mean(name, HYPERPARAMETERS)}"))
            continue
        try:
            space[name] = parse_dimension(HYPERPARAMETERS[name], dimension)
        except RefusedError as refused:
            problems += [((name, *where), message) for where, message in refused.problems]
            if not isinstance(dimension, Mapping | list | tuple):
                problems[-1] = ((name,), f"{problems[-1][1]}; a fixed value belongs in `recipe`")
    if problems:
        raise RefusedError(*problems)
    return {name: space[name] for name in HYPERPARAMETERS if name in space}


def _parse_choices(domain: Domain, raw: Sequence[object], where: Location) -> Choices:
    if len(raw) > _MOST_CHOICES:
        raise RefusedError(
            (where, f"must have at most {_MOST_CHOICES} choices, but got {len(raw)}")
        )
    problems: list[Problem] = []
    choices: list[Value] = []
    for i, item in enumerate(raw):
        try:
            choice = domain.check(item)
        except ValueError as error:
            problems.append(((*where, i), str(error)))
            continue
        if choice in choices:
            problems.append(((*where, i), f"repeats the choice {shown(choice)}"))
        choices.append(choice)
    if len(raw) < 2:
        problems.append((where, f"must have two choices or more, but got {len(raw)}"))
    if problems:
        raise RefusedError(*problems)
    return Choices(tuple(choices))


def _parse_range(domain: Number, raw: Mapping[str, object]) -> Range:
    problems: list[Problem] = []
    names = ("low", "high", "log", "step", "choices")
    problems += [
        ((name,), f"is unknown{did_you_mean(name, names)}") for name in raw if name not in names
    ]
    missing = [f"`{name}`" for name in ("low", "high") if name not in raw]
    if missing:
        problems.append(((), f"needs {' and '.join(missing)}"))

    def checked(name: str, domain: Domain) -> Value | None:
        try:
            return domain.check(raw[name]) if name in raw else None
        except ValueError as error:
            problems.append(((name,), str(error)))
            return None

    low, high = checked("low", domain), checked("high", domain)
    log = checked("log", OneOf((False, True)))
    step = checked(
        "step", Number(0, math.inf, whole=domain.whole, above_low=True, below_high=True)
    )
    if problems:
        raise RefusedError(*problems)
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    assert isinstance(step, int | float | None)
    found = Range(low, high, bool(log), step)
    problems.extend(_inconsistencies(found))
    if problems:
        raise RefusedError(*problems)
    return found


def _inconsistencies(found: Range) -> list[Problem]:
    low, high, step = found.low, found.high, found.step
    if low >= high:
        return [(("high",), f"must be above `low`, {shown(low)}, but got {shown(high)}")]
    if found.log and low <= 0:
        return [(("low",), f"must be above 0 where `log` is true, but got {shown(low)}")]
    if step is None:
        return []
    if found.log:
        return [(("step",), "cannot go with `log: true`")]
    n_steps = (high - low) / step
    if not 1 <= n_steps <= _MOST_STEPS:
        many = f"at most {_MOST_STEPS:,}"
        return [(("step",), f"must fit between `low` and `high`, {many} times: {shown(step)}")]
    # In decimals, as Optuna does it: in binary 0.3 is no multiple of 0.1.
    if (Decimal(repr(high)) - Decimal(repr(low))) % Decimal(repr(step)):
        grid = f"{shown(low)} plus a multiple of {shown(step)}"
        return [(("high",), f"must be {grid}, but got {shown(high)}")]
    return []
