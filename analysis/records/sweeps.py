"""The sweeps in a storage folder."""

from dataclasses import replace

from analysis.errors import LedgerError
from analysis.records.events import SweepCreated, parse_record
from analysis.records.ledger import LEDGER_FILE, Ledger, read_ledger
from analysis.storage.folder import Folder


def list_sweeps(storage: Folder) -> tuple[list[SweepCreated], dict[str, str]]:
    """Returns the first record of every sweep in `storage`, and the damaged ones.

    A sweep is called what its folder is called now. A folder whose ledger does not begin
    with a whole record is not a sweep.

    Returns:
        The records, newest first; and by its name each sweep whose ledger cannot even be
        begun to be read, with the reason.
    """
    found, damaged = [], {}
    for name in storage.folders():
        try:
            created = _first_record(storage.child(name))
        except LedgerError as error:
            damaged[name] = str(error)
            continue
        if created is not None:
            found.append(replace(created, name=name))
    return sorted(found, key=lambda created: created.time, reverse=True), damaged


def open_sweep(storage: Folder, name: str | None) -> tuple[Folder, Ledger]:
    """Returns the folder and the ledger of the sweep `name`, or of the newest.

    The others are looked at only for the newest, or where there is no sweep `name`.

    Raises:
        FileNotFoundError: If there is no such sweep; the message names those there are.
        LedgerError: If its ledger is damaged.
    """
    if name is None or not _is_sweep(storage, name):
        name = _choose(storage, name)
    folder = storage.child(name)
    return folder, read_sweep(folder)


def read_sweep(folder: Folder) -> Ledger:
    """Returns the ledger of the sweep in `folder`, which is called what the folder is called.

    Raises:
        FileNotFoundError: If there is none.
        LedgerError: If it is damaged.
    """
    ledger = read_ledger(folder)
    ledger.created = replace(ledger.created, name=folder.name)
    return ledger


def _is_sweep(storage: Folder, name: str) -> bool:
    """Tells whether `name` is a sweep's, whose first record is whole, and no path to one."""
    if "/" in name or name in ("", ".", ".."):
        return False
    try:
        return _first_record(storage.child(name)) is not None
    except LedgerError:
        return False


def _choose(storage: Folder, name: str | None) -> str:
    """Returns the newest sweep's name, or `name` if it is among all there are."""
    found, damaged = list_sweeps(storage)
    names = [created.name for created in found]
    if name is None and names:
        name = names[0]
    if name in damaged or (name is None and damaged):
        raise LedgerError(damaged[name] if name else next(iter(damaged.values())))
    if name is None:
        raise FileNotFoundError(f"there is no sweep in {storage} yet")
    if name not in names:
        known = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        there = f"there is: {known}" if names else "there is none at all"
        raise FileNotFoundError(f"there is no sweep {name!r} in {storage}; {there}")
    return name


def _first_record(folder: Folder) -> SweepCreated | None:
    """The record that begins the sweep in a folder; None if there is no sweep."""
    place = folder.place(LEDGER_FILE)
    try:
        line = next(folder.lines(LEDGER_FILE), b"")
        record = parse_record(line) if line.endswith(b"\n") else None
    except (FileNotFoundError, IsADirectoryError):
        return None
    except LedgerError as error:
        raise LedgerError(f"{place}:1 {error}") from error
    except OSError as error:
        raise LedgerError(f"{place} cannot be read ({error.strerror})") from error
    if not isinstance(record, SweepCreated | None):
        raise LedgerError(f"{place}:1 is not the record that begins a sweep")
    return record
