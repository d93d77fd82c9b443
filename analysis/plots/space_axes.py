"""The searched hyperparameters as axes: where a value lies between the ends of its range."""

import math
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from analysis.hyperparameters import HYPERPARAMETERS
from analysis.plots.scales import even_ticks, log_ticks
from analysis.plots.style import one_line
from analysis.records.ledger import Ledger
from analysis.results.study import distributions

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Dimension:
    """One searched hyperparameter.

    Attributes:
        name: As in the config.
        low: The lowest value that the space or a trial has; 0 where there are `choices`.
        high: The highest; the number of choices less 1 where there are `choices`.
        log: Whether equal factors, not equal differences, are equally far apart.
        choices: The values of a hyperparameter that is chosen from a list, else none.
    """

    name: str
    low: float
    high: float
    log: bool
    choices: tuple[Any, ...] = ()

    @property
    def words(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def label(self) -> str:
        """The name in words, with its unit."""
        row = HYPERPARAMETERS.get(self.name)
        return self.words if row is None else row.label

    def number(self, value: Any) -> float:
        """Returns the value as a number on this axis: itself, or the place of a choice."""
        return float(self.choices.index(value) if self.choices else value)

    def position(self, value: Any) -> float:
        """Returns where the value lies, from 0 at the low end to 1 at the high end."""
        number, low, high = self.number(value), self.low, self.high
        if high == low:
            return 0.5
        if self.log:
            return math.log(number / low) / math.log(high / low)
        return (number - low) / (high - low)

    def ticks(self, n: int = 5) -> dict[float, str]:
        """Returns positions for about `n` ticks, or one for each choice, with labels."""
        if self.choices:
            return {self.position(choice): short_value(choice) for choice in self.choices}
        if self.log:
            return {self.position(t): _power(t) for t in log_ticks(self.low, self.high, n - 1)}
        if self.high == self.low:
            return {0.5: short_value(self.low)}
        ticks = even_ticks(self.low, self.high, n)
        return {self.position(tick): label for tick, label in ticks.items()}


def short_value(value: Any) -> str:
    """Returns a value as a text, numbers to three digits: `0.0812`, `2.5e-06`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else one_line(str(value), 16)


def _power(value: float) -> str:
    """A number as it is, or a small power of ten as one."""
    exponent = round(math.log10(value))
    if value >= 1e-3 or not math.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def dimensions(ledger: Ledger) -> list[Dimension]:
    """Returns the hyperparameters that the sweep searches, in the config's order."""
    return [_dimension(name, drawn) for name, drawn in distributions(ledger).items()]


def _dimension(name: str, drawn: BaseDistribution) -> Dimension:
    if isinstance(drawn, CategoricalDistribution):
        return Dimension(name, 0, len(drawn.choices) - 1, False, drawn.choices)
    assert isinstance(drawn, FloatDistribution)
    return Dimension(name, drawn.low, drawn.high, drawn.log)
