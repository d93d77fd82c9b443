"""Appending lines to a file, so that each is either complete or ignored."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from analysis.errors import StorageError


class Appender(Protocol):
    """Appends lines to one file of a sweep."""

    def write_line(self, line: bytes) -> None:
        """Write one line, line end included.

        Raises:
            StorageError: The storage does not accept it, or, of an object store, a line before;
                the lines before are unharmed.
        """

    def flush(self) -> None:
        """Bring the lines to the storage soon."""

    def close(self) -> None:
        """Wait until the storage has all lines.

        Raises:
            StorageError: The storage does not accept them.
        """


class FileAppender:
    """Appends lines to a file; each is on the disk when `write_line` returns.

    Args:
        path: The file; it and its folders are created if they do not exist.
        truncated_bytes: Size of the incomplete last line, which is removed.
    """

    def __init__(self, path: Path, *, truncated_bytes: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        self._file = path.open("ab", buffering=0)
        self._end = path.stat().st_size - truncated_bytes
        self._file.truncate(self._end)
        if new:
            _sync_folder(path.parent)

    def write_line(self, line: bytes) -> None:
        """Write one line to the disk."""
        try:
            self._file.truncate(self._end)  # if a part of an earlier line is left
            written = self._file.write(line)
            if written != len(line):
                text = f"the disk took {written} of {len(line)} bytes; is it full?"
                raise OSError(errno.ENOSPC, text)
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._end)
            number, reason = error.errno or errno.EIO, error.strerror or str(error)
            raise StorageError(number, reason, self._file.name) from error
        self._end += len(line)

    def flush(self) -> None:
        """Do nothing: each line is on the disk already."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _sync_folder(path: Path) -> None:
    """Write the entry of a new file to the disk, as its contents are."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
