"""Deletion of a sweep."""

from contextlib import closing

from analysis.records.files import FOLDERS, LEDGER_FILE, is_record
from analysis.storage.folder import LOCK_FILE, Folder


def linked_path(folder: Folder) -> str | None:
    """Return the folder of a sweep, or its ledger, if it is a link out of the storage."""
    return next((folder.display_path(at) for at in ("", LEDGER_FILE) if folder.is_link(at)), None)


def delete_sweep(folder: Folder) -> list[str]:
    """Delete the files of the sweep in `folder`, and the folder if nothing else is in it.

    The ledger is emptied before anything is deleted, and synced: from then on there is no sweep,
    and what is left of its files cannot look like one. The empty ledger is deleted last, so that
    an interrupted deletion can be repeated. In an object store the lock stays, so that a driver
    that was suspended cannot believe that it still has it.

    Files that are not a sweep's stay, and so do links to folders and what they lead to; the
    names of these are returned. InUseError if another process is working on the sweep.
    """
    with folder.lock() as locked:
        with closing(locked.append_to(LEDGER_FILE)) as ledger:
            ledger.truncate(0)
        delete_files(locked)
        return [name for name in (*locked.folders(), *locked.files()) if name != LOCK_FILE]


def delete_files(locked: Folder) -> None:
    """Delete the files of a locked sweep without records, and its folder if that is empty then."""
    for name in FOLDERS:
        part = locked.child(name)
        if not locked.is_link(name):
            for file in part.files():
                part.delete(file)
            part.remove_if_empty()
    for name in locked.files():
        if name != LEDGER_FILE and is_record(name):
            locked.delete(name)
    locked.delete(LEDGER_FILE)
    locked.remove_if_empty()
