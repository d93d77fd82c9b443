from datetime import datetime
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from analysis.results.study import distributions, optuna_trial
from in_memory import make_ledger

SPACE: dict[str, Any] = {
    "dropout": {"low": 0.0, "high": 0.5},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "batch_size": [32, 64],
}
DRAWN = {"dropout": 0.1, "rotation": 0.0, "weight_decay": 1e-3, "batch_size": 32}


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (
            DRAWN,
            [
                FloatDistribution(0.0, 0.5),
                FloatDistribution(1e-6, 1e-2, log=True),
                CategoricalDistribution((32, 64)),
            ],
        ),
        (  # under an earlier space
            {"dropout": 0.7, "weight_decay": 0.0, "batch_size": 128},
            [
                FloatDistribution(0.0, 0.7),
                FloatDistribution(0.0, 1e-2),
                CategoricalDistribution((32, 64, 128)),
            ],
        ),
    ],
)
def test_distributions_cover_the_space_and_all_trials(drawn, expected):
    ledger = make_ledger(("COMPLETE", drawn, [0.9]), space=SPACE)
    assert list(distributions(ledger).items()) == list(zip(SPACE, expected, strict=True))


@pytest.mark.parametrize(
    ("spec", "drawn", "expected"),
    [
        ({"low": 16, "high": 128, "log": True}, 32, IntDistribution(16, 128, log=True)),
        ({"low": 16, "high": 128, "step": 16}, 64, IntDistribution(16, 128, step=16)),
        # under an earlier space
        ({"low": 16, "high": 128, "step": 16}, 24, IntDistribution(16, 128, step=8)),
        ({"low": 16, "high": 128}, 24.5, FloatDistribution(16.0, 128.0)),
    ],
)
def test_distributions_of_integers_have_their_steps(spec, drawn, expected):
    ledger = make_ledger(("COMPLETE", {"batch_size": drawn}, [0.9]), space={"batch_size": spec})
    assert distributions(ledger) == {"batch_size": expected}


@pytest.mark.parametrize(
    ("state", "expected", "value"),
    [
        ("COMPLETE", TrialState.COMPLETE, pytest.approx(0.98)),  # the mean of the last three
        ("STOPPED", TrialState.PRUNED, 0.99),
        ("FAILED", TrialState.FAIL, None),
        (None, TrialState.RUNNING, None),
    ],
)
def test_trial_has_its_state_its_value_and_its_curve(state, expected, value):
    made = (state, DRAWN, [0.90, 0.97, 0.98, 0.99])
    ledger = make_ledger(made, recipe={"schedule": "constant"}, space=SPACE)
    found = optuna_trial(ledger.trials[1], distributions(ledger))
    assert (found.state, found.value) == (expected, value)
    assert found.intermediate_values == {1: 0.90, 2: 0.97, 3: 0.98, 4: 0.99}
    assert found.params == {"dropout": 0.1, "weight_decay": 1e-3, "batch_size": 32}
    about = {"outcome": (state or "RUNNING").lower(), "origin": "proposed"}
    about |= {"reason": "loss became nan"} if state == "FAILED" else {}
    assert found.user_attrs == about
    assert found.datetime_start == datetime.fromtimestamp(100)
    ended = datetime.fromtimestamp(108) if state else None
    assert found.datetime_complete == ended


def test_previews_and_their_repeats_are_told_apart():
    ledger = make_ledger(("STOPPED", DRAWN, [0.97]), ("COMPLETE", DRAWN, [0.99]), space=SPACE)
    preview, repeat = ledger.trials.values()
    preview.preview_epochs, repeat.repeats = 1, 1
    preview_attrs, repeat_attrs = (
        optuna_trial(trial, distributions(ledger)).user_attrs for trial in (preview, repeat)
    )
    assert preview_attrs == {"outcome": "preview", "origin": "proposed"}
    assert repeat_attrs == {"outcome": "complete", "origin": "proposed", "repeats": 1}


def test_trial_without_an_epoch_and_without_all_values():
    drawn = {"dropout": 0.1, "weight_decay": 1e-3}  # the batch size was not searched yet
    space = SPACE | {"unknown": {"low": 0.0, "high": 1.0}}
    ledger = make_ledger(("STOPPED", drawn, []), space=space)
    found = optuna_trial(ledger.trials[1], distributions(ledger))
    assert (found.state, found.value, found.intermediate_values) == (TrialState.PRUNED, None, {})
    assert found.params == drawn | {"batch_size": 64}  # its default
