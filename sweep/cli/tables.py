"""Tables of sweeps and of trials: as JSON, as CSV and on the screen."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.text import Text

from analysis.errors import LedgerError
from analysis.formatting import dataset_name, duration, is_usual, network_name, percent
from analysis.records.confirmation import read_confirmation
from analysis.records.ledger import Ledger, Trial, read_ledger
from analysis.records.sweeps import list_sweeps, no_such_sweep
from analysis.results.budget import n_planned, seconds_spent
from analysis.results.selection import best_trial, describe_rule, trial_accuracy, trial_score
from analysis.results.state import SweepState, state_in_words, sweep_state
from analysis.results.tables import trials_table
from analysis.storage.folder import Folder
from sweep.screen.layout import Fitted, TrialTable, new_table
from sweep.screen.output import escape, open_console, say, write_file

_STATE_COLORS = {"running": "bold green", "interrupted": "yellow", "finished": "green"}
_COLORS = {"COMPLETE": "green", "STOPPED": "cyan", "RUNNING": "default", "FAILED": "red"}


def trial_document(trial: Trial) -> dict[str, Any]:
    """Return a trial as a JSON document."""
    return {
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


def write_csv(ledger: Ledger, trials: Sequence[Trial], path: Path) -> None:
    """Write trials of a ledger as CSV, in their order, one column per hyperparameter."""
    table = trials_table(ledger).set_index("trial_id").round({"seconds": 3})
    text = table.loc[[trial.trial_id for trial in trials]].to_csv()
    if path == Path("-"):
        sys.stdout.write(text)
    else:
        write_file(path, text.encode())


def print_trials(ledger: Ledger, trials: Sequence[Trial], state: SweepState) -> None:
    """Print the state of the sweep, then trials of it as a table.

    Where no driver searches, a trial without an end is interrupted.
    """
    console = open_console()
    console.print(escape(f"sweep {ledger.name}: {state_in_words(ledger, state)}"))
    if not trials:
        return
    is_searching = state == "running" and ledger.has_open_session
    with_repeats = any(trial.repeats for trial in trials)
    headings = ["trial", "state", "epochs", "validation", "time", *["repeats"] * with_repeats]
    rows: list[tuple[Trial, list[Text | str]]] = [
        (
            trial,
            [
                str(trial.trial_id),
                Text(*_shown_state(trial, is_searching=is_searching)),
                f"{len(trial.epochs)}/{trial.planned_epochs}",
                percent(trial_accuracy(trial)),
                duration(trial.seconds),
                *[str(trial.repeats or "–")] * with_repeats,
            ],
        )
        for trial in trials
    ]
    console.print(TrialTable(headings, rows, left=("state",), optional=("time", "repeats")))
    note = f"best first: {describe_rule(ledger)}"
    if any(trial_score(trial) is None for trial in trials):
        note += "; others show the accuracy of their last epoch"
    console.print(note, style="dim")


def _shown_state(trial: Trial, *, is_searching: bool) -> tuple[str, str]:
    """Return the word for a trial's state, and its color."""
    if trial.state == "RUNNING" and not is_searching:
        return "interrupted", _STATE_COLORS["interrupted"]
    return trial.outcome, _COLORS[trial.state]


def sweep_document(folder: Folder, ledger: Ledger, state: SweepState) -> dict[str, Any]:
    """Return what a sweep has done so far as a JSON document."""
    n = Counter(trial.outcome for trial in ledger.trials.values())
    best = best_trial(ledger)
    now = time.time() if state == "running" else None
    return {
        "sweep": folder.name,
        "dataset": ledger.config["dataset"],
        "model": ledger.config["model"],
        "state": state,
        "at_work": state == "running",
        "started": ledger.created.time,
        "trials": int(ledger.config["trials"]),
        "planned": n_planned(ledger),
        "trials_ended": ledger.n_ended,
        "complete": n["complete"],
        "previews": n["preview"],
        "stopped": n["stopped"],
        "failed": n["failed"],
        "running": n["running"],
        "epochs": ledger.n_epochs,
        "elapsed_s": round(seconds_spent(ledger, now), 3),
        "best_trial_id": best.trial.trial_id if best else None,
        "best_val_accuracy": best.score if best else None,
    }


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
            document = sweep_document(folder, ledger, sweep_state(folder, ledger))
            document["finished"] = ledger.n_ended >= document["planned"]
            document["test_accuracy_mean"] = _test_accuracy(
                folder, ledger, document["best_trial_id"]
            )
        except FileNotFoundError:  # just deleted
            continue
        except LedgerError as error:
            documents.append({"sweep": entry.name, "error": str(error)})
            continue
        documents.append(document)
    return documents + [{"sweep": name, "error": reason} for name, reason in damaged.items()]


def _test_accuracy(folder: Folder, ledger: Ledger, best_id: int | None) -> float | None:
    """Return the mean test accuracy of the best trial, None if it is not confirmed."""
    if best_id is None or (confirmation := read_confirmation(folder, ledger)) is None:
        return None
    arm = confirmation.finalist(best_id)
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
            f"{document['trials_ended']}/{document['planned']}",
            duration(document["elapsed_s"]),
            percent(document["best_val_accuracy"]),
            percent(document["test_accuracy_mean"]),
        )
    console = open_console()
    console.print(Fitted(table, optional=("search", "started", "network", "dataset")))
    for document in documents:
        if "error" in document:
            console.print(escape(f"{document['sweep']} is damaged: {document['error']}"))
