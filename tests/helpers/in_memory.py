"""Ledgers and confirmations that tests make in memory, without files."""

import itertools
from collections.abc import Sequence
from typing import Any

from analysis.records.confirmation import Arm, Confirmation, ConfirmationBegun, RunEnded, RunEpoch
from analysis.records.ledger import (
    EndState,
    EpochRecord,
    Ledger,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)

CONFIG: dict[str, Any] = {
    "seed": 0,
    "epochs": 4,
    "recipe": {"schedule": "linear"},
    "space": {
        "dropout": {"low": 0.0, "high": 0.5},
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    },
    "scheduler": {"name": "asha", "grace_period": 1, "reduction_factor": 2},
    "confirm": {"top_k": 1, "seeds": 5},
}


def make_ledger(
    *trials: tuple[EndState | None, dict[str, Any], Sequence[float]], **config: Any
) -> Ledger:
    """Make a ledger of trials one after another, with `CONFIG` except for `config`.

    Of each trial the arguments say how it ended, its hyperparameters, and its validation
    accuracies by epoch. An epoch takes 2 s, starting and ending a trial nothing.
    """
    ledger = Ledger(SweepCreated(100.0, 1, "made", CONFIG | {"trials": len(trials)} | config))
    ledger.apply(SessionStarted(100.0, "host", 1, 1))
    time = 100.0
    for trial_id, (state, hyperparameters, accuracies) in enumerate(trials, start=1):
        ledger.apply(TrialStarted(time, trial_id, trial_id, hyperparameters))
        for epoch, accuracy in enumerate(accuracies, start=1):
            time += 2.0
            ledger.apply(EpochRecord(time, trial_id, epoch, 0.1, 0.9, 0.05, accuracy, 2.0, 1e4))
        if state is not None:
            reason = "loss became nan" if state == "FAILED" else None
            ledger.apply(TrialEnded(time, trial_id, state, reason))
    return ledger


def by_seed(*accuracies: float | None) -> dict[int, float | None]:
    """Return accuracies by seed, for `make_confirmation`."""
    return dict(enumerate(accuracies, start=1001))


def make_confirmation(
    accuracies: dict[str, dict[int, float | None]], *, first_trial: int = 1
) -> Confirmation:
    """Make a confirmation in memory from accuracies by arm and seed; None is a failed run.

    Arms called `finalist…` are finalists, namely the trials from `first_trial` on, the others
    baselines, the first of them the reference. Each has a learning rate of its own. Every run
    has two epochs, of which the first is the better one.
    """
    confirmation = Confirmation(ConfirmationBegun(0.0, 1, "made", 2))
    reference = next((name for name in accuracies if not name.startswith("finalist")), None)
    trial_ids = itertools.count(first_trial)
    for number, name in enumerate(accuracies):
        confirmation.apply(
            Arm(
                time=1.0,
                arm=name,
                title=f"the {name}",
                role="finalist" if name.startswith("finalist") else "baseline",
                model="lenet5",
                trial_id=next(trial_ids) if name.startswith("finalist") else None,
                hyperparameters={"learning_rate": float(number)},
                epochs=2,
                reference=name == reference,
            )
        )
    for name, by_seed in accuracies.items():
        for seed, accuracy in by_seed.items():
            for epoch, value in ((1, 0.999), (2, accuracy)):
                if value is None:
                    confirmation.apply(RunEnded(3.0, name, seed, "FAILED", "loss became nan"))
                    break
                confirmation.apply(
                    RunEpoch(2.0, name, seed, epoch, 0.1, 0.97, 0.02, value, 4.0, 1e4)
                )
            else:
                confirmation.apply(RunEnded(3.0, name, seed, "COMPLETE", None))
    return confirmation
