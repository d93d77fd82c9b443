"""A sweep as tables: a row a trial, an epoch, a confirmation run. What is not there is NaN."""

import pandas as pd
from msgspec.structs import astuple

from analysis.records.confirmation import Confirmation
from analysis.records.epochs import Epoch
from analysis.records.ledger import Ledger
from analysis.results.selection import trial_accuracy


def trials_table(ledger: Ledger) -> pd.DataFrame:
    """Returns a row a trial, by number.

    Columns: `trial_id`, `state`, one for each hyperparameter that any trial has, `epochs`
    (run), `val_accuracy` (what it is ranked by, or else the last epoch's; a fraction),
    `seconds`, `reason` (of its failure).
    """
    trials = [ledger.trials[trial_id] for trial_id in sorted(ledger.trials)]
    names = list(dict.fromkeys(name for trial in trials for name in trial.hyperparameters))
    values = {name: [trial.value(name) for trial in trials] for name in names}
    accuracies = [trial_accuracy(trial) for trial in trials]
    return pd.DataFrame(
        {
            "trial_id": pd.Series([trial.trial_id for trial in trials], dtype="int64"),
            "state": pd.Series([trial.state for trial in trials], dtype="object"),
            **values,
            "epochs": pd.Series([len(trial.epochs) for trial in trials], dtype="int64"),
            "val_accuracy": pd.Series(accuracies, dtype="float64"),
            "seconds": pd.Series([trial.seconds for trial in trials], dtype="float64"),
            "reason": pd.Series([trial.reason for trial in trials], dtype="object"),
        }
    )


def epochs_table(ledger: Ledger) -> pd.DataFrame:
    """Return one row per epoch, by trial and epoch: `trial_id` and the fields of `Epoch`."""
    rows = [
        (trial_id, *astuple(epoch))
        for trial_id in sorted(ledger.trials)
        for epoch in ledger.trials[trial_id].epochs
    ]
    table = pd.DataFrame(rows, columns=["trial_id", *Epoch.__struct_fields__], dtype="float64")
    return table.astype({"trial_id": "int64", "epoch": "int64"})


def runs_table(confirmation: Confirmation) -> pd.DataFrame:
    """Returns a row a confirmation run, by arm, in the order of the arms, and seed.

    Columns: `arm`, `title`, `role`, `seed`, `state`, `epochs` (run), `test_accuracy` (after
    the last epoch, a fraction; only of a run that counts), `seconds`, `reason` (of its
    failure).
    """
    runs = [
        (arm, run) for arm in confirmation.arms.values() for run in confirmation.runs_of(arm.arm)
    ]
    accuracies = {arm: confirmation.test_accuracies(arm) for arm in confirmation.arms}
    counted = [accuracies[arm.arm].get(run.seed) for arm, run in runs]
    seconds = [sum(epoch.seconds for epoch in run.epochs) for _, run in runs]
    return pd.DataFrame(
        {
            "arm": pd.Series([arm.arm for arm, _ in runs], dtype="object"),
            "title": pd.Series([arm.title for arm, _ in runs], dtype="object"),
            "role": pd.Series([arm.role for arm, _ in runs], dtype="object"),
            "seed": pd.Series([run.seed for _, run in runs], dtype="int64"),
            "state": pd.Series([run.state for _, run in runs], dtype="object"),
            "epochs": pd.Series([len(run.epochs) for _, run in runs], dtype="int64"),
            "test_accuracy": pd.Series(counted, dtype="float64"),
            "seconds": pd.Series(seconds, dtype="float64"),
            "reason": pd.Series([run.reason for _, run in runs], dtype="object"),
        }
    )
