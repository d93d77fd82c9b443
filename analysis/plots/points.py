"""The trials of a search as points: their searched hyperparameters as axes, and their score."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.ticker import Formatter, FuncFormatter
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from analysis.formatting import count, percent_number, printable, short_names
from analysis.hyperparameters import HYPERPARAMETERS, format_value, in_words
from analysis.plots.results import NothingToDrawError
from analysis.plots.scales import (
    AccuracyLocator,
    RoundFormatter,
    RoundLocator,
    even_ticks,
    in_view,
    stretch,
)
from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import Selection, preview_score, rank_trials
from analysis.results.study import distributions

Scale = Literal["linear", "log", "accuracy"]
FEWEST = 8  # fewer points do not show where good values are
_MOST_EARLIER = 4  # choices of an earlier config that are shown one by one
_EARLIER = "earlier"
GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it, modulo 1, are spread evenly
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Dimension:
    """One axis of the search space, or the axis of the score.

    It extends from the lowest to the highest value that the space or a trial has. With
    `choices` the values are the indices of these; the last may stand for all others. The values
    are integers if both ends are. Accuracies are measured on `n_images`.
    """

    name: str
    low: float
    high: float
    scale: Scale = "linear"
    choices: tuple[Any, ...] = ()
    n_images: int = 0

    @property
    def words(self) -> str:
        """The name in words."""
        return in_words(self.name)

    @property
    def label(self) -> str:
        """The name in words, with its unit."""
        known = HYPERPARAMETERS.get(self.name)
        return known.label if known else self.words

    @property
    def margin(self) -> float:
        """How much space an axis needs at both ends."""
        return 0.5 / max(len(self.choices) - 1, 1) if self.choices else 0.04

    def positions(self, trials: Iterable[Trial]) -> list[float]:
        """Return the positions of the trials' values."""
        return [self.position(trial.value(self.name)) for trial in trials]

    def format(self, value: Any) -> str:
        """Return a value as a short text."""
        return printable(format_value(self.name, value), 16)

    def position(self, value: Any) -> float:
        """Return the position of a value: 0 at the low end or below it, 1 at the high end."""
        if self.choices:
            value = self.choices.index(value) if value in self.choices else self.high
        number = float(value)
        if number < self.low:
            return 0.0
        if self.high == self.low:
            return 0.5
        numbers = np.array([self.low, number, self.high])
        if self.scale != "linear":
            is_log = self.scale == "log"
            numbers = np.log10(numbers) if is_log else stretch(numbers, self.n_images)
        low, middle, high = numbers.tolist()
        return float((middle - low) / (high - low))

    def ticks(self, longest: int = 16, *, few: bool = False) -> dict[float, str]:
        """Return the positions of round values, or of all choices, with their labels.

        Labels of choices are cut to `longest`. A small panel has space for `few` values.
        """
        if self.choices:
            labels = short_names((format_value(self.name, c) for c in self.choices), longest)
            return dict(zip(map(self.position, self.choices), labels, strict=True))
        formatter: Formatter = RoundFormatter(100 if self.scale == "accuracy" else 1)
        if self.low == self.high:
            label = self.format(self.low)
            if self.scale == "accuracy":
                label = percent_number(self.low)
            return {self.position(self.low): label}
        if self.scale == "accuracy":
            ticks = AccuracyLocator(self.n_images).tick_values(self.low, self.high)
        elif self.scale == "log":
            ticks = RoundLocator(2 if few else 4).tick_values(self.low, self.high)
            formatter = FuncFormatter(_power)
        else:
            ticks = even_ticks(self.low, self.high, 5)
        if isinstance(self.low, int) and isinstance(self.high, int):
            ticks = [tick for tick in ticks if tick == round(tick)]
        labels = formatter.format_ticks(ticks)
        return {self.position(tick): label for tick, label in zip(ticks, labels, strict=True)}


def _power(value: float, _: int | None = None) -> str:
    """Format a number as it is, or as a power of ten if it is a small one."""
    exponent = round(math.log10(value))
    if value >= 1e-3 or not math.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


@dataclass(frozen=True)
class Points:
    """The ended trials of a search, and the hyperparameters in its space, in their order.

    Trials of an earlier config that have no value of one of them are `left_out`.

    The scores are measured on `n_images`. Of the `ranked` trials, best first, an axis of scores
    should show the first `n_in_view`; the others are far below. The same holds for the
    `previews`, which are not among the `stopped`.
    """

    dimensions: Sequence[Dimension]
    n_images: int
    ranked: Sequence[Selection]
    n_in_view: int
    previews: Sequence[Selection]
    n_previews_in_view: int
    stopped: Sequence[Trial]
    failed: Sequence[Trial]
    left_out: Sequence[Trial]

    @property
    def about_left_out(self) -> str:
        """How many trials are left out, as a sentence; empty if none."""
        if not self.left_out:
            return ""
        trials = count(len(self.left_out), "trial")
        names = (
            dimension.words
            for dimension in self.dimensions
            if any(trial.value(dimension.name) is None for trial in self.left_out)
        )
        return f"Left out: {trials} without a value of {', '.join(names)}. "

    @property
    def best_words(self) -> str:
        """How the best trial of these is called."""
        return "best shown" if self.left_out else "best"

    @property
    def best_label(self) -> str:
        """The best trial of these in a legend."""
        return f"{self.best_words}: trial {self.ranked[0].trial.trial_id}"

    @property
    def far_below(self) -> list[Trial]:
        """The ranked trials that an axis of scores should not show."""
        return [selection.trial for selection in self.ranked[self.n_in_view :]]

    @property
    def previews_far_below(self) -> list[Trial]:
        """The previews that it should not show."""
        return [selection.trial for selection in self.previews[self.n_previews_in_view :]]

    @property
    def score(self) -> Dimension:
        """An axis of the scores of trials and previews, without those that are far below."""
        in_view = [*self.ranked[: self.n_in_view], *self.previews[: self.n_previews_in_view]]
        scores = [selection.score for selection in in_view]
        name, n_images = "validation accuracy (%)", self.n_images
        return Dimension(name, min(scores), max(scores), "accuracy", n_images=n_images)

    @property
    def about_colors(self) -> str:
        """What a color that stands for the score means, as sentences."""
        text = "Color: score, on a log scale of the error"
        text += " (previews: accuracy after their last epoch). " if self.previews else ". "
        if below := [*self.far_below, *self.previews_far_below]:
            trials = count(len(below), "trial")
            text += f"{trials} far below the others: lowest color. "
        return text

    @property
    def n_best(self) -> int:
        """How many trials count as the best: a tenth, at least three; one of fewer than eight.

        Those that tie with the last of them count, too.
        """
        n = len(self.ranked)
        if n < FEWEST:
            return 1
        last = self.ranked[max(3, math.ceil(n / 10)) - 1].score
        return sum(selection.score >= last for selection in self.ranked)

    @property
    def has_range(self) -> bool:
        """Whether the best are enough for the range of their values to be more than chance."""
        return FEWEST <= self.n_best <= len(self.ranked) / 2


def spread(dimension: Dimension, trials: Iterable[Trial]) -> list[float]:
    """Return the positions of trials; those with the same choice are spread around it."""
    positions = dimension.positions(trials)
    if not dimension.choices:
        return positions
    width = 0.3 / max(len(dimension.choices) - 1, 1)
    return [p + width * ((i * GOLDEN + 0.5) % 1 - 0.5) for i, p in enumerate(positions)]


def points(ledger: Ledger) -> Points:
    """Return the trials as points; NothingToDrawError without a complete trial or a space."""
    searched = []
    for name, drawn in distributions(ledger).items():
        if isinstance(drawn, CategoricalDistribution):
            choices = tuple(drawn.choices)
            now = len(ledger.config["space"][name])
            if len(choices) > now + _MOST_EARLIER:
                choices = (*choices[:now], _EARLIER)
            searched.append(Dimension(name, 0, len(choices) - 1, choices=choices))
        else:
            assert isinstance(drawn, FloatDistribution | IntDistribution)
            scale: Scale = "log" if drawn.log else "linear"
            searched.append(Dimension(name, drawn.low, drawn.high, scale))
    if not searched:
        raise NothingToDrawError("no hyperparameter is searched")

    def has_values(trial: Trial) -> bool:
        return all(trial.value(dimension.name) is not None for dimension in searched)

    trials = [*filter(has_values, ledger.trials.values())]
    left_out = [trial for trial in ledger.trials.values() if not has_values(trial)]
    ranked = [selection for selection in rank_trials(ledger) if has_values(selection.trial)]
    if not ranked:
        with_values = " with a value of every hyperparameter" if left_out else ""
        raise NothingToDrawError(f"no trial{with_values} has run all its epochs")
    previews = [p for p in rank_trials(ledger, preview_score) if has_values(p.trial)]
    n_images = ledger.data.n_validation

    def n_in_view(selections: list[Selection]) -> int:
        scores = [selection.score for selection in selections]
        return len(in_view(scores, n_images)) if scores else 0

    return Points(
        searched,
        n_images,
        ranked,
        n_in_view=n_in_view(ranked),
        previews=previews,
        n_previews_in_view=n_in_view(previews),
        stopped=[trial for trial in trials if trial.outcome == "stopped"],
        failed=[trial for trial in trials if trial.state == "FAILED"],
        left_out=left_out,
    )
