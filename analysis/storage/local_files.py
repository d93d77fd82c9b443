"""Locks on local files, and lines that are appended to them."""

import errno
import fcntl
import json
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from analysis.errors import InUseError, StorageError

# `is_file_locked` takes the lock for an instant, which must not stop a driver from starting.
_RETRY_S = 1.0
_RETRY_EVERY_S = 0.02


def describe_owner() -> bytes:
    """Return what a lock says about this process: a different text for each lock."""
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    return json.dumps(owner).encode()


def in_use_error(folder: str, owner: bytes) -> InUseError:
    """Return the error for a folder that another process has locked."""
    try:
        found = json.loads(owner)
        process = f"process {found['pid']} on {found['host']}"
    except (ValueError, KeyError, TypeError):
        process = "an unknown process"
    return InUseError(f"another process is working on {folder}: {process}; wait for it to end")


def lock_file(path: Path) -> BinaryIO:
    """Lock a file and write this process into it; closing the file releases the lock.

    The operating system closes it when the process ends, however it ends.

    Raises:
        InUseError: Another process has the lock for a second or longer.
    """
    file = path.open("a+b", buffering=0)
    try:
        end = time.monotonic() + _RETRY_S
        while not _try_lock(file, fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise in_use_error(str(path.parent), path.read_bytes())
            time.sleep(_RETRY_EVERY_S)
        file.truncate(0)
        file.write(describe_owner())
    except BaseException:
        file.close()
        raise
    return file


def is_file_locked(path: Path) -> bool:
    """Return whether a process has the lock on a file."""
    try:
        with path.open("rb") as file:
            return not _try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _try_lock(file: BinaryIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FileAppender:
    """Appends lines to a file; each is on the disk when `write_line` returns."""

    def __init__(self, path: Path, *, truncated_bytes: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._cut: int | None = None
        if truncated_bytes:
            self._file.truncate(path.stat().st_size - truncated_bytes)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)  # the entry of a new file
        finally:
            os.close(handle)

    def write_line(self, line: bytes, *, at_once: bool = False) -> None:
        """Write one line to the disk."""
        end = self._cut
        try:
            if end is not None:  # a part of an earlier line is left
                self._file.truncate(end)
                self._cut = None
            end = self._file.seek(0, os.SEEK_END)
            written = self._file.write(line)
            if written != len(line):
                text = f"the disk took {written} of {len(line)} bytes; is it full?"
                raise OSError(errno.ENOSPC, text)
            os.fsync(self._file.fileno())
        except OSError as error:
            # Should even this fail, the next line waits until it succeeds.
            self._cut = end
            with suppress(OSError):
                self._file.truncate(end)
                self._cut = None
            number, reason = error.errno or errno.EIO, error.strerror or str(error)
            raise StorageError(number, reason, self._file.name) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()
