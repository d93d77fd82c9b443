"""`sweep list`, `sweep status`, `sweep trials`, `sweep best`: what the ledgers contain."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli import options
from sweep.cli.options import find_sweep, follow_up, storage_folder
from sweep.cli.output import escape, open_console, print_json
from sweep.errors import UsageError

_READ_EVERY_S = 2.0


def list_(
    storage: options.StorageOption = options.DEFAULT_STORAGE, as_json: options.JsonOption = False
) -> None:
    """List the sweeps in the storage, newest first."""
    from sweep.cli.tables import list_documents, print_list

    folder = storage_folder(storage)
    documents = list_documents(folder)
    if as_json:
        print_json({"sweeps": documents})
    else:
        print_list(folder, documents)


def status(
    name: options.NameArgument = None,
    follow: Annotated[bool, typer.Option("--follow", help="Watch until the search ends.")] = False,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Show the progress of a sweep."""
    from analysis.records.sweeps import read_sweep
    from sweep.cli.screen.display import open_display
    from sweep.cli.screen.progress import measure
    from sweep.cli.screen.search_view import SearchView

    folder, ledger = find_sweep(storage, name)
    if follow and not as_json:
        view = SearchView(ledger)
        with open_display(view, sys.stdout) as display:
            while folder.is_locked() and ledger.ended is None:
                display.update()
                time.sleep(_READ_EVERY_S)
                ledger = read_sweep(folder)
                view.look_at(ledger)
    progress = measure(ledger, time.time())
    if as_json:
        print_json(
            {
                "sweep": ledger.name,
                "at_work": folder.is_locked(),
                "trials": progress.n_trials,
                "complete": progress.n_complete,
                "stopped": progress.n_stopped,
                "failed": progress.n_failed,
                "running": len(progress.running),
                "epochs": progress.n_epochs,
                "best_trial_id": progress.best.trial.trial_id if progress.best else None,
            }
        )
        return
    open_console().print(escape(f"sweep {ledger.name}"), SearchView(ledger).picture(), sep="\n")
    if progress.n_ended < progress.n_trials and not folder.is_locked():
        why = f" ({ledger.ended.reason})" if ledger.ended is not None else ""
        print(escape(f"not running{why}; continue with: {follow_up('resume', folder)}"))


def trials(
    name: options.NameArgument = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Show only the N best.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a CSV file; `-` is the standard output."),
    ] = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Show one row per trial, best first."""
    from sweep.cli.tables import print_trials, trial_documents, write_csv

    if as_json and csv == Path("-"):
        raise UsageError("`--csv -` and `--json` both need the standard output; choose one")
    _, ledger = find_sweep(storage, name)
    documents = trial_documents(ledger)[:top]
    if csv is not None:
        write_csv(ledger, documents, csv)
    if as_json:
        print_json({"trials": documents})
    elif csv is None:
        print_trials(ledger, documents)


def best(
    name: options.NameArgument = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Show the best hyperparameters and their trial."""
    from sweep.cli.summary import best_document, print_best

    folder, ledger = find_sweep(storage, name)
    document = best_document(folder, ledger)
    if as_json:
        print_json(document)
    else:
        print_best(document)
