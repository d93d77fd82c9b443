import pandas as pd

from analysis.results.tables import epochs_table, runs_table, trials_table
from in_memory import begin_confirmation, make_confirmation, make_ledger


def texts(*values: str | None) -> "pd.Series[str]":
    return pd.Series(values, dtype="object")


def test_tables_of_a_search():
    ledger = make_ledger(
        (None, {"dropout": 0.5, "rotation": 10}, [0.75]),
        ("COMPLETE", {"dropout": 0.25, "nesterov": True}, [0.5, 1.0]),
        ("FAILED", {"dropout": 0.0}, []),
    )
    ledger.trials = dict(reversed(ledger.trials.items()))  # as if they had started in this order
    trials = {
        "trial_id": [1, 2, 3],
        "state": texts("RUNNING", "COMPLETE", "FAILED"),
        "origin": texts("proposed", "proposed", "proposed"),
        "dropout": [0.5, 0.25, 0.0],
        "nesterov": [False, True, False],
        "rotation": [10.0, 0.0, 0.0],
        "epochs": [1, 2, 0],
        "planned_epochs": [4, 4, 4],
        "preview": [False, False, False],
        "repeats": pd.array([None] * 3, "Int64"),
        "val_accuracy": [0.75, 1.0, None],
        "seconds": [2.0, 4.0, 0.0],
        "reason": texts(None, None, "loss became nan"),
    }
    epochs = {
        "trial_id": [1, 2, 2],
        "epoch": [1, 1, 2],
        "train_loss": [0.1] * 3,
        "train_accuracy": [0.9] * 3,
        "val_loss": [0.05] * 3,
        "val_accuracy": [0.75, 0.5, 1.0],
        "seconds": [2.0] * 3,
        "images_per_s": [1e4] * 3,
    }
    expected = pd.DataFrame(trials)
    pd.testing.assert_frame_equal(trials_table(ledger), expected, check_like=True)
    pd.testing.assert_frame_equal(epochs_table(ledger), pd.DataFrame(epochs))


def test_table_of_a_confirmation():
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


def test_empty_sweep_has_tables_of_the_same_columns():
    tables = [
        trials_table(make_ledger()),
        epochs_table(make_ledger()),
        runs_table(begin_confirmation()),
        runs_table(None),
    ]
    assert [len(table) for table in tables] == [0, 0, 0, 0]
    assert [len(table.columns) for table in tables] == [10, 8, 9, 9]
    kinds = [
        table.dtypes[name]
        for table, name in zip(tables, ("epochs", "epoch", "seed", "seed"), strict=True)
    ]
    assert kinds == ["int64"] * 4
