"""Appending to a file, line by line, so that a line is there whole or does not count."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class Appender(Protocol):
    """Appends lines to one file of a sweep's."""

    def write_line(self, line: bytes) -> None:
        """Writes one whole line.

        Raises:
            OSError: If the storage does not take it; what was there before stays whole.
        """

    def flush(self) -> None:
        """Brings to the storage soon what is not there yet."""

    def close(self) -> None:
        """Ends the writing when the storage has all of it.

        Raises:
            OSError: If the storage does not take it.
        """


class FileAppender:
    """Appends lines to a file; each is on the disk when `write_line` returns.

    Args:
        path: The file; it is begun, with its folders, if there is none.
        torn: The number of bytes of a half-written last line, to be taken away.
    """

    def __init__(self, path: Path, *, torn: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        self._file = path.open("ab", buffering=0)
        self._cut: int | None = None
        if torn:
            self._file.truncate(path.stat().st_size - torn)
        if new:
            _sync_folder(path.parent)

    def write_line(self, line: bytes) -> None:
        """Writes one whole line.

        Raises:
            OSError: If the disk does not take it; what was there before stays whole.
        """
        if self._cut is not None:
            self._file.truncate(self._cut)
            self._cut = None
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = self._file.write(line)
            if written != len(line):
                text = f"the disk took {written} of {len(line)} bytes; is it full?"
                raise OSError(errno.ENOSPC, text)
            os.fsync(self._file.fileno())
        except OSError as error:
            if error.errno is not None:
                error.filename = self._file.name  # writing and syncing name no file
            # Should even this fail, the next line waits until it succeeds.
            self._cut = end
            with suppress(OSError):
                self._file.truncate(end)
                self._cut = None
            raise

    def flush(self) -> None:
        """Does nothing: each line is on the disk already."""

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _sync_folder(path: Path) -> None:
    """Makes the new file's name as durable as its bytes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
