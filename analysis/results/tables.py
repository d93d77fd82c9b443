"""A sweep as tables: its trials, epochs and confirmation runs. Missing values are NaN or NA."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.records.confirmation import Confirmation
from analysis.records.epochs import Epoch
from analysis.records.ledger import Ledger
from analysis.results.selection import trial_accuracy

if TYPE_CHECKING:
    import pandas as pd

_EPOCH_FIELDS = Epoch.__struct_fields__
_TYPES = {
    **dict.fromkeys((*_EPOCH_FIELDS, "test_accuracy"), "float64"),
    **dict.fromkeys(("trial_id", "seed", "epoch", "epochs", "planned_epochs"), "int64"),
    "preview": "bool",
    "repeats": "Int64",
    **dict.fromkeys(("arm", "title", "role", "state", "origin", "reason"), "object"),
}


def trials_table(ledger: Ledger) -> "pd.DataFrame":
    """Return one row per trial, by number.

    Columns: `trial_id`, `state`, `origin`, one for each hyperparameter that any trial has,
    `epochs` (number trained), `planned_epochs`, `preview` (whether it is one; its state at the end
    is STOPPED), `repeats` (the preview with its hyperparameters), `val_accuracy` (the score, or
    else that of the last epoch; a fraction), `seconds`, `reason` (of its failure).
    """
    trials = [ledger.trials[trial_id] for trial_id in sorted(ledger.trials)]
    names = dict.fromkeys(name for trial in trials for name in trial.hyperparameters)
    return _table(
        {
            "trial_id": [trial.trial_id for trial in trials],
            "state": [trial.state for trial in trials],
            "origin": [trial.origin for trial in trials],
            **{name: [trial.value(name) for trial in trials] for name in names},
            "epochs": [len(trial.epochs) for trial in trials],
            "planned_epochs": [trial.planned_epochs for trial in trials],
            "preview": [trial.preview_epochs is not None for trial in trials],
            "repeats": [trial.repeats for trial in trials],
            "val_accuracy": [trial_accuracy(trial) for trial in trials],
            "seconds": [trial.seconds for trial in trials],
            "reason": [trial.reason for trial in trials],
        }
    )


def epochs_table(ledger: Ledger) -> "pd.DataFrame":
    """Return one row per epoch, by trial and epoch: `trial_id` and the fields of `Epoch`."""
    trials = [ledger.trials[trial_id] for trial_id in sorted(ledger.trials)]
    epochs = [epoch for trial in trials for epoch in trial.epochs]
    return _table(
        {
            "trial_id": [trial.trial_id for trial in trials for _ in trial.epochs],
            **{name: [getattr(epoch, name) for epoch in epochs] for name in _EPOCH_FIELDS},
        }
    )


def runs_table(confirmation: Confirmation | None) -> "pd.DataFrame":
    """Return one row per confirmation run, by arm in their order and by seed; None has no rows.

    Columns: `arm`, `title`, `role`, `seed`, `state`, `epochs` (number trained),
    `test_accuracy` (after the last epoch, a fraction; NaN if the run did not finish),
    `seconds`, `reason` (of its failure).
    """
    runs = (
        []
        if confirmation is None
        else [
            (arm, run, confirmation.test_accuracies(arm.arm).get(run.seed))
            for arm in confirmation.arms.values()
            for run in confirmation.runs_of(arm.arm)
        ]
    )
    return _table(
        {
            "arm": [arm.arm for arm, _, _ in runs],
            "title": [arm.title for arm, _, _ in runs],
            "role": [arm.role for arm, _, _ in runs],
            "seed": [run.seed for _, run, _ in runs],
            "state": [run.state for _, run, _ in runs],
            "epochs": [len(run.epochs) for _, run, _ in runs],
            "test_accuracy": [accuracy for _, _, accuracy in runs],
            "seconds": [sum(epoch.seconds for epoch in run.epochs) for _, run, _ in runs],
            "reason": [run.reason for _, run, _ in runs],
        }
    )


def _table(columns: Mapping[str, list[Any]]) -> "pd.DataFrame":
    import pandas as pd  # takes 0.3 s

    return pd.DataFrame(
        {name: pd.Series(values, dtype=_TYPES.get(name)) for name, values in columns.items()}
    )
