"""The searched hyperparameters as axes: the position of a value between the ends of its range."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.ticker import Formatter, FuncFormatter
from optuna.distributions import CategoricalDistribution, FloatDistribution

from analysis.formatting import printable
from analysis.hyperparameters import HYPERPARAMETERS, format_value
from analysis.plots.scales import (
    AccuracyLocator,
    RoundFormatter,
    RoundLocator,
    even_ticks,
    stretch,
)
from analysis.records.ledger import Ledger, Trial
from analysis.results.study import distributions

Scale = Literal["linear", "log", "accuracy"]
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Dimension:
    """One axis of the search space, or the axis of the score.

    It extends from the lowest to the highest value that the space or a trial has. With
    `choices` the values are the indices of these.
    """

    name: str
    low: float
    high: float
    scale: Scale = "linear"
    choices: tuple[Any, ...] = ()

    @property
    def words(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def label(self) -> str:
        """The name in words, with its unit."""
        known = HYPERPARAMETERS.get(self.name)
        return known.label if known else self.words

    def positions(self, trials: Iterable[Trial]) -> list[float]:
        """Return the positions of the trials' values."""
        return [self.position(trial.value(self.name)) for trial in trials]

    def format(self, value: Any) -> str:
        """Return a value as a short text."""
        return printable(format_value(self.name, value), 16)

    def position(self, value: Any) -> float:
        """Return the position of a value: 0 at the low end or below it, 1 at the high end."""
        number = float(self.choices.index(value) if self.choices else value)
        if number < self.low:
            return 0.0
        if self.high == self.low:
            return 0.5
        numbers = np.array([self.low, number, self.high])
        if self.scale != "linear":
            numbers = np.log10(numbers) if self.scale == "log" else stretch(numbers)
        low, middle, high = numbers.tolist()
        return float((middle - low) / (high - low))

    def ticks(self) -> dict[float, str]:
        """Return the positions of a few round values, or of all choices, with their labels."""
        if self.choices:
            return {self.position(choice): self.format(choice) for choice in self.choices}
        formatter: Formatter = RoundFormatter(100 if self.scale == "accuracy" else 1)
        if self.low == self.high:
            ticks = [self.low]
        elif self.scale == "accuracy":
            ticks = AccuracyLocator().tick_values(self.low, self.high)
        elif self.scale == "log":
            ticks = RoundLocator(4).tick_values(self.low, self.high)
            formatter = FuncFormatter(_power)
        else:
            ticks = even_ticks(self.low, self.high, 5)
        labels = formatter.format_ticks(ticks)
        return {self.position(tick): label for tick, label in zip(ticks, labels, strict=True)}


def _power(value: float, _: int | None = None) -> str:
    """Format a number as it is, or as a power of ten if it is a small one."""
    exponent = round(math.log10(value))
    if value >= 1e-3 or not math.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def dimensions(ledger: Ledger) -> list[Dimension]:
    """Return the hyperparameters that the sweep searches, in the config's order."""
    found = []
    for name, drawn in distributions(ledger).items():
        if isinstance(drawn, CategoricalDistribution):
            found.append(Dimension(name, 0, len(drawn.choices) - 1, choices=drawn.choices))
        else:
            assert isinstance(drawn, FloatDistribution)
            scale: Scale = "log" if drawn.log else "linear"
            found.append(Dimension(name, drawn.low, drawn.high, scale))
    return found
