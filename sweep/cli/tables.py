"""Tables of sweeps and of trials: as JSON, as CSV and on the screen."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from analysis.errors import LedgerError, describe_cause
from analysis.formatting import duration, percent
from analysis.hyperparameters import format_value
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.sweeps import list_sweeps
from analysis.results.budget import n_planned
from analysis.results.selection import describe_rule, rank_trials, trial_accuracy
from analysis.storage.folder import Folder
from sweep.cli.output import escape, new_table, open_console, print_table
from sweep.errors import UsageError

_COLORS = {"COMPLETE": "green", "STOPPED": "cyan", "RUNNING": "default", "FAILED": "red"}


def trial_documents(ledger: Ledger) -> list[dict[str, Any]]:
    """Return one document per trial: those that ran all epochs first, the best one first."""
    trials = {selection.trial.trial_id: selection.trial for selection in rank_trials(ledger)}
    others = [trial for trial in ledger.trials.values() if trial.trial_id not in trials]
    others.sort(key=lambda t: (-len(t.epochs), -(t.val_accuracy or 0), t.trial_id))
    return [
        {
            "trial_id": trial.trial_id,
            "state": trial.state,
            "origin": trial.origin,
            "hyperparameters": trial.hyperparameters,
            "epochs": len(trial.epochs),
            "val_accuracy": trial_accuracy(trial),
            "seconds": round(trial.seconds, 3),
        }
        for trial in (*trials.values(), *others)
    ]


def write_csv(ledger: Ledger, documents: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the trials of `documents` as CSV, in their order, one column per hyperparameter.

    Raises:
        UsageError: The file cannot be written.
    """
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


def print_trials(ledger: Ledger, documents: Sequence[Mapping[str, Any]]) -> None:
    """Print trials as a table."""
    # The space may have changed since the first trials.
    names = list(dict.fromkeys(name for d in documents for name in d["hyperparameters"]))
    headings = ("trial", "state", "epochs", "validation", "time", *map(escape, names))
    table = new_table(*headings, left=("state",))
    for document in documents:
        trial = ledger.trials[document["trial_id"]]
        drawn = ((name, trial.value(name)) for name in names)
        values = ("–" if value is None else format_value(name, value) for name, value in drawn)
        table.add_row(
            str(trial.trial_id),
            Text(trial.state.lower(), style=_COLORS[trial.state]),
            f"{len(trial.epochs)}/{trial.config['epochs']}",
            percent(document["val_accuracy"]),
            duration(trial.seconds),
            *map(escape, values),
        )
    print_table(table)
    rule = describe_rule(ledger.config)
    note = f"best first: {rule}; the others have that of their last epoch"
    open_console().print(note, style="dim")


def list_documents(storage: Folder) -> list[dict[str, Any]]:
    """Return one document per sweep, newest first; for a damaged sweep, its error.

    Those whose first record cannot be read come last.
    """
    found, damaged = list_sweeps(storage)
    documents: list[dict[str, Any]] = []
    for entry in found:
        try:
            ledger = read_ledger(storage.child(entry.name))
        except LedgerError as error:
            documents.append({"sweep": entry.name, "error": str(error)})
            continue
        best, n_trials = next(iter(rank_trials(ledger)), None), int(ledger.config["trials"])
        documents.append(
            {
                "sweep": entry.name,
                "started": ledger.created.time,
                "trials": n_trials,
                "trials_ended": ledger.n_ended,
                "finished": ledger.n_ended >= n_planned(ledger),
                "best_trial_id": best.trial.trial_id if best else None,
                "best_val_accuracy": best.score if best else None,
            }
        )
    return documents + [{"sweep": name, "error": reason} for name, reason in damaged.items()]


def print_list(storage: Folder, documents: Sequence[Mapping[str, Any]]) -> None:
    """Print sweeps as a table."""
    if not documents:
        print(f"there is no sweep in {storage} yet; start one with `sweep run`")
        return
    table = new_table("sweep", "started", "trials", "best validation", left=("sweep", "started"))
    for document in documents:
        name = escape(document["sweep"])
        if "error" in document:
            table.add_row(name, Text(escape(f"damaged: {document['error']}"), style="red"))
            continue
        table.add_row(
            name,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(document["started"])),
            f"{document['trials_ended']}/{document['trials']}",
            percent(document["best_val_accuracy"]),
        )
    print_table(table)
