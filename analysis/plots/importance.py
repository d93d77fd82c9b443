"""How much each hyperparameter sets the best trials apart, and how much chance would.

The importance is PED-ANOVA's, as Optuna computes it: Watanabe, Bansal, Hutter, "PED-ANOVA:
Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scored import Points, n_best, points
from analysis.plots.style import BLUE, INK, Frame, add_keys, counted, new_figure
from analysis.records.ledger import Ledger
from analysis.results.study import distributions

# The fewest of which the best three can be so special that chance does it once in 20 times.
_FEWEST = 6
# Chance exceeds the second highest of 39 shuffles once in 20 times.
_SHUFFLES = 39
_SEED = 0
_UNCLEAR = "#C4D6E2"


@dataclass(frozen=True)
class Importance:
    """One hyperparameter's importance.

    Attributes:
        label: Its name in words.
        value: Pearson divergence of the best trials' values from all trials', at least 0.
        by_chance: What `value` exceeds once in 20 times where scores have nothing to do
            with hyperparameters.
    """

    label: str
    value: float
    by_chance: float


@dataclass(frozen=True)
class Importances:
    """Every searched hyperparameter's importance, highest first.

    Attributes:
        values: One a hyperparameter.
        n_trials: The trials that ran all epochs; no others count.
        n_best: How many of them are the best.
    """

    values: tuple[Importance, ...]
    n_trials: int
    n_best: int


def importances(ledger: Ledger) -> Importances:
    """Returns the importances.

    Raises:
        NothingToDrawError: If too few trials ran all their epochs, or nothing is searched.
    """
    data = points(ledger)
    n = len(data.ranked)
    if n < _FEWEST:
        raise NothingToDrawError(
            f"too few trials: {n} ran all their epochs, and it takes {_FEWEST}"
        )
    if len({trial.score for trial in data.ranked}) == 1:
        raise NothingToDrawError("all trials have the same score")
    scores = np.array([trial.score for trial in data.ranked])
    generator = np.random.default_rng(_SEED)
    # Half a trial less, lest rounding adds one.
    evaluator = PedAnovaImportanceEvaluator(target_quantile=(n_best(n) - 0.5) / n)
    study = _study(data, distributions(ledger))

    def evaluate(scores: np.ndarray) -> dict[str, float]:
        return evaluator.evaluate(study, target=lambda trial: -float(scores[trial.number]))

    with _quiet():
        values = evaluate(scores)
        shuffled = [evaluate(generator.permutation(scores)) for _ in range(_SHUFFLES)]
    found = [
        Importance(d.words, values[d.name], sorted(s[d.name] for s in shuffled)[-2])
        for d in data.dimensions
    ]
    found.sort(key=lambda importance: -importance.value)
    return Importances(tuple(found), n, n_best(n))


def _study(data: Points, space: dict[str, BaseDistribution]) -> optuna.Study:
    """The trials that ran all epochs, as a study in memory, in their order."""
    with _quiet():
        study = optuna.create_study(direction="maximize")
    for trial in data.ranked:
        values = {name: trial.hyperparameters[name] for name in space}
        study.add_trial(
            optuna.trial.create_trial(params=values, distributions=space, value=trial.score)
        )
    return study


@contextmanager
def _quiet() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # A target is minimised, it says; ties may make all trials the best, to which 0 is due.
            warnings.filterwarnings("ignore", message="PedAnova|Target and region quantiles")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def draw_importance(results: Results) -> Picture:
    """Draws the importances as bars, with what chance would give."""
    data = importances(results.ledger)
    count = counted(data.n_trials, "trial")
    n = len(data.values)
    frame = Frame(
        "Which hyperparameters matter: PED-ANOVA",
        f"{results.about_search} · {_verdict(data)}",
        keys=1,
        note=f"Importance: how far the values of the best {data.n_best} lie from those of all "
        f"{count} that ran all epochs (Optuna's PED-ANOVA, Pearson divergence). Chance: what 1 in "
        "20 shuffles of the scores exceeds. Few trials show strong effects only, and early "
        "stopping has weeded out the worst values before.",
    )
    figure = new_figure(2.1 + 0.42 * n, frame)
    axes = figure.subplots()
    largest = max(max(i.value, i.by_chance) for i in data.values)
    for row, importance in enumerate(reversed(data.values)):
        clear = importance.value > importance.by_chance
        axes.barh(row, importance.value, height=0.56, color=BLUE if clear else _UNCLEAR)
        axes.plot([importance.by_chance] * 2, [row - 0.38, row + 0.38], color=INK, lw=1.8)
    axes.set_yticks(range(n), [i.label for i in reversed(data.values)], fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="importance", xlim=(0, largest * 1.04), ylim=(-0.6, n - 0.4))
    add_keys(
        figure,
        [
            Patch(color=BLUE, label="above chance"),
            Patch(color=_UNCLEAR, label="no clearer than chance"),
            Line2D([], [], color=INK, ls="", marker="|", ms=11, mew=1.8, label="chance"),
        ],
    )
    words = ", ".join(f"{i.label} {i.value:.3g} (chance {i.by_chance:.3g})" for i in data.values)
    return Picture(figure, f"Importance by PED-ANOVA of {count}: {words}.")


def _verdict(data: Importances) -> str:
    clear = [i.label for i in data.values if i.value > i.by_chance]
    return f"above chance: {', '.join(clear)}" if clear else "none stands out from chance"
