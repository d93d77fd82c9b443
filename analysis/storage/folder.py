"""Folders that store sweeps. Those of a file system are here, others in `object_store`.

A file is replaced atomically or appended to line by line. One process at a time has the lock
of a folder.
"""

import errno
import os
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol, Self

from typing_extensions import override

from analysis.errors import StorageError
from analysis.storage.local_files import FileAppender, is_file_locked, lock_file

LOCK_FILE = ".lock"
_PART = re.compile(r"\..{1,40}-[0-9a-f]{16}\.part")
_STALE_PART_S = 3600.0  # a report may be written without the lock


class Appender(Protocol):
    """Appends lines to one file of a sweep."""

    def write_line(self, line: bytes, *, at_once: bool = False) -> None:
        """Write one line, line end included.

        Args:
            line: The line.
            at_once: Whether an object store gets the line now, not within 20 s.

        Raises:
            StorageError: The storage does not accept it, or, of an object store, a line before;
                the lines before are unharmed.
        """

    def close(self) -> None:
        """Wait until the storage has all lines.

        Raises:
            StorageError: The storage does not accept them.
        """


@dataclass(frozen=True)
class Folder(ABC):
    """A folder in a storage that every process of the sweep can reach.

    Names are relative and use `/`. A file that does not exist is a FileNotFoundError, every
    other failure a StorageError. `str` of a folder is for messages and shows no credentials.
    """

    path: PurePath

    @property
    def name(self) -> str:
        """The last part of the folder's path."""
        return self.path.name

    @property
    @abstractmethod
    def storage(self) -> str:
        """The folder above, as a user types it after `--storage`; without credentials."""

    def child(self, name: str) -> Self:
        """Return the folder `name` in this one; it need not exist."""
        return replace(self, path=self.path / name)

    def display_path(self, name: str) -> str:
        """Return the path of a file for messages."""
        return f"{self}/{name}" if name else str(self)

    def exists(self, name: str) -> bool:
        """Return whether the file `name` exists."""
        with self._errors_of(name):
            return self._exists(name)

    def folders(self) -> list[str]:
        """Return the names of the folders in this one, sorted; none if it does not exist."""
        with self._errors_of(""):
            return sorted(self._entries(folders=True))

    def files(self) -> list[str]:
        """Return the names of the files in this folder, sorted; none if it does not exist."""
        with self._errors_of(""):
            return sorted(self._entries(folders=False))

    def read(self, name: str) -> bytes:
        """Return the contents of a file."""
        with self._errors_of(name), self._open(name) as file:
            return file.read()

    def read_first_line(self, name: str) -> bytes:
        """Return the first line of a file with its line end, without reading all of it."""
        with self._errors_of(name), self._open(name) as file:
            return file.readline()

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a file; a reader, or a crash, finds the old or the new contents."""
        with self._errors_of(name, may_lack=False):
            self._write(name, data)

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        with suppress(FileNotFoundError), self._errors_of(name):
            self._delete(name)

    def append_to(self, name: str, *, truncated_bytes: int = 0) -> Appender:
        """Return an appender of lines to a file, which is created if it does not exist.

        Args:
            name: The file.
            truncated_bytes: Size of the incomplete last line, which is removed.
        """
        with self._errors_of(name, may_lack=False):
            return self._append_to(name, truncated_bytes)

    @abstractmethod
    def lock(self) -> AbstractContextManager[Callable[[], None]]:
        """Lock the folder for this process during a `with` block.

        Yields:
            A function to call often: it raises InUseError if another process has taken the
            lock over.

        Raises:
            InUseError: Another process has the lock; the message names it and its host.
        """

    @abstractmethod
    def is_locked(self) -> bool:
        """Return whether a process has the lock."""

    @abstractmethod
    def _exists(self, name: str) -> bool: ...

    @abstractmethod
    def _entries(self, *, folders: bool) -> list[str]: ...

    @abstractmethod
    def _open(self, name: str) -> BinaryIO: ...

    @abstractmethod
    def _write(self, name: str, data: bytes) -> None: ...

    @abstractmethod
    def _delete(self, name: str) -> None: ...

    @abstractmethod
    def _append_to(self, name: str, truncated_bytes: int) -> Appender: ...

    def _reason(self, error: OSError) -> str:
        return error.strerror or str(error)

    @contextmanager
    def _errors_of(self, name: str, *, may_lack: bool = True) -> Iterator[None]:
        """Raise an OSError again as the error of a file: with number, reason and path.

        A missing file is a FileNotFoundError where `may_lack` is set.
        """
        try:
            yield
        except StorageError:
            raise
        except OSError as error:
            if isinstance(error, FileNotFoundError) and may_lack:
                path = self.display_path(name)
                raise FileNotFoundError(errno.ENOENT, "no such file", path) from error
            number, path = error.errno or errno.EIO, self.display_path(name)
            raise StorageError(number, self._reason(error), path) from error


@dataclass(frozen=True)
class LocalFolder(Folder):
    """A folder on a file system, of this machine or shared by several."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    @override
    def storage(self) -> str:
        return str(self.path.parent)

    @override
    @contextmanager
    def lock(self) -> Iterator[Callable[[], None]]:
        with self._errors_of(LOCK_FILE, may_lack=False):
            self.path.mkdir(parents=True, exist_ok=True)
            file = lock_file(self.path / LOCK_FILE)
        with file:
            self._delete_parts()
            yield lambda: None

    @override
    def is_locked(self) -> bool:
        with self._errors_of(LOCK_FILE):
            return is_file_locked(self.path / LOCK_FILE)

    def _delete_parts(self) -> None:
        """Delete the files that a killed process did not finish writing."""
        for pattern in (".*.part", "*/.*.part"):
            for path in self.path.glob(pattern):
                with suppress(OSError):
                    age_s = time.time() - path.stat().st_mtime
                    if _PART.fullmatch(path.name) and age_s > _STALE_PART_S:
                        path.unlink()

    def _exists(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _entries(self, *, folders: bool) -> list[str]:
        if not self.path.is_dir():
            return []
        return [e.name for e in self.path.iterdir() if (e.is_dir() if folders else e.is_file())]

    def _open(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")

    def _write(self, name: str, data: bytes) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not `mkstemp`, whose files nobody else may read.
        temporary = target.with_name(f".{target.name[:40]}-{secrets.token_hex(8)}.part")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def _delete(self, name: str) -> None:
        (self.path / name).unlink()

    def _append_to(self, name: str, truncated_bytes: int) -> FileAppender:
        return FileAppender(self.path / name, truncated_bytes=truncated_bytes)
