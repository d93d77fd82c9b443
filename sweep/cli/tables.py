"""Tables of sweeps and of trials: as JSON, as CSV and on the screen."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.text import Text

from analysis.errors import LedgerError, describe_cause
from analysis.formatting import count, dataset_name, duration, is_usual, network_name, percent
from analysis.hyperparameters import format_value
from analysis.records.confirmation import read_confirmation
from analysis.records.ledger import Ledger, Trial, read_ledger
from analysis.records.sweeps import list_sweeps, no_such_sweep
from analysis.results.budget import n_planned, seconds_spent
from analysis.results.selection import (
    Selection,
    best_first,
    describe_rule,
    rank_trials,
    trial_accuracy,
)
from analysis.results.state import SweepState, sweep_state
from analysis.storage.folder import Folder
from sweep.errors import UsageError
from sweep.screen.layout import Fitted, TrialTable, new_table
from sweep.screen.output import escape, open_console, say

_STATE_COLORS = {"running": "bold green", "interrupted": "yellow", "finished": "green"}
_COLORS = {"COMPLETE": "green", "STOPPED": "cyan", "RUNNING": "default", "FAILED": "red"}


def trial_documents(ledger: Ledger) -> list[dict[str, Any]]:
    """Return one document per trial: those that ran all epochs first, the best one first."""
    return [
        {
            "trial_id": trial.trial_id,
            "state": trial.state,
            "origin": trial.origin,
            "hyperparameters": trial.hyperparameters,
            "epochs": len(trial.epochs),
            "planned_epochs": trial.planned_epochs,
            "preview": trial.preview_epochs is not None,
            "repeats": trial.repeats,
            "val_accuracy": trial_accuracy(trial),
            "seconds": round(trial.seconds, 3),
        }
        for trial in best_first(ledger)
    ]


def write_csv(ledger: Ledger, documents: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the trials of `documents` as CSV, in their order, one column per hyperparameter."""
    from analysis.results.tables import trials_table

    table = trials_table(ledger).set_index("trial_id").round({"seconds": 3})
    text = table.loc[[document["trial_id"] for document in documents]].to_csv()
    if path == Path("-"):
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {describe_cause(error)}") from error


def print_trials(
    ledger: Ledger, documents: Sequence[Mapping[str, Any]], state: SweepState
) -> None:
    """Print the state of the sweep, then its trials as a table.

    Where no driver is at work, a trial without an end is interrupted.
    """
    title = (
        f"sweep {ledger.name}: {state}, {ledger.n_ended} of {count(n_planned(ledger), 'trial')}"
    )
    console = open_console()
    console.print(escape(f"{title} ended"))
    if not documents:
        return
    # The space may have changed since the first trials.
    names = list(dict.fromkeys(name for d in documents for name in d["hyperparameters"]))
    headings = ["trial", "state", "epochs", "validation", "time"]
    if with_repeats := any(document["repeats"] for document in documents):
        headings.append("repeats")
    optional = ("time", "repeats")
    table = TrialTable(headings, map(escape, names), left=("state",), optional=optional)
    for document in documents:
        trial = ledger.trials[document["trial_id"]]
        cells: list[Text | str] = [
            str(trial.trial_id),
            Text(*_shown_state(trial, state)),
            f"{len(trial.epochs)}/{trial.planned_epochs}",
            percent(document["val_accuracy"]),
            duration(trial.seconds),
        ]
        if with_repeats:
            cells.append(str(trial.repeats or "–"))
        table.add_row(cells, [escape(format_value(name, trial.value(name))) for name in names])
    console.print(table)
    ranked = rank_trials(ledger)
    rule = describe_rule(ranked[0].trial.config if ranked else ledger.config)
    note = f"best first: {rule}; the others have that of their last epoch"
    console.print(note, style="dim")


def _shown_state(trial: Trial, state: SweepState) -> tuple[str, str]:
    """Return the word for a trial's state, and its color."""
    if trial.state == "RUNNING" and state != "running":
        return "interrupted", _STATE_COLORS["interrupted"]
    return trial.outcome, _COLORS[trial.state]


def list_documents(storage: Folder) -> list[dict[str, Any]]:
    """Return one document per sweep, newest first; for a damaged sweep, its error.

    Those whose first record cannot be read come last.
    """
    found, damaged = list_sweeps(storage)
    documents: list[dict[str, Any]] = []
    for entry in found:
        try:
            folder = storage.child(entry.name)
            ledger = read_ledger(folder)
            state, now = sweep_state(folder, ledger), time.time()
            best = next(iter(rank_trials(ledger)), None)
            test_accuracy = _test_accuracy(folder, best)
        except FileNotFoundError:  # just deleted
            continue
        except LedgerError as error:
            documents.append({"sweep": entry.name, "error": str(error)})
            continue
        n_trials = int(ledger.config["trials"])
        documents.append(
            {
                "sweep": entry.name,
                "dataset": ledger.config["dataset"],
                "model": ledger.config["model"],
                "state": state,
                "started": ledger.created.time,
                "trials": n_trials,
                "trials_ended": ledger.n_ended,
                "finished": ledger.n_ended >= n_planned(ledger),
                "elapsed_s": round(seconds_spent(ledger, now if state == "running" else None), 3),
                "best_trial_id": best.trial.trial_id if best else None,
                "best_val_accuracy": best.score if best else None,
                "test_accuracy_mean": test_accuracy,
            }
        )
    return documents + [{"sweep": name, "error": reason} for name, reason in damaged.items()]


def _test_accuracy(folder: Folder, best: Selection | None) -> float | None:
    """Return the mean test accuracy of the best trial, None if it is not confirmed."""
    if best is None or (confirmation := read_confirmation(folder)) is None:
        return None
    arm = confirmation.finalist(best.trial.trial_id)
    # Not by `summarize_arm`, which imports SciPy: that takes as long as all the rest.
    accuracies = confirmation.test_accuracies(arm.arm).values() if arm else ()
    return fmean(accuracies) if accuracies else None


def print_list(storage: Folder, documents: Sequence[Mapping[str, Any]]) -> None:
    """Print sweeps as a table."""
    if not documents:
        say(str(no_such_sweep(storage)), sys.stdout)
        return
    left = ("state", "sweep", "started")
    are_usual = all(is_usual(document) for document in documents if "error" not in document)
    what = () if are_usual else ("dataset", "network")
    table = new_table(*left, *what, "trials", "search", "validation", "test", left=(*left, *what))
    table.columns[1].overflow = "fold"  # names that differ at their ends
    for document in documents:
        name = escape(document["sweep"])
        if "error" in document:
            table.add_row(Text("damaged", style="red"), name)
            continue
        table.add_row(
            Text(document["state"], style=_STATE_COLORS[document["state"]]),
            name,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(document["started"])),
            *(name(document) for name in (dataset_name, network_name) if what),
            f"{document['trials_ended']}/{document['trials']}",
            duration(document["elapsed_s"]),
            percent(document["best_val_accuracy"]),
            percent(document["test_accuracy_mean"]),
        )
    console = open_console()
    console.print(Fitted(table, optional=("search", "started")))
    for document in documents:
        if "error" in document:
            console.print(escape(f"{document['sweep']} is damaged: {document['error']}"))
