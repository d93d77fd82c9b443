"""The storage of the sweeps, a sweep in it, and the next command to type for a sweep."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from analysis.errors import InUseError, StorageError
from analysis.records.files import LEDGER_FILE
from analysis.records.ledger import Ledger
from analysis.records.sweeps import open_sweep
from analysis.storage.folder import Folder
from analysis.storage.journal import Journal
from analysis.storage.local_folder import LocalFolder
from sweep.errors import UsageError
from sweep.screen.output import say

DEFAULT_STORAGE = "runs"

Storage = str | os.PathLike[str] | None


def storage_folder(location: Storage = None) -> Folder:
    """Return the folder that `--storage` names, by default `$SWEEP_STORAGE` or `./runs`.

    UsageError if it cannot be a folder.
    """
    if not location:
        location = os.environ.get("SWEEP_STORAGE") or DEFAULT_STORAGE
    try:
        location = os.fspath(location)
    except TypeError:
        kind = type(location).__name__
        raise UsageError(f"`storage` must be a path or a URI, not of type {kind}") from None
    if "://" in location:
        from analysis.storage.connection import mask_credentials
        from analysis.storage.object_store import open_store

        try:
            return open_store(location)
        except ValueError as error:
            shown = mask_credentials(location)
            raise UsageError(f"invalid `--storage` {shown}: {error}") from error
    try:
        path = Path(location).expanduser().absolute()
        is_file = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:  # a RuntimeError if there is no such user
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"invalid `--storage` {location}: {why}") from error
    if is_file:
        raise UsageError(f"`--storage` must be a folder, but {path} is a file")
    return LocalFolder(path)


def find_sweep(storage: Storage, name: str | None) -> tuple[Folder, Ledger]:
    """Return folder and ledger of a sweep, by default of the newest; UsageError without one."""
    try:
        folder, ledger = open_sweep(storage_folder(storage), name)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    warn_of_damage(folder, ledger)
    return folder, ledger


def warn_of_damage(folder: Folder, journal: Journal) -> None:
    """Say that the end of a file is ignored, unless a driver is just replacing it."""
    if journal.truncated_bytes and not folder.is_locked():
        say(f"warning: the damaged end of {folder.display_path(journal.file)} is ignored")


def follow_up(command: str, folder: Folder) -> str:
    """Return the next command to type for the sweep in `folder`, with its storage if necessary."""
    words = ["sweep", *command.split(), folder.name]
    with contextlib.suppress(UsageError, StorageError):  # of `$SWEEP_STORAGE`
        if folder == storage_folder().child(folder.name):
            return shlex.join(words)
    return shlex.join([*words, "--storage", folder.storage])


@contextlib.contextmanager
def watchable(folder: Folder) -> Iterator[None]:
    """Say how to watch the sweep if another process works on it."""
    try:
        yield
    except InUseError as error:
        with contextlib.suppress(StorageError):
            if folder.exists(LEDGER_FILE):  # it was not deleted
                error.add_note(f"watch it with: {follow_up('status --follow', folder)}")
        raise
