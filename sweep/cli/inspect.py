"""`sweep list`, `sweep trials`, `sweep best`: what the ledgers hold."""

from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.options import (
    DEFAULT_STORAGE,
    JsonOption,
    NameArgument,
    StorageOption,
    find_sweep,
    print_json,
    storage_folder,
)
from sweep.errors import UsageError


def list_(storage: StorageOption = DEFAULT_STORAGE, as_json: JsonOption = False) -> None:
    """List the sweeps in the storage, newest first."""
    from sweep.cli.tables import list_documents, print_list

    folder = storage_folder(storage)
    documents = list_documents(folder)
    if as_json:
        print_json({"sweeps": documents})
    else:
        print_list(folder, documents)


def trials(
    name: NameArgument = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only the best so many.")] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a table, `-` for standard output.")
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Show one row a trial, best first."""
    from sweep.cli.tables import print_trials, trial_documents, write_csv

    if as_json and csv == Path("-"):
        raise UsageError("`--csv -` and `--json` both want the standard output; choose one")
    _, ledger = find_sweep(storage, name)
    documents = trial_documents(ledger)[:top]
    if csv is not None:
        write_csv(ledger, documents, csv)
    if as_json:
        print_json({"trials": documents})
    elif csv is None:
        print_trials(ledger, documents)


def best(
    name: NameArgument = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Show the best hyperparameters, which trial had them, and by which rule."""
    from sweep.cli.summary import best_document, print_best

    folder, ledger = find_sweep(storage, name)
    document = best_document(folder, ledger)
    if as_json:
        print_json(document)
    else:
        print_best(document)
