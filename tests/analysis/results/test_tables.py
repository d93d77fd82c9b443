import subprocess
import sys
from collections.abc import Callable

import pandas as pd
import pytest

from analysis.records.confirmation import Confirmation, ConfirmationBegun
from analysis.records.ledger import (
    EpochRecord,
    Ledger,
    SweepCreated,
    TrialEnded,
    TrialStarted,
    read_ledger,
)
from analysis.results.selection import rank_trials
from analysis.results.tables import epochs_table, runs_table, trials_table
from analysis.storage.folder import Folder

CONFIG = {"epochs": 2, "recipe": {"schedule": "constant"}, "space": {}}


def small_ledger() -> Ledger:
    ledger = Ledger(SweepCreated(0.0, 1, "s", CONFIG))
    for record in (
        TrialStarted(1.0, 2, 1, {"dropout": 0.25, "nesterov": True}),
        TrialStarted(1.0, 1, 1, {"dropout": 0.5, "rotation": 10}),
        TrialStarted(1.0, 3, 1, {"dropout": 0.0}),
        EpochRecord(2.0, 2, 1, 0.5, 0.75, 0.25, 0.5, 3.0, 100.0),
        EpochRecord(3.0, 1, 1, 0.5, 0.75, 0.25, 0.75, 5.0, 200.0),
        EpochRecord(4.0, 2, 2, 0.5, 0.75, 0.25, 1.0, 4.0, 300.0),
        TrialEnded(5.0, 2, "COMPLETE", None),
        TrialEnded(5.0, 3, "FAILED", "loss became nan"),
    ):
        ledger.apply(record)
    return ledger


def test_trials_table_has_a_row_a_trial() -> None:
    expected = pd.DataFrame(
        {
            "trial_id": [1, 2, 3],
            "state": pd.Series(["RUNNING", "COMPLETE", "FAILED"], dtype="object"),
            "dropout": [0.5, 0.25, 0.0],
            "rotation": [10.0, None, None],
            "nesterov": pd.Series([None, True, None], dtype="object"),
            "epochs": [1, 2, 0],
            "val_accuracy": [0.75, 0.75, None],
            "seconds": [5.0, 7.0, 0.0],
            "reason": pd.Series([None, None, "loss became nan"], dtype="object"),
        }
    )
    pd.testing.assert_frame_equal(trials_table(small_ledger()), expected)


def test_epochs_table_has_a_row_an_epoch() -> None:
    expected = pd.DataFrame(
        {
            "trial_id": [1, 2, 2],
            "epoch": [1, 1, 2],
            "train_loss": [0.5, 0.5, 0.5],
            "train_accuracy": [0.75, 0.75, 0.75],
            "val_loss": [0.25, 0.25, 0.25],
            "val_accuracy": [0.75, 0.5, 1.0],
            "seconds": [5.0, 3.0, 4.0],
            "images_per_s": [200.0, 100.0, 300.0],
        }
    )
    pd.testing.assert_frame_equal(epochs_table(small_ledger()), expected)


def test_runs_table_has_a_row_a_run(make_confirmation: Callable[..., Confirmation]) -> None:
    confirmation = make_confirmation(
        {"finalist-1": {2: 0.75, 1: None}, "hand-tuned": {1: 0.5}, "lenet5": {}}
    )
    texts = {
        "arm": ["finalist-1", "finalist-1", "hand-tuned"],
        "title": ["the finalist-1", "the finalist-1", "the hand-tuned"],
        "role": ["finalist", "finalist", "baseline"],
        "state": ["FAILED", "COMPLETE", "COMPLETE"],
        "reason": ["loss became nan", None, None],
    }
    expected = pd.DataFrame(
        {
            "seed": [1, 2, 1],
            "epochs": [1, 2, 2],
            "test_accuracy": [None, 0.75, 0.5],
            "seconds": [4.0, 8.0, 8.0],
            **{name: pd.Series(values, dtype="object") for name, values in texts.items()},
        }
    )
    table = runs_table(confirmation)
    assert list(table.columns) == [
        "arm",
        "title",
        "role",
        "seed",
        "state",
        "epochs",
        "test_accuracy",
        "seconds",
        "reason",
    ]
    pd.testing.assert_frame_equal(table, expected, check_like=True)


def test_empty_sweep_gives_empty_tables_with_the_same_columns() -> None:
    ledger = Ledger(SweepCreated(0.0, 1, "s", CONFIG))
    trials, epochs = trials_table(ledger), epochs_table(ledger)
    runs = runs_table(Confirmation(ConfirmationBegun(0.0, 1, "s", 2)))
    assert [len(table) for table in (trials, epochs, runs)] == [0, 0, 0]
    assert trials.dtypes["trial_id"] == epochs.dtypes["epoch"] == runs.dtypes["seed"] == "int64"
    assert list(epochs.columns) == list(epochs_table(small_ledger()).columns)


def test_tables_agree_with_the_ledger(search_folder: Callable[..., Folder]) -> None:
    ledger = read_ledger(search_folder(n_trials=60, n_running=1))
    trials, epochs = trials_table(ledger), epochs_table(ledger)
    assert set(trials["state"]) == {"RUNNING", "COMPLETE", "STOPPED", "FAILED"}
    best = rank_trials(ledger)[0]
    complete = trials[trials["state"] == "COMPLETE"].set_index("trial_id")["val_accuracy"]
    assert (complete.idxmax(), complete.max()) == (best.trial.trial_id, best.score)
    by_trial = epochs.groupby("trial_id")
    merged = trials.set_index("trial_id").loc[list(by_trial.groups)]
    assert (by_trial.size() == merged["epochs"]).all()
    last = by_trial["val_accuracy"].last()
    assert (last == merged["val_accuracy"])[merged["state"] != "COMPLETE"].all()
    assert by_trial["seconds"].sum().to_list() == pytest.approx(merged["seconds"].to_list())


def test_pandas_is_imported_for_tables_alone() -> None:
    script = """
import sys
import analysis.results.comparison, analysis.results.cost, analysis.results.selection
import analysis.records.ledger, analysis.records.sweeps, analysis.results.verdict
assert not {"pandas", "torch", "ray", "scipy.stats"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
