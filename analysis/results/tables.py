"""A sweep as tables: its trials, epochs and confirmation runs. Missing values are NaN or NA."""

from typing import Any

import pandas as pd
from msgspec.structs import astuple

from analysis.records.confirmation import Confirmation
from analysis.records.epochs import Epoch
from analysis.records.ledger import Ledger
from analysis.results.selection import trial_accuracy

_TYPES = {
    **dict.fromkeys((*Epoch.__struct_fields__, "test_accuracy"), "float64"),
    **dict.fromkeys(("trial_id", "seed", "epoch", "epochs", "planned_epochs"), "int64"),
    "preview": "bool",
    "repeats": "Int64",
    **dict.fromkeys(("arm", "title", "role", "state", "origin", "reason"), "object"),
}


def trials_table(ledger: Ledger) -> pd.DataFrame:
    """Return one row per trial, by number.

    Columns: `trial_id`, `state`, `origin`, one for each hyperparameter that any trial has,
    `epochs` (number trained), `planned_epochs`, `preview` (whether it is one; its state at the end
    is STOPPED), `repeats` (the preview with its hyperparameters), `val_accuracy` (the score, or
    else that of the last epoch; a fraction), `seconds`, `reason` (of its failure).
    """
    trials = [ledger.trials[trial_id] for trial_id in sorted(ledger.trials)]
    names = list(dict.fromkeys(name for trial in trials for name in trial.hyperparameters))
    rows = [
        (
            trial.trial_id,
            trial.state,
            trial.origin,
            *(trial.value(name) for name in names),
            len(trial.epochs),
            trial.planned_epochs,
            trial.preview_epochs is not None,
            trial.repeats,
            trial_accuracy(trial),
            trial.seconds,
            trial.reason,
        )
        for trial in trials
    ]
    names = ["trial_id", "state", "origin", *names]
    names += [
        "epochs",
        "planned_epochs",
        "preview",
        "repeats",
        "val_accuracy",
        "seconds",
        "reason",
    ]
    return _table(rows, *names)


def epochs_table(ledger: Ledger) -> pd.DataFrame:
    """Return one row per epoch, by trial and epoch: `trial_id` and the fields of `Epoch`."""
    rows = [
        (trial_id, *astuple(epoch))
        for trial_id in sorted(ledger.trials)
        for epoch in ledger.trials[trial_id].epochs
    ]
    return _table(rows, "trial_id", *Epoch.__struct_fields__)


def runs_table(confirmation: Confirmation | None) -> pd.DataFrame:
    """Return one row per confirmation run, by arm in their order and by seed; None has no rows.

    Columns: `arm`, `title`, `role`, `seed`, `state`, `epochs` (number trained),
    `test_accuracy` (after the last epoch, a fraction; NaN if the run did not finish),
    `seconds`, `reason` (of its failure).
    """
    rows = [
        (
            arm.arm,
            arm.title,
            arm.role,
            run.seed,
            run.state,
            len(run.epochs),
            confirmation.test_accuracies(arm.arm).get(run.seed),
            sum(epoch.seconds for epoch in run.epochs),
            run.reason,
        )
        for confirmation in filter(None, [confirmation])
        for arm in confirmation.arms.values()
        for run in confirmation.runs_of(arm.arm)
    ]
    names = ("arm", "title", "role", "seed", "state", "epochs", "test_accuracy")
    return _table(rows, *names, "seconds", "reason")


def _table(rows: list[tuple[Any, ...]], *names: str) -> pd.DataFrame:
    columns = {}
    for position, name in enumerate(names):
        columns[name] = pd.Series([row[position] for row in rows], dtype=_TYPES.get(name))
    return pd.DataFrame(columns)
