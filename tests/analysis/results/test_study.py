from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from analysis.records.ledger import EpochRecord, Ledger, SweepCreated, Trial, read_ledger
from analysis.results.study import distributions, optuna_trial
from analysis.storage.folder import Folder

SPACE: dict[str, Any] = {
    "dropout": {"low": 0.0, "high": 0.5},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "batch_size": [32, 64],
}
CONFIG: dict[str, Any] = {"space": SPACE, "recipe": {"schedule": "constant"}, "epochs": 4}


def make_trial(state: Any, accuracies: list[float], **changes: Any) -> Trial:
    values = {"dropout": 0.1, "rotation": 0.0, "weight_decay": 1e-3, "batch_size": 32} | changes
    trial = Trial(7, 123, values, started=1000.0, config=CONFIG, state=state)
    for epoch, accuracy in enumerate(accuracies, start=1):
        trial.epochs.append(EpochRecord(0.0, 7, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
    if state != "RUNNING":
        trial.ended = 2000.0
    return trial


def make_ledger(*trials: Trial, space: dict[str, Any] = SPACE) -> Ledger:
    ledger = Ledger(SweepCreated(0.0, 1, "made", CONFIG | {"space": space}))
    ledger.trials = dict(enumerate(trials, start=1))
    return ledger


def test_distributions_are_those_of_the_space() -> None:
    assert distributions(make_ledger()) == {
        "dropout": FloatDistribution(0.0, 0.5),
        "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
        "batch_size": CategoricalDistribution((32, 64)),
    }


def test_distributions_are_wide_enough_for_an_earlier_space() -> None:
    trial = make_trial("COMPLETE", [0.9], dropout=0.7, weight_decay=0.0, batch_size=128)
    assert distributions(make_ledger(trial)) == {
        "dropout": FloatDistribution(0.0, 0.7),
        "weight_decay": FloatDistribution(0.0, 1e-2),
        "batch_size": CategoricalDistribution((32, 64, 128)),
    }


def test_distributions_take_whole_numbers() -> None:
    space = {"batch_size": {"low": 16, "high": 128}}
    found = distributions(make_ledger(space=space))
    assert found == {"batch_size": FloatDistribution(16.0, 128.0)}


@pytest.mark.parametrize(
    ("state", "expected", "value"),
    [
        ("COMPLETE", TrialState.COMPLETE, pytest.approx(0.98)),  # the mean of the last three
        ("STOPPED", TrialState.PRUNED, 0.99),
        ("FAILED", TrialState.FAIL, None),
        ("RUNNING", TrialState.RUNNING, None),
    ],
)
def test_optuna_trial_tells_how_a_trial_ended(
    state: str, expected: TrialState, value: float | None
) -> None:
    trial = make_trial(state, [0.90, 0.97, 0.98, 0.99])
    found = optuna_trial(trial, distributions(make_ledger(trial)))
    assert (found.state, found.value) == (expected, value)
    assert found.intermediate_values == {1: 0.90, 2: 0.97, 3: 0.98, 4: 0.99}
    assert found.params == {"dropout": 0.1, "weight_decay": 1e-3, "batch_size": 32}
    assert found.user_attrs == {"trial_id": 7}
    assert found.datetime_start == datetime.fromtimestamp(1000)
    ended = None if state == "RUNNING" else datetime.fromtimestamp(2000)
    assert found.datetime_complete == ended


def test_optuna_trial_without_an_epoch() -> None:
    trial = make_trial("STOPPED", [])
    found = optuna_trial(trial, distributions(make_ledger(trial)))
    assert (found.state, found.value, found.intermediate_values) == (TrialState.PRUNED, None, {})


def test_optuna_trial_leaves_out_what_was_not_searched_yet() -> None:
    trial = make_trial("COMPLETE", [0.9])
    del trial.hyperparameters["batch_size"]
    found = optuna_trial(trial, distributions(make_ledger(trial)))
    assert list(found.params) == list(found.distributions) == ["dropout", "weight_decay"]


def test_optuna_trial_tells_why_a_trial_failed() -> None:
    trial = make_trial("FAILED", [0.5])
    trial.reason = "training loss became nan in epoch 2"
    found = optuna_trial(trial, distributions(make_ledger(trial)))
    assert found.user_attrs == {"trial_id": 7, "reason": "training loss became nan in epoch 2"}


def test_optuna_trials_of_a_whole_sweep(search_folder: Callable[..., Folder]) -> None:
    ledger = read_ledger(search_folder(n_trials=30, n_running=2, failure_rate=0.2))
    space = distributions(ledger)
    found = [optuna_trial(trial, space) for trial in ledger.trials.values()]
    counts = {state: sum(trial.state == state for trial in found) for state in TrialState}
    for state, own in (("COMPLETE", TrialState.COMPLETE), ("STOPPED", TrialState.PRUNED)):
        assert counts[own] == len(ledger.in_state(state)) > 0
    assert counts[TrialState.FAIL] == len(ledger.in_state("FAILED")) > 0
    assert counts[TrialState.RUNNING] == 2
