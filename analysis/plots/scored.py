"""The trials as points: their searched hyperparameters, and their score if they have one."""

import math
from dataclasses import dataclass
from typing import Any

from analysis.plots.picture import NothingToDrawError
from analysis.plots.scales import in_view
from analysis.plots.space_axes import Dimension, dimensions
from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import rank_trials


@dataclass(frozen=True)
class Scored:
    """A trial that ran all its epochs, with the score that it is ranked by, a fraction."""

    trial_id: int
    hyperparameters: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Points:
    """All trials of a search, by how they ended.

    Attributes:
        dimensions: The searched hyperparameters.
        ranked: The trials that ran all their epochs, best first.
        stopped: The hyperparameters of the trials that were stopped early.
        failed: Those of the trials that failed.
        n_in_view: How many of the ranked an axis of scores should hold; the rest is far below.
    """

    dimensions: tuple[Dimension, ...]
    ranked: tuple[Scored, ...]
    stopped: tuple[dict[str, Any], ...]
    failed: tuple[dict[str, Any], ...]
    n_in_view: int

    @property
    def in_view(self) -> tuple[Scored, ...]:
        """The ranked trials that an axis of scores should hold."""
        return self.ranked[: self.n_in_view]

    @property
    def far_below(self) -> tuple[dict[str, Any], ...]:
        """The hyperparameters of the others."""
        return tuple(trial.hyperparameters for trial in self.ranked[self.n_in_view :])


def points(ledger: Ledger) -> Points:
    """Returns the trials as points.

    Raises:
        NothingToDrawError: If no trial ran all its epochs, or nothing is searched.
    """
    axes = tuple(dimensions(ledger))
    if not axes:
        raise NothingToDrawError("no hyperparameter is searched")
    ranked = tuple(
        Scored(s.trial.trial_id, _values(s.trial, axes), s.score) for s in rank_trials(ledger)
    )
    if not ranked:
        raise NothingToDrawError("no trial has run all its epochs")
    stopped = tuple(_values(trial, axes) for trial in ledger.in_state("STOPPED"))
    failed = tuple(_values(trial, axes) for trial in ledger.in_state("FAILED"))
    return Points(axes, ranked, stopped, failed, len(in_view(trial.score for trial in ranked)))


def n_best(n: int) -> int:
    """Returns how many of `n` ranked trials count as the best: a tenth, three at least."""
    return min(n, max(3, math.ceil(n / 10)))


def _values(trial: Trial, axes: tuple[Dimension, ...]) -> dict[str, Any]:
    return {axis.name: trial.value(axis.name) for axis in axes}
