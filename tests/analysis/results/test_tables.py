import subprocess
import sys
from collections.abc import Callable

import pandas as pd

from analysis.records.confirmation import Confirmation, ConfirmationBegun
from analysis.records.ledger import Ledger
from analysis.results.tables import epochs_table, runs_table, trials_table

MakeLedger = Callable[..., Ledger]


def texts(*values: str | None) -> "pd.Series[str]":
    return pd.Series(values, dtype="object")


def test_tables_of_a_search(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(
        {2: [0.5, 1.0], 1: [0.75], 3: []},
        {1: "RUNNING", 3: "FAILED"},
        hyperparameters={
            2: {"dropout": 0.25, "nesterov": True},
            1: {"dropout": 0.5, "rotation": 10},
            3: {"dropout": 0.0},
        },
    )
    trials = {
        "trial_id": [1, 2, 3],
        "state": texts("RUNNING", "COMPLETE", "FAILED"),
        "dropout": [0.5, 0.25, 0.0],
        "nesterov": [False, True, False],
        "rotation": [10.0, 0.0, 0.0],
        "epochs": [1, 2, 0],
        "val_accuracy": [0.75, 0.75, None],
        "seconds": [2.0, 4.0, 0.0],
        "reason": texts(None, None, "loss became nan"),
    }
    epochs = {
        "trial_id": [1, 2, 2],
        "epoch": [1, 1, 2],
        "train_loss": [0.5] * 3,
        "train_accuracy": [0.75] * 3,
        "val_loss": [0.25] * 3,
        "val_accuracy": [0.75, 0.5, 1.0],
        "seconds": [2.0] * 3,
        "images_per_s": [100.0] * 3,
    }
    expected = pd.DataFrame(trials)
    pd.testing.assert_frame_equal(trials_table(ledger), expected, check_like=True)
    pd.testing.assert_frame_equal(epochs_table(ledger), pd.DataFrame(epochs))


def test_table_of_a_confirmation(make_confirmation: Callable[..., Confirmation]) -> None:
    confirmation = make_confirmation(
        {"finalist-1": {2: 0.75, 1: None}, "hand-tuned": {1: 0.5}, "lenet5": {}}
    )
    expected = {
        "arm": texts("finalist-1", "finalist-1", "hand-tuned"),
        "title": texts("the finalist-1", "the finalist-1", "the hand-tuned"),
        "role": texts("finalist", "finalist", "baseline"),
        "seed": [1, 2, 1],
        "state": texts("FAILED", "COMPLETE", "COMPLETE"),
        "epochs": [1, 2, 2],
        "test_accuracy": [None, 0.75, 0.5],
        "seconds": [4.0, 8.0, 8.0],
        "reason": texts("loss became nan", None, None),
    }
    pd.testing.assert_frame_equal(runs_table(confirmation), pd.DataFrame(expected))


def test_empty_sweep_has_tables_of_the_same_columns(make_ledger: MakeLedger) -> None:
    tables = [
        trials_table(make_ledger({})),
        epochs_table(make_ledger({})),
        runs_table(Confirmation(ConfirmationBegun(0.0, 1, "s", 2))),
    ]
    assert [len(table) for table in tables] == [0, 0, 0]
    assert [len(table.columns) for table in tables] == [6, 8, 9]
    kinds = [
        table.dtypes[name] for table, name in zip(tables, ("epochs", "epoch", "seed"), strict=True)
    ]
    assert kinds == ["int64"] * 3


def test_results_import_nothing_heavy() -> None:
    script = """
import sys
import analysis.results.comparison, analysis.results.cost, analysis.results.selection
import analysis.records.ledger, analysis.records.sweeps, analysis.results.verdict
assert not {"pandas", "torch", "ray", "scipy.stats"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
