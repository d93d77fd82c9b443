"""The importance of each hyperparameter, and the level of chance.

The importance is the coefficient of determination of a parabola through the ranks of the scores
(for choices, of their means): what a hyperparameter explains alone, its main effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.formatting import count
from analysis.hyperparameters import in_words
from analysis.plots.points import Dimension, Points, points
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.style import BLUE, INK, add_legend, new_figure
from analysis.records.ledger import Ledger
from analysis.results.selection import Selection

_FEWEST = 12  # of fewer trials, chance explains more than half
# By chance, a value exceeds the tenth highest of 199 shuffled ones once in 20 times.
_SHUFFLES = 199
_PALE_BLUE = "#C4D6E2"


@dataclass(frozen=True)
class Importance:
    """The importance of the hyperparameter `name`.

    `value`, from 0 to 1, is the share of the differences between the scores' ranks that it
    explains alone. If scores do not depend on hyperparameters, the largest of all exceeds
    `by_chance` once in 20 times.
    """

    name: str
    value: float
    by_chance: float

    @property
    def is_clear(self) -> bool:
        """Whether it is above chance."""
        return self.value > self.by_chance


def importances(ledger: Ledger) -> list[Importance]:
    """Return the importance of every searched hyperparameter, the largest first.

    The trials that ran all their epochs count, or the previews if they are more. Raises
    NothingToDrawError if they are too few or have the same score, or nothing is searched.
    """
    data = points(ledger)
    n = len(counted := _counted(data))
    if n < _FEWEST:
        raise NothingToDrawError(
            f"only {count(n, 'trial')} to compare; at least {_FEWEST} are needed"
        )
    ranks = rankdata([selection.score for selection in counted])
    if np.all(ranks == ranks[0]):
        raise NothingToDrawError("all trials have the same score")
    generator = np.random.default_rng(0)
    shuffled = [generator.permutation(ranks) for _ in range(_SHUFFLES)]
    columns = np.column_stack([ranks, *shuffled])
    explained = np.array([_explained(d, counted, columns) for d in data.dimensions])
    by_chance = float(np.sort(explained[:, 1:].max(axis=0))[-(_SHUFFLES + 1) // 20])
    found = [
        Importance(dimension.name, float(value), by_chance)
        for dimension, value in zip(data.dimensions, explained[:, 0], strict=True)
    ]
    return sorted(found, key=lambda importance: -importance.value)


def most_important(ledger: Ledger, most: int) -> tuple[Sequence[Dimension], str]:
    """Return at most some hyperparameters, in their order, and a sentence if not all.

    They are the most important ones, or the first if the importances cannot be known.
    """
    found = points(ledger).dimensions
    if len(found) <= most:
        return found, ""
    try:
        names, which = [row.name for row in importances(ledger)[:most]], "most important"
    except NothingToDrawError:
        names, which = [dimension.name for dimension in found[:most]], "first"
    about = f"The {most} {which} of {len(found)} hyperparameters. "
    return [dimension for dimension in found if dimension.name in names], about


def _counted(data: Points) -> Sequence[Selection]:
    """Return the previews or the trials that ran all epochs, whichever are more."""
    return max(data.ranked, data.previews, key=len)


def _explained(
    dimension: Dimension, trials: Sequence[Selection], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of the variance of each column, [n, k], that a hyperparameter explains."""
    x = np.array(dimension.positions(selection.trial for selection in trials))
    basis = np.vander(x, 3)
    if dimension.choices:
        basis = (x[:, np.newaxis] == np.unique(x)).astype(float)
    left, sizes, _ = np.linalg.svd(basis, full_matrices=False)
    directions = left[:, sizes > 1e-9 * sizes[0]]
    centered = columns - columns.mean(axis=0)
    return np.asarray(((directions.T @ centered) ** 2).sum(axis=0) / (centered**2).sum(axis=0))


def draw_importance(results: Results) -> Picture:
    """Draw the importances as bars, with the level of chance."""
    data, rows = points(results.ledger), importances(results.ledger)
    counted, chance = _counted(data), rows[0].by_chance
    n, which = len(counted), "ran all epochs" if counted is data.ranked else "were previews"
    trials = count(n, "trial")
    clear = ", ".join(in_words(row.name) for row in rows if row.is_clear)
    note = (
        "Importance: the share of the differences in score, by rank, that a hyperparameter "
        f"explains alone (R² of a parabola), of {trials} that {which}. Chance: the largest bar "
        "exceeds it in 1 of 20 shuffles of the scores. A search varies hyperparameters together, "
        "so that their shares can overlap. With few trials only strong effects show"
        f"{', and early stopping has already removed the worst values' if data.stopped else ''}. "
        f"{data.about_left_out}"
    )
    about = f"{results.about_search} · above chance: {clear or 'none'}"
    figure = new_figure(2.1 + 0.42 * len(rows), about, note, legend_rows=1)
    _draw_bars(figure.subplots(), rows[::-1], chance)
    bars = [
        Patch(color=color, label=label)
        for color, label, is_clear in (
            (BLUE, "above chance", True),
            (_PALE_BLUE, "within chance", False),
        )
        if any(row.is_clear == is_clear for row in rows)
    ]
    add_legend(figure, [*bars, Line2D([], [], color=INK, ls="--", lw=1.4, label="chance")])
    words = ", ".join(f"{in_words(row.name)} {row.value:.2f}" for row in rows)
    return Picture(figure, f"Importance in {trials}: {words}; chance {chance:.2f}.")


def _draw_bars(axes: Axes, rows: list[Importance], chance: float) -> None:
    for y, row in enumerate(rows):
        axes.barh(y, row.value, height=0.56, color=BLUE if row.is_clear else _PALE_BLUE)
    axes.axvline(chance, color=INK, ls="--", lw=1.4)
    axes.set_yticks(range(len(rows)), [in_words(row.name) for row in rows], fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    largest = max(chance, *(row.value for row in rows))
    axes.set(xlabel="importance", xlim=(0, largest * 1.04), ylim=(-0.6, len(rows) - 0.4))
