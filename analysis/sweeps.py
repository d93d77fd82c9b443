"""The sweeps in a storage folder."""

from dataclasses import replace

from analysis.errors import LedgerError
from analysis.folder import Folder
from analysis.ledger import LEDGER_FILE, Ledger, read_ledger
from analysis.records import SweepCreated, parse_record


def list_sweeps(storage: Folder) -> list[SweepCreated]:
    """Returns the first record of every sweep in `storage`, newest first.

    A sweep is called what its folder is called now. A folder whose ledger does not begin
    with a whole record is not a sweep; damaged ones are left to `damaged_sweeps`.
    """
    return _readable(_first_records(storage))


def damaged_sweeps(storage: Folder) -> dict[str, str]:
    """Returns the sweeps whose ledger cannot even be begun to be read, each with the reason."""
    return _damaged(_first_records(storage))


def open_sweep(storage: Folder, name: str | None) -> tuple[Folder, Ledger]:
    """Returns the folder and the ledger of the sweep `name`, or of the newest.

    Raises:
        FileNotFoundError: If there is no such sweep; the message names those there are.
        LedgerError: If its ledger is damaged.
    """
    begun = _first_records(storage)
    names, damaged = [created.name for created in _readable(begun)], _damaged(begun)
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
    folder = storage.child(name)
    ledger = read_ledger(folder)
    ledger.created = replace(ledger.created, name=name)
    return folder, ledger


def _first_records(storage: Folder) -> dict[str, SweepCreated | LedgerError]:
    """Returns by folder the record that begins its sweep, or what is wrong with it."""
    found: dict[str, SweepCreated | LedgerError] = {}
    for name in storage.folders():
        folder = storage.child(name)
        place = folder.place(LEDGER_FILE)
        try:
            line = next(folder.lines(LEDGER_FILE), b"")
            if line.endswith(b"\n"):
                found[name] = replace(_first_record(line), name=name)
        except (FileNotFoundError, IsADirectoryError):
            continue
        except LedgerError as error:
            found[name] = LedgerError(f"{place}:1 {error}")
        except OSError as error:
            found[name] = LedgerError(f"{place} cannot be read ({error.strerror})")
    return found


def _readable(begun: dict[str, SweepCreated | LedgerError]) -> list[SweepCreated]:
    found = [record for record in begun.values() if isinstance(record, SweepCreated)]
    return sorted(found, key=lambda created: created.time, reverse=True)


def _damaged(begun: dict[str, SweepCreated | LedgerError]) -> dict[str, str]:
    return {name: str(error) for name, error in begun.items() if isinstance(error, LedgerError)}


def _first_record(line: bytes) -> SweepCreated:
    record = parse_record(line)
    if not isinstance(record, SweepCreated):
        raise LedgerError("is not the record that begins a sweep")
    return record
