"""A lock on a file, which the operating system releases when its owner ends, however it ends."""

import fcntl
import json
import os
import socket
import time
from io import TextIOWrapper
from pathlib import Path

from analysis.errors import InUseError

# `is_file_locked` takes the lock for an instant, which must not stop a driver from starting.
_RETRY_S = 1.0
_RETRY_EVERY_S = 0.02


def describe_owner() -> dict[str, str | int]:
    """Return what a lock says about this process."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


def in_use_error(folder: str, owner: str | bytes) -> InUseError:
    """Return the error for a folder that another process has locked."""
    try:
        found = json.loads(owner)
        process = f"process {found['pid']} on {found['host']}"
    except (ValueError, KeyError, TypeError):
        process = "an unknown process"
    return InUseError(f"another process is working on {folder}: {process}; wait for it to end")


def lock_file(path: Path) -> TextIOWrapper:
    """Lock a file and write this process into it; closing the file releases the lock.

    Raises:
        InUseError: Another process has the lock for a second or longer.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        end = time.monotonic() + _RETRY_S
        while not _try_lock(file, fcntl.LOCK_EX):
            if time.monotonic() > end:
                file.seek(0)
                raise in_use_error(str(path.parent), file.read())
            time.sleep(_RETRY_EVERY_S)
        file.truncate(0)
        json.dump(describe_owner(), file)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def is_file_locked(path: Path) -> bool:
    """Return whether a process has the lock on a file."""
    try:
        with path.open(encoding="utf-8") as file:
            return not _try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _try_lock(file: TextIOWrapper, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
