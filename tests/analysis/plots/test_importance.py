import math
import random

import optuna
import pytest

from analysis.plots.importance import importances
from analysis.plots.results import NothingToDrawError
from analysis.results.study import distributions, optuna_trial
from in_memory import make_ledger


def make_trials(n: int, seed: int = 0) -> list[tuple[str, dict[str, float], list[float]]]:
    """Trials whose score depends on dropout alone."""
    rng = random.Random(seed)
    drawn = [(rng.uniform(0, 0.5), rng.uniform(-6, -2)) for _ in range(n)]
    return [
        ("COMPLETE", {"dropout": d, "weight_decay": 10**w}, [0.9, 0.9, 0.9, 0.99 - d / 10])
        for d, w in drawn
    ]


def test_importances_are_optunas_and_find_what_matters():
    ledger = make_ledger(*make_trials(40))
    found = importances(ledger)
    study, space = optuna.create_study(direction="maximize"), distributions(ledger)
    study.add_trials([optuna_trial(trial, space) for trial in ledger.trials.values()])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.1)
    expected = evaluator.evaluate(study)
    dropout, weight_decay = found
    assert (dropout.label, dropout.value) == ("dropout", pytest.approx(expected["dropout"]))
    assert weight_decay.label == "weight decay"
    assert weight_decay.value == pytest.approx(expected["weight_decay"])
    assert dropout.value > max(2 * dropout.by_chance, 4 * weight_decay.value)
    assert importances(ledger) == found  # the shuffles are the same every time


def test_importances_stay_within_chance_where_nothing_matters():
    rng = random.Random(7)
    above = 0
    for seed in range(10):
        trials = [
            (state, values, [*accuracies[:-1], rng.uniform(0.98, 0.99)])
            for state, values, accuracies in make_trials(20, seed)
        ]
        above += sum(importance.is_clear for importance in importances(make_ledger(*trials)))
    # Of 20 tests at 1 in 20, more than 5 are above with probability 0.0003.
    assert above <= 5


def test_importances_above_chance_are_before_larger_ones_within_chance():
    rng, trials = random.Random(38), []
    for _ in range(24):
        drawn = {"nesterov": rng.random() < 0.5, "dropout": rng.uniform(0, 0.5)}
        score = rng.gauss(0.95, 0.01) + 0.02 * drawn["nesterov"]
        trials.append(("COMPLETE", drawn, [0.9, 0.9, 0.9, score]))
    space = {"dropout": {"low": 0.0, "high": 0.5}, "nesterov": [True, False]}
    nesterov, dropout = importances(make_ledger(*trials, space=space))
    assert (nesterov.name, nesterov.is_clear, dropout.is_clear) == ("nesterov", True, False)
    assert dropout.value > nesterov.value


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        (make_trials(1), "only 1 trial to compare; at least 20 are needed"),
        (make_trials(19), "only 19 trials to compare; at least 20 are needed"),
        (make_trials(1) * 20, "all trials have the same score"),
    ],
)
def test_importances_need_different_trials(trials, reason):
    with pytest.raises(NothingToDrawError, match=reason):
        importances(make_ledger(*trials))


def test_importances_accept_ties_and_choices():
    trials = [
        ("COMPLETE", {"nesterov": i % 2 == 0}, [0.9, 0.9, 0.9, score])
        for i, score in enumerate([0.95, 0.9, *[0.95] * 18])
    ]
    (nesterov,) = importances(make_ledger(*trials, space={"nesterov": [True, False]}))
    # Chance itself gives it no more than this: the one trial that is worse has one choice.
    assert math.isfinite(nesterov.value)
    assert nesterov.value <= nesterov.by_chance


def test_importances_keep_the_verbosity_of_optuna():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        importances(make_ledger(*make_trials(20)))
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)
