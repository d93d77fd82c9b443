from collections.abc import Callable, Mapping
from typing import Any

import pytest

from analysis.records.ledger import EpochRecord, Ledger, SweepCreated, TrialEnded, TrialStarted

CONFIG: dict[str, Any] = {
    "seed": 0,
    "trials": 4,
    "epochs": 4,
    "recipe": {"schedule": "constant"},
    "space": {"dropout": {"low": 0.0, "high": 0.5}},
    "confirm": {"top_k": 1, "seeds": 5},
}


def _make_ledger(
    accuracies: Mapping[int, list[float]],
    states: Mapping[int, Any] | None = None,
    *,
    hyperparameters: Mapping[int, dict[str, Any]] | None = None,
    **config: Any,
) -> Ledger:
    """Make a ledger in memory from validation accuracies by trial.

    Trials start at 1000 s and end at 2000 s, and are COMPLETE unless `states` says otherwise;
    `config` overrides `CONFIG`.
    """
    ledger = Ledger(SweepCreated(0.0, 1, "made", CONFIG | config))
    for trial_id, values in accuracies.items():
        drawn = (hyperparameters or {}).get(trial_id, {})
        ledger.apply(TrialStarted(1000.0, trial_id, 7, drawn))
        for epoch, value in enumerate(values, start=1):
            ledger.apply(EpochRecord(1500.0, trial_id, epoch, 0.5, 0.75, 0.25, value, 2.0, 100.0))
        state = (states or {}).get(trial_id, "COMPLETE")
        if state != "RUNNING":
            reason = "loss became nan" if state == "FAILED" else None
            ledger.apply(TrialEnded(2000.0, trial_id, state, reason))
    return ledger


@pytest.fixture(scope="session")
def make_ledger() -> Callable[..., Ledger]:
    return _make_ledger
