"""The trials of a search as points: their searched hyperparameters, and their score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.plots.dimensions import Dimension, dimensions
from analysis.plots.results import NothingToDrawError
from analysis.plots.scales import in_view
from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import Selection, rank_trials

_FEWEST = 8  # the best few of fewer trials say nothing about where good values are


@dataclass(frozen=True)
class Points:
    """The ended trials of a search, and the hyperparameters that it searches.

    Of the `ranked` trials, best first, an axis of scores should show the first `n_in_view`;
    the others are far below.
    """

    dimensions: Sequence[Dimension]
    ranked: Sequence[Selection]
    n_in_view: int
    stopped: Sequence[Trial]
    failed: Sequence[Trial]

    @property
    def far_below(self) -> list[Trial]:
        """The ranked trials that an axis of scores should not show."""
        return [selection.trial for selection in self.ranked[self.n_in_view :]]

    @property
    def n_best(self) -> int:
        """How many trials count as the best: a tenth, at least three; one of fewer than eight."""
        n = len(self.ranked)
        return max(3, math.ceil(n / 10)) if n >= _FEWEST else 1


def points(ledger: Ledger) -> Points:
    """Return the trials as points.

    Raises:
        NothingToDrawError: If no trial ran all its epochs, or nothing is searched.
    """
    searched, ranked = dimensions(ledger), rank_trials(ledger)
    if not searched:
        raise NothingToDrawError("no hyperparameter is searched")
    if not ranked:
        raise NothingToDrawError("no trial has run all its epochs")
    n_in_view = len(in_view(selection.score for selection in ranked))
    return Points(
        searched, ranked, n_in_view, ledger.in_state("STOPPED"), ledger.in_state("FAILED")
    )
