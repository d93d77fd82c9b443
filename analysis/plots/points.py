"""The trials of a search as points: their searched hyperparameters, and their score."""

import math
from dataclasses import dataclass
from typing import Any

from analysis.plots.dimensions import Dimension, dimensions
from analysis.plots.picture import NothingToDrawError
from analysis.plots.scales import in_view
from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import rank_trials

_FEWEST = 8  # the best few of fewer trials say nothing about where good values are


@dataclass(frozen=True)
class Scored:
    """A trial that ran all its epochs, and the score that it is ranked by (a fraction)."""

    trial_id: int
    hyperparameters: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Points:
    """All ended trials of a search.

    Attributes:
        dimensions: The searched hyperparameters.
        ranked: The trials that ran all their epochs, best first.
        stopped: The hyperparameters of the trials that were stopped early.
        failed: The hyperparameters of the trials that failed.
        n_in_view: How many of the ranked trials an axis of scores should show; the others are
            far below.
    """

    dimensions: tuple[Dimension, ...]
    ranked: tuple[Scored, ...]
    stopped: tuple[dict[str, Any], ...]
    failed: tuple[dict[str, Any], ...]
    n_in_view: int

    @property
    def in_view(self) -> tuple[Scored, ...]:
        """The ranked trials that an axis of scores should show."""
        return self.ranked[: self.n_in_view]

    @property
    def far_below(self) -> tuple[dict[str, Any], ...]:
        """The hyperparameters of the other ranked trials."""
        return tuple(trial.hyperparameters for trial in self.ranked[self.n_in_view :])

    @property
    def best(self) -> tuple[Scored, ...]:
        """The best tenth of the ranked trials, at least three; of fewer than eight, the best."""
        n = len(self.ranked)
        return self.ranked[: max(3, math.ceil(n / 10)) if n >= _FEWEST else 1]


def points(ledger: Ledger) -> Points:
    """Return the trials as points.

    Raises:
        NothingToDrawError: If no trial ran all its epochs, or nothing is searched.
    """
    searched = tuple(dimensions(ledger))
    if not searched:
        raise NothingToDrawError("no hyperparameter is searched")

    def values(trial: Trial) -> dict[str, Any]:
        return {dimension.name: trial.value(dimension.name) for dimension in searched}

    ranked = tuple(Scored(s.trial.trial_id, values(s.trial), s.score) for s in rank_trials(ledger))
    if not ranked:
        raise NothingToDrawError("no trial has run all its epochs")
    stopped = tuple(values(trial) for trial in ledger.in_state("STOPPED"))
    failed = tuple(values(trial) for trial in ledger.in_state("FAILED"))
    n_in_view = len(in_view(trial.score for trial in ranked))
    return Points(searched, ranked, stopped, failed, n_in_view)
