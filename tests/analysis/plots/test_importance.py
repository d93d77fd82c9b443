import math
import random
from collections.abc import Callable

import optuna
import pytest

from analysis.plots.importance import importances
from analysis.plots.picture import NothingToDrawError
from analysis.records.ledger import Ledger


def make_trials(n: int, seed: int = 0) -> list[tuple[str, dict[str, float], list[float]]]:
    """Trials whose score depends on dropout alone."""
    rng = random.Random(seed)
    drawn = [(rng.uniform(0, 0.5), rng.uniform(-6, -2)) for _ in range(n)]
    return [
        ("COMPLETE", {"dropout": d, "weight_decay": 10**w}, [0.9, 0.9, 0.9, 0.99 - d / 10])
        for d, w in drawn
    ]


def test_importances_find_what_matters(make_ledger: Callable[..., Ledger]) -> None:
    data = importances(make_ledger(*make_trials(40)))
    assert (data.n_trials, data.n_best) == (40, 4)
    assert [importance.label for importance in data.values] == ["dropout", "weight decay"]
    dropout, weight_decay = data.values
    assert dropout.is_clear
    assert dropout.value > 2 * dropout.by_chance
    assert weight_decay.value < dropout.value / 4


def test_importances_are_optunas(make_ledger: Callable[..., Ledger]) -> None:
    trials = make_trials(40)
    data = importances(make_ledger(*trials))
    study = optuna.create_study(direction="maximize")
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        "dropout": optuna.distributions.FloatDistribution(0.0, 0.5),
        "weight_decay": optuna.distributions.FloatDistribution(1e-6, 1e-2, log=True),
    }
    for _, values, accuracies in trials:
        study.add_trial(
            optuna.trial.create_trial(
                params=values, distributions=distributions, value=accuracies[-1]
            )
        )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.1)
    expected = evaluator.evaluate(study)
    assert importances(make_ledger(*trials)) == data  # the shuffles are the same every time
    found = {importance.label: importance.value for importance in data.values}
    assert found["dropout"] == pytest.approx(expected["dropout"])
    assert found["weight decay"] == pytest.approx(expected["weight_decay"])


def test_importances_stay_within_chance_where_nothing_matters(
    make_ledger: Callable[..., Ledger],
) -> None:
    rng = random.Random(7)
    above = 0
    for seed in range(20):
        trials = [
            (state, values, [*accuracies[:-1], rng.uniform(0.98, 0.99)])
            for state, values, accuracies in make_trials(20, seed)
        ]
        data = importances(make_ledger(*trials))
        above += sum(importance.value > importance.by_chance for importance in data.values)
    # Of 40 tests at 1 in 20, more than 8 are above with probability 0.0002.
    assert above <= 8


@pytest.mark.parametrize("n", [1, 9])
def test_importances_need_trials(make_ledger: Callable[..., Ledger], n: int) -> None:
    with pytest.raises(
        NothingToDrawError, match=f"{n} trials? ran all epochs, and at least 10 are needed"
    ):
        importances(make_ledger(*make_trials(n)))


def test_importances_need_different_scores(make_ledger: Callable[..., Ledger]) -> None:
    values = {"dropout": 0.1, "weight_decay": 1e-4}
    ledger = make_ledger(*[("COMPLETE", values, [0.9, 0.9, 0.9, 0.95])] * 10)
    with pytest.raises(NothingToDrawError, match="all trials have the same score"):
        importances(ledger)


def test_importances_accept_ties_and_choices(make_ledger: Callable[..., Ledger]) -> None:
    trials = [
        ("COMPLETE", {"nesterov": i % 2 == 0}, [0.9, 0.9, 0.9, score])
        for i, score in enumerate([0.95, 0.9, *[0.95] * 8])
    ]
    data = importances(make_ledger(*trials, space={"nesterov": [True, False]}))
    (nesterov,) = data.values
    # Chance itself gives it no more than this: the one trial that is worse has one choice.
    assert math.isfinite(nesterov.value)
    assert nesterov.value <= nesterov.by_chance


def test_importances_keep_the_verbosity_of_optuna(make_ledger: Callable[..., Ledger]) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        importances(make_ledger(*make_trials(10)))
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)
