"""Ledgers of a config, in memory, and what Tune reports of their epochs."""

from typing import Any

from analysis.records.epochs import Epoch
from analysis.records.ledger import (
    EpochRecord,
    Ledger,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.records.seeds import trial_seed
from analysis.storage.journal import FORMAT
from sweep.config import SweepConfig
from sweep.training.assignment import Report


def begin_ledger(config: SweepConfig) -> Ledger:
    """Make the ledger of a sweep without trials."""
    return Ledger(SweepCreated(0.0, FORMAT, "made", config.model_dump(mode="json")))


def make_ledger(config: SweepConfig, *states: Any) -> Ledger:
    """Make the ledger of a search with a trial of each state, complete ones better and better."""
    ledger = begin_ledger(config)
    for trial_id, state in enumerate(states, start=1):
        draw = {"dropout": trial_id / 100, "rotation": 5.0, "shift": 0.1, "weight_decay": 1e-4}
        ledger.add(TrialStarted(1.0, trial_id, 0, draw))
        accuracy = 0.9 + trial_id / 100
        for epoch in range(1, config.epochs + 1):
            ledger.add(EpochRecord(2.0, trial_id, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
        if state != "RUNNING":
            ledger.add(TrialEnded(3.0, trial_id, state, None))
    return ledger


def record(
    ledger: Ledger, number: int, accuracies: list[float], state: Any = None, **values: Any
) -> None:
    """Enter a trial's epochs in a ledger, each once; a trial without a state runs on."""
    if number not in ledger.trials:
        ledger.apply(TrialStarted(0.0, number, trial_seed(0, number), values))
    known = len(ledger.trials[number].epochs)
    for epoch, accuracy in enumerate(accuracies[known:], start=known + 1):
        ledger.apply(EpochRecord.of(1.0, number, _metrics(epoch, accuracy)))
    if state is not None:
        ledger.apply(TrialEnded(2.0, number, state, None))


def make_result(*accuracies: float, epochs: int = 4, past: bool = False) -> dict[str, Any]:
    """Make Tune's result from the validation accuracies of an epoch and those before it.

    With `past` the epochs before the last are reported as well, as after a checkpoint.
    """
    reported = [_metrics(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, start=1)]
    report = Report(tuple(reported if past else reported[-1:]), is_last=len(reported) == epochs)
    return report.to_result()


def _metrics(epoch: int, val_accuracy: float) -> Epoch:
    return Epoch(epoch, 0.1, 0.9, 0.1, val_accuracy, seconds=1.0, images_per_s=5000.0)
