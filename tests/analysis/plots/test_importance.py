import random

import numpy as np
import pytest

from analysis.plots.importance import draw_importance, importances
from analysis.plots.results import NothingToDrawError
from in_memory import make_ledger
from shown import show

SPACE = {"dropout": {"low": 0.0, "high": 0.5}, "nesterov": [True, False]}


def make_trials(n: int, seed: int = 0) -> list[tuple[str, dict[str, float], list[float]]]:
    """Trials whose score is highest at a dropout of 0.2, and depends on nothing else."""
    rng = random.Random(seed)
    drawn = [(rng.uniform(0, 0.5), rng.uniform(-6, -2)) for _ in range(n)]
    return [
        ("COMPLETE", {"dropout": d, "weight_decay": 10**w}, [0.9, 0.9, 0.9, 0.99 - (d - 0.2) ** 2])
        for d, w in drawn
    ]


def test_importance_is_what_a_parabola_explains_of_the_ranks():
    trials = make_trials(40)
    dropout, weight_decay = importances(make_ledger(*trials))
    ranks = np.argsort(np.argsort([curve[-1] for *_, curve in trials]))
    x = [values["dropout"] for _, values, _ in trials]
    rest = ranks - np.polyval(np.polyfit(x, ranks, 2), x)
    assert (dropout.name, dropout.value) == (
        "dropout",
        pytest.approx(1 - rest.var() / ranks.var()),
    )
    assert dropout.value > 0.9
    assert weight_decay.name == "weight_decay"
    assert weight_decay.value < weight_decay.by_chance == dropout.by_chance < 0.4


def test_importance_of_choices_is_what_their_means_explain():
    trials = [
        ("COMPLETE", {"nesterov": i % 4 == 0, "dropout": 0.01 * i}, [0.9, 0.9, 0.9, score])
        for i, score in enumerate([0.95, 0.91, 0.92, 0.93] * 4)
    ]
    nesterov, dropout = importances(make_ledger(*trials, space=SPACE))
    # The ranks are 2.5, 6.5, 10.5 and 14.5; those of the two choices have the means 14.5 and 6.5.
    assert nesterov.value == pytest.approx((3 / 16 * 8**2) / 20)
    assert nesterov.is_clear
    assert not dropout.is_clear


def test_importances_stay_within_chance_where_nothing_matters():
    rng = random.Random(7)
    above = 0
    for seed in range(40):
        trials = [
            (state, values, [*accuracies[:-1], rng.uniform(0.98, 0.99)])
            for state, values, accuracies in make_trials(20, seed)
        ]
        above += any(importance.is_clear for importance in importances(make_ledger(*trials)))
    # Of 40 searches at 1 in 20, more than 7 are above with probability 0.0006.
    assert above <= 7


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        (make_trials(1), "only 1 trial to compare; at least 12 are needed"),
        (make_trials(11), "only 11 trials to compare; at least 12 are needed"),
        (make_trials(1) * 12, "all trials have the same score"),
    ],
)
def test_importances_need_different_trials(trials, reason):
    with pytest.raises(NothingToDrawError, match=reason):
        importances(make_ledger(*trials))


def test_hyperparameter_with_one_value_explains_nothing():
    trials = [
        (state, values | {"dropout": 0.1}, curve) for state, values, curve in make_trials(12)
    ]
    found = {row.name: row.value for row in importances(make_ledger(*trials))}
    assert found["dropout"] == pytest.approx(0)


def test_picture_says_what_is_above_chance():
    shown = show(draw_importance, make_ledger(*make_trials(40)))
    assert "above chance: dropout" in shown.text
    assert shown.alt.startswith("Importance in 40 trials: dropout 0.9")
    (axes,) = shown.figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["weight decay", "dropout"]
