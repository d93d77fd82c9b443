"""Tables of sweeps and of trials: as JSON, as CSV and on the screen."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.errors import LedgerError
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.sweeps import list_sweeps
from analysis.results.selection import rank_trials, trial_accuracy
from analysis.storage.folder import Folder
from sweep.cli.screen import formatting
from sweep.errors import UsageError

_COLORS = {"COMPLETE": "green", "STOPPED": "cyan", "RUNNING": "default", "FAILED": "red"}


def trial_documents(ledger: Ledger) -> list[dict[str, Any]]:
    """Returns one document a trial: those that ran all epochs first, by the best's rule."""
    ranked = [selection.trial for selection in rank_trials(ledger)]
    complete = {trial.trial_id for trial in ranked}
    others = [trial for trial in ledger.trials.values() if trial.trial_id not in complete]
    others.sort(key=lambda t: (-len(t.epochs), -(t.val_accuracy or 0), t.trial_id))
    return [
        {
            "trial_id": trial.trial_id,
            "state": trial.state,
            "hyperparameters": trial.hyperparameters,
            "epochs": len(trial.epochs),
            "val_accuracy": trial_accuracy(trial),
            "seconds": round(trial.seconds, 3),
        }
        for trial in (*ranked, *others)
    ]


def write_csv(ledger: Ledger, documents: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes the trials of `documents` as CSV, in their order, a column a hyperparameter.

    Raises:
        UsageError: The file cannot be written.
    """
    from analysis.results.tables import trials_table

    table = trials_table(ledger).set_index("trial_id").round({"seconds": 3})
    with _opened(path) as file:
        table.loc[[document["trial_id"] for document in documents]].to_csv(file)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Opens a file to write to; `-` is the standard output, which stays open."""
    if path == Path("-"):
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def print_trials(ledger: Ledger, documents: Sequence[Mapping[str, Any]]) -> None:
    """Prints trials as a table."""
    # The space may have changed since the first trials.
    names = list(dict.fromkeys(name for d in documents for name in d["hyperparameters"]))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("trial", "state", "epochs", "validation", "time", *names):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    for document in documents:
        trial = ledger.trials[document["trial_id"]]
        table.add_row(
            str(trial.trial_id),
            Text(trial.state.lower(), style=_COLORS[trial.state]),
            f"{len(trial.epochs)}/{trial.config['epochs']}",
            formatting.percent(document["val_accuracy"]),
            formatting.duration(document["seconds"]),
            *(formatting.hyperparameter(name, trial.value(name)) for name in names),
        )
    _print(table)


def list_documents(storage: Folder) -> list[dict[str, Any]]:
    """Returns one document a sweep, newest first; of a damaged one, what is wrong with it.

    Those of which not even the beginning can be read come last.
    """
    found, damaged = list_sweeps(storage)
    documents = []
    for entry in found:
        document: dict[str, Any] = {"sweep": entry.name}
        try:
            ledger = read_ledger(storage.child(entry.name))
        except LedgerError as error:
            documents.append(document | {"error": str(error)})
            continue
        ranking = rank_trials(ledger)
        ended = [trial for trial in ledger.trials.values() if trial.state != "RUNNING"]
        documents.append(
            document
            | {
                "started": ledger.created.time,
                "trials": int(ledger.config["trials"]),
                "trials_ended": len(ended),
                "finished": len(ended) >= int(ledger.config["trials"]),
                "best_trial_id": ranking[0].trial.trial_id if ranking else None,
                "best_val_accuracy": ranking[0].score if ranking else None,
            }
        )
    return documents + [{"sweep": name, "error": reason} for name, reason in damaged.items()]


def print_list(storage: Folder, documents: Sequence[Mapping[str, Any]]) -> None:
    """Prints sweeps as a table."""
    if not documents:
        print(f"there is no sweep in {storage} yet; start one with `sweep run`")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (("sweep", "left"), ("started", "left"), ("trials", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("best validation", justify="right")
    for document in documents:
        if "error" in document:
            table.add_row(document["sweep"], Text(f"damaged: {document['error']}", style="red"))
            continue
        table.add_row(
            document["sweep"],
            time.strftime("%Y-%m-%d %H:%M", time.localtime(document["started"])),
            f"{document['trials_ended']}/{document['trials']}",
            formatting.percent(document["best_val_accuracy"]),
        )
    _print(table)


def _print(table: Table) -> None:
    """Prints a table whole: a terminal that is too narrow breaks its lines, and cuts none."""
    console = Console(highlight=False, width=formatting.WIDEST)
    terminal = Console()
    if terminal.is_terminal and console.measure(table).maximum > terminal.width:
        table.padding = (0, 1, 0, 0)
        for column in table.columns:
            column.header, column.vertical = str(column.header).replace("_", "\n"), "bottom"
    console.print(table)
