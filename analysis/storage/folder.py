"""Folders that store sweeps. Those of a file system are here, others in `object_store`.

A file is replaced atomically or appended to line by line. One process at a time has the lock
of a folder.
"""

import errno
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from analysis.errors import StorageError
from analysis.storage.appending import Appender, FileAppender
from analysis.storage.file_lock import is_file_locked, lock_file

LOCK_FILE = ".lock"
_PART = ".part"
_STALE_PART_S = 10.0  # a report may be written without the lock


class Folder(ABC):
    """A folder in a storage that every process of the sweep can reach.

    Names are relative and use `/`. A file that does not exist is a FileNotFoundError, every
    other failure a StorageError. `str` of a folder is for messages and shows no credentials.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of the folder's path."""

    @property
    @abstractmethod
    def storage(self) -> str:
        """The folder above, as a user types it after `--storage`; without credentials."""

    @abstractmethod
    def child(self, name: str) -> "Folder":
        """Return the folder `name` in this one; it need not exist."""

    def display_path(self, name: str) -> str:
        """Return the path of a file for messages."""
        return f"{self}/{name}"

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
        """Return the contents of a file.

        Raises:
            FileNotFoundError: It does not exist.
        """
        with self._errors_of(name):
            return self._read(name)

    def read_first_line(self, name: str) -> bytes:
        """Return the first line of a file with its line end, without reading all of it.

        Raises:
            FileNotFoundError: It does not exist.
        """
        with self._errors_of(name):
            return self._read_first_line(name)

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a file; a reader, or a crash, finds the old or the new contents."""
        with self._errors_of(name):
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
        with self._errors_of(name):
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
    def _read(self, name: str) -> bytes: ...

    @abstractmethod
    def _read_first_line(self, name: str) -> bytes: ...

    @abstractmethod
    def _write(self, name: str, data: bytes) -> None: ...

    @abstractmethod
    def _delete(self, name: str) -> None: ...

    @abstractmethod
    def _append_to(self, name: str, truncated_bytes: int) -> Appender: ...

    def _reason(self, error: OSError) -> str:
        return error.strerror or str(error)

    @contextmanager
    def _errors_of(self, name: str) -> Iterator[None]:
        """Raise an OSError again as the error of a file: with number, reason and path."""
        try:
            yield
        except StorageError:
            raise
        except FileNotFoundError as error:
            path = self.display_path(name)
            raise FileNotFoundError(errno.ENOENT, "no such file", path) from error
        except OSError as error:
            path = self.display_path(name) if name else str(self)
            raise StorageError(error.errno or errno.EIO, self._reason(error), path) from error


@dataclass(frozen=True)
class LocalFolder(Folder):
    """A folder on a file system, of this machine or shared by several."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The last part of the folder's path."""
        return self.path.name

    @property
    def storage(self) -> str:
        """The path of the folder above."""
        return str(self.path.parent)

    def child(self, name: str) -> "LocalFolder":
        """Return the folder `name` in this one; it need not exist."""
        return LocalFolder(self.path / name)

    def local_path(self, name: str) -> Path:
        """Return the path of a file on this machine."""
        return self.path / name

    @contextmanager
    def lock(self) -> Iterator[Callable[[], None]]:
        """Lock the folder; the operating system unlocks it when this process ends."""
        with self._errors_of(LOCK_FILE):
            self.path.mkdir(parents=True, exist_ok=True)
            file = lock_file(self.path / LOCK_FILE)
        with file:
            self._delete_parts()
            yield lambda: None

    def is_locked(self) -> bool:
        """Return whether a process has the lock."""
        with self._errors_of(LOCK_FILE):
            return is_file_locked(self.path / LOCK_FILE)

    def _delete_parts(self) -> None:
        """Delete the files that a killed process did not finish writing."""
        for pattern in (f".*{_PART}", f"*/.*{_PART}"):
            for path in self.path.glob(pattern):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _STALE_PART_S:
                        path.unlink()

    def _exists(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _entries(self, *, folders: bool) -> list[str]:
        if not self.path.is_dir():
            return []
        return [e.name for e in self.path.iterdir() if (e.is_dir() if folders else e.is_file())]

    def _read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def _read_first_line(self, name: str) -> bytes:
        with (self.path / name).open("rb") as file:
            return file.readline()

    def _write(self, name: str, data: bytes) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not `mkstemp`, whose files nobody else may read.
        temporary = target.with_name(f".{target.name[:40]}-{secrets.token_hex(8)}{_PART}")
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
