"""The folder of a new sweep."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from analysis.errors import InUseError, StorageError, describe_cause
from analysis.records.deletion import delete_files
from analysis.records.files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    CONFIRMATION_FILE,
    ENVIRONMENT_FILE,
    LEDGER_FILE,
)
from analysis.records.ledger import read_first_record
from analysis.storage.folder import Folder
from sweep.config import SweepConfig
from sweep.environment import commit, gpus, machine, versions
from sweep.errors import UsageError
from sweep.networks import keep_network

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> None:
    """Raise UsageError for a name of a folder that a storage may not accept."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            "a sweep's name must be 1 to 100 letters, digits, `.`, `_` or `-`, beginning with a "
            f"letter or a digit, but got {name[:120]!r}"
        )


def name_after(stem: str) -> str:
    """Return a name for a new sweep: the allowed characters of `stem`, and the time."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-")[:80] or "sweep"
    return f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"


def check_is_new(storage: Folder, name: str) -> None:
    """Raise UsageError if a sweep of this name exists already, or results of one.

    A trial would continue from the checkpoint of another sweep, perhaps of other data.
    """
    folder = storage.child(name)
    if read_first_record(folder) is not None:
        raise UsageError(
            f"the sweep {name!r} already exists in {storage}; choose another --name, or "
            f"continue it: sweep resume {name}"
        )
    left = {
        "the confirmation": folder.exists(CONFIRMATION_FILE),
        "checkpoints": bool(folder.child(CHECKPOINTS_FOLDER).files()),
    }
    for what in (what for what, is_there in left.items() if is_there):
        raise UsageError(
            f"{folder} has {what} of a sweep whose ledger is gone; choose another --name, or "
            "delete that folder"
        )


@contextmanager
def new_folder(storage: Folder, name: str, config: SweepConfig) -> Iterator[Folder]:
    """Create and lock the folder of a new sweep, with its config and environment; yield it.

    A folder that was empty is so again if the block ends with an exception before the sweep has
    a ledger.

    Raises:
        UsageError: The sweep exists already. Nothing is changed then.
        InUseError: Another process is working on it.
        StorageError: The storage cannot be written.
    """
    check_is_new(storage, name)
    folder = storage.child(name)
    was_empty = not folder.files() and not folder.folders()
    with ExitStack() as stack:
        try:
            locked = stack.enter_context(folder.lock())
            check_is_new(storage, name)  # another process may have been faster
            locked.write(CONFIG_FILE, config.to_yaml().encode())
            write_environment(locked, config)
            keep_network(locked, config.model)
        except InUseError:
            raise
        except StorageError as error:
            raise StorageError(
                f"cannot write to {folder}: {describe_cause(error)}; "
                "choose another folder with --storage"
            ) from error
        try:
            yield locked
        except StorageError:  # nothing is known about the ledger
            raise
        except BaseException:
            with suppress(StorageError):
                # Not by way of `locked`, which waits for a store that does not answer.
                if was_empty and not folder.exists(LEDGER_FILE):
                    delete_files(locked)
            raise


def write_environment(folder: Folder, config: SweepConfig) -> None:
    """Write the versions, the machine and the commit that the sweep runs with."""
    here = machine() | (gpus() if config.resources.gpu else {})
    environment = {"versions": versions(), "commit": commit(), "machine": here}
    folder.write(ENVIRONMENT_FILE, json.dumps(environment, indent=2).encode())
