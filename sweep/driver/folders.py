"""The folder of a new sweep."""

import json
import re
import time

from analysis.errors import StorageError, describe_cause
from analysis.records.files import CONFIG_FILE, ENVIRONMENT_FILE
from analysis.records.sweeps import open_sweep
from analysis.storage.folder import Folder
from sweep.config import SweepConfig
from sweep.environment import describe_environment
from sweep.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> None:
    """Accepts what is a folder's name everywhere.

    Raises:
        UsageError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "a sweep's name must be 1 to 100 letters, digits, `.`, `_` or `-`, beginning with a "
            f"letter or a digit, but got {name[:120]!r}"
        )


def name_after(stem: str) -> str:
    """Returns a name for a sweep that begins now: of `stem` what a name may have, and the time."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-")[:80] or "sweep"
    return f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"


def prepare_folder(storage: Folder, name: str, config: SweepConfig) -> Folder:
    """Returns the folder of a new sweep, tried out by writing the config to it.

    Raises:
        UsageError: There is such a sweep already.
        StorageError: The storage cannot be written.
    """
    if exists(storage, name):
        raise UsageError(
            f"there is a sweep {name!r} in {storage} already; choose another --name, or go on "
            f"with it: sweep resume {name}"
        )
    folder = storage.child(name)
    try:
        folder.write(CONFIG_FILE, config.to_yaml().encode())
        write_environment(folder)
    except StorageError as error:
        raise StorageError(
            f"cannot write to {folder}: {describe_cause(error)}; "
            "`--storage` chooses another folder"
        ) from error
    return folder


def exists(storage: Folder, name: str) -> bool:
    """Tells whether there is a sweep of that name."""
    try:
        open_sweep(storage, name)
    except FileNotFoundError:
        return False
    return True


def write_environment(folder: Folder) -> None:
    """Writes what the sweep runs with, for whoever wants to repeat it."""
    folder.write(ENVIRONMENT_FILE, json.dumps(describe_environment(), indent=2).encode())
