"""The importance of each hyperparameter, and how much of it chance would give.

The importance is PED-ANOVA's, as Optuna computes it: Watanabe, Bansal, Hutter, "PED-ANOVA:
Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from optuna.importance import PedAnovaImportanceEvaluator

from analysis.formatting import count
from analysis.plots.points import points
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.style import BLUE, INK, add_legend, new_figure
from analysis.records.ledger import Ledger
from analysis.results.study import distributions, optuna_trial

# Of fewer trials the best three are hardly distinct from the others: one of 120 choices.
_FEWEST = 10
# Chance exceeds the second highest of 39 shuffles once in 20 times.
_SHUFFLES = 39
_SEED = 0
_PALE_BLUE = "#C4D6E2"


@dataclass(frozen=True)
class Importance:
    """One hyperparameter's importance.

    `value` is the Pearson divergence of the best trials' values from all trials', at least 0.
    It exceeds `by_chance` once in 20 times if scores do not depend on hyperparameters.
    """

    label: str
    value: float
    by_chance: float

    @property
    def is_clear(self) -> bool:
        """Whether it is above chance."""
        return self.value > self.by_chance


@dataclass(frozen=True)
class Importances:
    """Every searched hyperparameter's importance, highest first.

    `n_trials` trials ran all their epochs, and only these count; `n_best` are the best.
    """

    values: tuple[Importance, ...]
    n_trials: int
    n_best: int


def importances(ledger: Ledger) -> Importances:
    """Return the importances.

    Raises:
        NothingToDrawError: If too few trials ran all their epochs, or nothing is searched.
    """
    data = points(ledger)
    n, n_best = len(data.ranked), data.n_best
    if n < _FEWEST:
        raise NothingToDrawError(
            f"{count(n, 'trial')} ran all epochs, and at least {_FEWEST} are needed"
        )
    scores = np.array([selection.score for selection in data.ranked])
    if np.all(scores == scores[0]):
        raise NothingToDrawError("all trials have the same score")
    generator = np.random.default_rng(_SEED)
    # Half a trial less, so that rounding does not add one.
    evaluator = PedAnovaImportanceEvaluator(target_quantile=(n_best - 0.5) / n)
    with _quiet():
        space, study = distributions(ledger), optuna.create_study(direction="maximize")
        study.add_trials([optuna_trial(selection.trial, space) for selection in data.ranked])

        def evaluate(scores: np.ndarray) -> dict[str, float]:
            return evaluator.evaluate(study, target=lambda trial: -float(scores[trial.number]))

        values = evaluate(scores)
        shuffled = [evaluate(generator.permutation(scores)) for _ in range(_SHUFFLES)]
    found = [
        Importance(d.words, values[d.name], sorted(s[d.name] for s in shuffled)[-2])
        for d in data.dimensions
    ]
    found.sort(key=lambda importance: -importance.value)
    return Importances(tuple(found), n, n_best)


@contextmanager
def _quiet() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Optuna warns that it minimizes, and if ties make all trials the best (importance 0).
            warnings.filterwarnings("ignore", message="PedAnova|Target and region quantiles")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def draw_importance(results: Results) -> Picture:
    """Draw the importances as bars, with the level of chance."""
    data = importances(results.ledger)
    trials = count(data.n_trials, "trial")
    clear = ", ".join(importance.label for importance in data.values if importance.is_clear)
    note = (
        f"Importance: how far the values of the best {data.n_best} are from those of all {trials} "
        "that ran all epochs (PED-ANOVA, Pearson divergence). Chance: what 1 in 20 shuffles of "
        "the scores exceeds. Few trials show only strong effects, and early stopping has "
        "already removed the worst values."
    )
    about = f"{results.about_search} · above chance: {clear or 'none'}"
    figure = new_figure(2.1 + 0.42 * len(data.values), about, note, legend_rows=1)
    _draw_bars(figure.subplots(), data)
    chance = Line2D([], [], color=INK, ls="", marker="|", ms=11, mew=1.8, label="chance")
    bars = (
        Patch(color=BLUE, label="above chance"),
        Patch(color=_PALE_BLUE, label="within chance"),
    )
    add_legend(figure, [*bars, chance])
    words = ", ".join(f"{i.label} {i.value:.3g} (chance {i.by_chance:.3g})" for i in data.values)
    return Picture(figure, f"Importance by PED-ANOVA of {trials}: {words}.")


def _draw_bars(axes: Axes, data: Importances) -> None:
    rows = list(reversed(data.values))
    for y, row in enumerate(rows):
        axes.barh(y, row.value, height=0.56, color=BLUE if row.is_clear else _PALE_BLUE)
        axes.plot([row.by_chance] * 2, [y - 0.38, y + 0.38], color=INK, lw=1.8)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    largest = max(max(row.value, row.by_chance) for row in rows)
    axes.set(xlabel="importance", xlim=(0, largest * 1.04), ylim=(-0.6, len(rows) - 0.4))
