"""Ledgers of a config, in memory, and what Tune reports of their epochs."""

from typing import Any

from analysis.records.ledger import Ledger
from analysis.records.seeds import trial_seed
from in_memory import apply, begin_ledger, measured, trial_records
from sweep.config import SweepConfig
from sweep.training.assignment import Report


def make_ledger(config: SweepConfig, *states: Any) -> Ledger:
    """Make the ledger of a search with a trial of each state, complete ones better and better."""
    ledger = begin_ledger(config)
    for trial_id, state in enumerate(states, start=1):
        draw = {"dropout": trial_id / 100, "rotation": 5.0, "shift": 0.1, "weight_decay": 1e-4}
        accuracies = [0.9 + trial_id / 100] * config.epochs
        end = None if state == "RUNNING" else state
        apply(ledger, *trial_records(trial_id, accuracies, end, draw))
    return ledger


def record(
    ledger: Ledger, number: int, accuracies: list[float], state: Any = None, **values: Any
) -> None:
    """Enter a trial's epochs in a ledger, each once; a trial without a state runs on."""
    records = [*trial_records(number, accuracies, state, values, seed=trial_seed(0, number))]
    trial = ledger.trials.get(number)
    n_known = 0 if trial is None else 1 + len(trial.epochs)
    apply(ledger, *records[n_known:])


def make_result(*accuracies: float, epochs: int = 4, past: bool = False) -> dict[str, Any]:
    """Make Tune's result from the validation accuracies of an epoch and those before it.

    With `past` the epochs before the last are reported as well, as after a checkpoint.
    """
    reported = [measured(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, start=1)]
    report = Report(tuple(reported if past else reported[-1:]), is_last=len(reported) == epochs)
    return report.to_result()
