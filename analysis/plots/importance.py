"""The importance of each hyperparameter, and the level of chance.

The importance is PED-ANOVA's, as Optuna computes it: Watanabe, Bansal, Hutter, "PED-ANOVA:
Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.formatting import count
from analysis.plots.points import Points, n_best, points
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.style import BLUE, INK, add_legend, new_figure
from analysis.records.ledger import Ledger
from analysis.results.selection import Selection
from analysis.results.study import distributions, optuna_trial

# Of ten trials, chance hides even a hyperparameter that alone determines the score every sixth
# time; of twenty never.
_FEWEST = 20
# By chance, a value exceeds the second highest of 39 shuffled ones once in 20 times.
_SHUFFLES = 39
_PALE_BLUE = "#C4D6E2"


@dataclass(frozen=True)
class Importance:
    """The importance of the hyperparameter `name`.

    `value` is the Pearson divergence of the best trials' values from all trials', at least 0.
    It exceeds `by_chance` once in 20 times if scores do not depend on hyperparameters.
    """

    name: str
    value: float
    by_chance: float

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def is_clear(self) -> bool:
        """Whether it is above chance."""
        return self.value > self.by_chance


def importances(ledger: Ledger) -> list[Importance]:
    """Return every searched hyperparameter's importance: those above chance first, by value.

    The trials that ran all their epochs count, or the previews if they are more. Raises
    NothingToDrawError if they are too few or have the same score, or nothing is searched.
    """
    data = points(ledger)
    n = len(counted := _counted(data))
    if n < _FEWEST:
        raise NothingToDrawError(
            f"only {count(n, 'trial')} to compare; at least {_FEWEST} are needed"
        )
    scores = np.array([selection.score for selection in counted])
    if np.all(scores == scores[0]):
        raise NothingToDrawError("all trials have the same score")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    optuna.logging.set_verbosity(verbosity)
    space, generator = distributions(ledger), np.random.default_rng(0)
    # To Optuna's importance a preview is as complete as any other trial.
    trials = [replace(one.trial, state="COMPLETE") for one in counted]
    study.add_trials([optuna_trial(trial, space) for trial in trials])
    # Half a trial less, so that rounding does not add one.
    quantile = (n_best(n) - 0.5) / n
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)

    def evaluate(scores: np.ndarray) -> dict[str, float]:
        return evaluator.evaluate(study, target=lambda trial: -float(scores[trial.number]))

    with warnings.catch_warnings():
        # Optuna warns that it minimizes, and if ties make all trials the best (importance 0).
        warnings.filterwarnings("ignore", message="PedAnova|Target and region quantiles")
        values = evaluate(scores)
        shuffled = [evaluate(generator.permutation(scores)) for _ in range(_SHUFFLES)]
    found = [
        Importance(d.name, values[d.name], sorted(s[d.name] for s in shuffled)[-2])
        for d in data.dimensions
    ]
    return sorted(found, key=lambda importance: (not importance.is_clear, -importance.value))


def _counted(data: Points) -> Sequence[Selection]:
    """Return the previews or the trials that ran all epochs, whichever are more."""
    return max(data.ranked, data.previews, key=len)


def draw_importance(results: Results) -> Picture:
    """Draw the importances as bars, with the level of chance."""
    data, rows = points(results.ledger), importances(results.ledger)
    counted = _counted(data)
    n, which = len(counted), "ran all epochs" if counted is data.ranked else "were previews"
    trials = count(n, "trial")
    clear = ", ".join(row.label for row in rows if row.is_clear)
    note = (
        f"Importance: how far the values of the best {n_best(n)} are from those of all {trials} "
        f"that {which} (PED-ANOVA, Pearson divergence). Chance: exceeded by 1 in 20 "
        "shuffles of the scores. With few trials only strong effects show"
        f"{', and early stopping has already removed the worst values' if data.stopped else ''}. "
        f"{data.about_left_out}"
    )
    about = f"{results.about_search} · above chance: {clear or 'none'}"
    figure = new_figure(2.1 + 0.42 * len(rows), about, note, legend_rows=1)
    _draw_bars(figure.subplots(), rows[::-1])
    chance = Line2D([], [], color=INK, ls="", marker="|", ms=11, mew=1.8, label="chance")
    bars = (
        Patch(color=BLUE, label="above chance"),
        Patch(color=_PALE_BLUE, label="within chance"),
    )
    add_legend(figure, [*bars, chance])
    words = ", ".join(f"{r.label} {r.value:.3g} (chance {r.by_chance:.3g})" for r in rows)
    return Picture(figure, f"Importance by PED-ANOVA of {trials}: {words}.")


def _draw_bars(axes: Axes, rows: list[Importance]) -> None:
    for y, row in enumerate(rows):
        axes.barh(y, row.value, height=0.56, color=BLUE if row.is_clear else _PALE_BLUE)
        axes.plot([row.by_chance] * 2, [y - 0.38, y + 0.38], color=INK, lw=1.8)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    largest = max(max(row.value, row.by_chance) for row in rows)
    axes.set(xlabel="importance", xlim=(0, largest * 1.04), ylim=(-0.6, len(rows) - 0.4))
