"""`sweep delete`: remove a sweep from the storage."""

import sys
from typing import Annotated

import typer

from analysis.errors import InUseError, LedgerError
from analysis.formatting import count
from analysis.records.deletion import delete_sweep, linked_path
from analysis.records.files import CONFIG_FILE, CONFIRMATION_FILE, ENVIRONMENT_FILE, LEDGER_FILE
from analysis.records.ledger import read_first_record, read_ledger
from analysis.records.sweeps import no_such_sweep
from analysis.storage.folder import Folder
from sweep.api.storage import DEFAULT_STORAGE, storage_folder, watchable
from sweep.cli import options
from sweep.errors import UsageError
from sweep.screen.output import escape, say


def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep to delete.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: options.StorageOption = DEFAULT_STORAGE,
) -> None:
    """Delete a sweep with its checkpoints, plots and report.

    Other files in its folder are kept. A sweep that is running is not deleted.
    """
    sweeps = storage_folder(storage)
    folder = sweeps.child(name)
    if name not in sweeps.folders() or not _is_sweep(folder):
        raise UsageError(str(no_such_sweep(sweeps, name)))
    if link := linked_path(folder):
        raise UsageError(f"{link} is a link: delete what it leads to, then the link")
    with watchable(folder):
        if folder.is_locked():
            raise InUseError(f"{folder} is running; wait for it to end, or stop it")
        if not yes and not _is_confirmed(folder):
            print("nothing was deleted")
            return
        kept = delete_sweep(folder)
    print(escape(f"deleted {folder}"))
    if kept:
        names = ", ".join(kept[:5]) + (", …" if len(kept) > 5 else "")
        say(f"note: kept in {folder}, because they are not files of a sweep: {names}")


def _is_sweep(folder: Folder) -> bool:
    """Return whether a folder has files of a sweep, which perhaps did not start."""
    started = (CONFIG_FILE, ENVIRONMENT_FILE)
    is_begun = any(folder.exists(name) for name in (LEDGER_FILE, CONFIRMATION_FILE))
    return is_begun or all(folder.exists(name) for name in started)


def _is_confirmed(folder: Folder) -> bool:
    """Ask the user; without a terminal to ask on, raise UsageError."""
    question = f"delete {folder} ({_describe(folder)})"
    if not sys.stdin.isatty():
        raise UsageError(f"to {question}, add --yes")
    try:
        return typer.confirm(escape(question[:1].upper() + question[1:]) + "?", err=True)
    except typer.Abort:  # Ctrl-C or Ctrl-D
        print("\nnothing was deleted", file=sys.stderr)
        raise typer.Exit(130) from None


def _describe(folder: Folder) -> str:
    try:
        if read_first_record(folder) is None:
            return "what is left of a sweep"
        ledger = read_ledger(folder)
    except LedgerError:
        return "its ledger is damaged"
    return f"{count(len(ledger.trials), 'trial')}, {count(ledger.n_epochs, 'epoch')}"
