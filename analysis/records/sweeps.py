"""The sweeps in a storage folder."""

import difflib
from pathlib import Path

from msgspec.structs import replace

from analysis.errors import LedgerError
from analysis.records.files import LEDGER_FILE
from analysis.records.ledger import Ledger, SweepCreated, read_first_record, read_ledger
from analysis.storage.folder import Folder


def list_sweeps(storage: Folder) -> tuple[list[SweepCreated], dict[str, str]]:
    """Return the first record of each sweep, newest first, and why others cannot be read, by name.

    A sweep has the current name of its folder. A folder whose ledger does not begin with a
    complete record is not a sweep.
    """
    found, damaged = [], {}
    for name in storage.folders():
        try:
            created = read_first_record(storage.child(name))
        except LedgerError as error:
            damaged[name] = str(error)
            continue
        if created is not None:
            found.append(replace(created, name=name))
    return sorted(found, key=lambda created: created.time, reverse=True), damaged


def open_sweep(storage: Folder, name: str | None) -> tuple[Folder, Ledger]:
    """Return the folder and the ledger of the sweep `name`, by default of the newest.

    If there is no such sweep, a FileNotFoundError suggests one that exists. LedgerError if
    its ledger is damaged.
    """
    if name is None:
        found, damaged = list_sweeps(storage)
        if not found and damaged:
            raise LedgerError(next(iter(damaged.values())))
        if not found:
            raise no_such_sweep(storage)
        name = found[0].name
    elif "/" in name or name in ("", ".", "..") or not read_first_record(storage.child(name)):
        raise no_such_sweep(storage, name)
    folder = storage.child(name)
    return folder, read_ledger(folder)


def pause_after(seconds: float) -> float:
    """Return the seconds until a sweep is read again, after a reading that took some.

    Reading a ledger of 10,000 trials takes seconds; it is read again after ten times as long.
    """
    return max(2.0, 10 * seconds)


def no_such_sweep(storage: Folder, name: str | None = None) -> FileNotFoundError:
    """Return the error for a name that no sweep has, or for a storage without sweeps.

    It suggests a sweep that exists.
    """
    names = [created.name for created in list_sweeps(storage)[0]]
    similar = [known for known in names if known.startswith(name)] if name else []
    similar += difflib.get_close_matches((name or "")[:100], names, n=1)
    hint = f"choose from {', '.join(names[:5])}" + (", …" if len(names) > 5 else "")
    if not names:
        hint = "start one with `sweep run`"
    elif similar:
        hint = f"did you mean {similar[0]}?"
    if name in storage.folders():
        hint = f"the folder of this name has no readable {LEDGER_FILE}"
    what = "sweep" if name is None else f"sweep {name!r}"
    is_missing = isinstance(storage.path, Path) and not storage.path.exists()
    where = f"{storage}, which does not exist" if is_missing else f"{storage}"
    return FileNotFoundError(f"there is no {what} in {where}; {hint}")
