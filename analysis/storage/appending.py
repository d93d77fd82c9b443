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
            StorageError: The storage does not accept it; the lines before are unharmed.
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
        self._end: int | None = None
        if truncated_bytes:
            self._file.truncate(path.stat().st_size - truncated_bytes)
        if new:
            _sync_folder(path.parent)

    def write_line(self, line: bytes) -> None:
        """Write one line, line end included.

        Raises:
            StorageError: The disk does not accept it; the lines before are unharmed.
        """
        try:
            self._write_line(line)
        except OSError as error:
            number = error.errno or errno.EIO
            raise StorageError(number, error.strerror or str(error), self._file.name) from error

    def _write_line(self, line: bytes) -> None:
        if self._end is not None:
            self._file.truncate(self._end)
            self._end = None
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = self._file.write(line)
            if written != len(line):
                text = f"the disk took {written} of {len(line)} bytes; is it full?"
                raise OSError(errno.ENOSPC, text)
            os.fsync(self._file.fileno())
        except OSError:
            # If this fails too, the next line waits until it succeeds.
            self._end = end
            with suppress(OSError):
                self._file.truncate(end)
                self._end = None
            raise

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
