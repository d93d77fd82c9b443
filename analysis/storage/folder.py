"""Folders that store sweeps: on a file system (`local_folder`) or in an object store.

What survives, for every record that a journal has acknowledged and every file that `write` has
written:

| event            | disk                  | NFS                   | object store            |
|------------------|-----------------------|-----------------------|-------------------------|
| killed process   | everything            | everything            | all but the last 20 s   |
| killed machine   | everything            | everything            | all but the last 20 s   |
| full disk        | everything written    | everything written    | (the store refuses)     |
| lost node        | its epochs up to the checkpoint that it wrote last, on every storage    |
| moved or deleted | the driver stops, at its next record      | the same, within 20 s   |
| suspended driver | it keeps the lock     | it may lose the lock  | it loses the lock       |

Records within those 20 s are repeated: their trials continue from checkpoints. A driver and its
workers wait 60 s for a store that does not answer; its records of that time come on top of those
20 s. A driver that has lost the lock in an object store can write nothing more (`lease`). One of
its workers may still create the checkpoint of a training that has ended, which does no harm.

What a machine keeps is what it has synced. A disk must not lie about that, and an NFS server must
not be exported with `async`. After a failed sync a driver stops. A deletion is not synced: a
checkpoint that is not needed any more may come back, and does no harm.

An NFSv4 server gives the locks of a machine that is silent for about 90 s to another one that
asks for them. Linux, unless `nfs.recover_lost_locks` is set, then refuses what the driver
appends to its journals, which it has locked, so that it stops. What its workers replace
meanwhile are whole checkpoints of the same trainings.
"""

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, ClassVar, Protocol, Self, TypeVar

from analysis.errors import StorageError

LOCK_FILE = ".lock"
UNFINISHED = f".?*-{'[0-9a-f]' * 16}.part"
"""Pattern of the names of files that a killed process did not finish writing."""

T = TypeVar("T")


class ChangedError(Exception):
    """A file is not the version that was to be replaced."""


GONE = "moved or deleted while the sweep was running; if moved, resume it by its new name"


def gone_error(path: str) -> StorageError:
    """Return the error for a file that a driver has open, and that is not there any more."""
    return StorageError(errno.ENOENT, GONE, path)


class Appender(Protocol):
    """Appends lines to one file of a sweep; `contents` are those that it had when opened."""

    contents: bytes

    def truncate(self, n_bytes: int) -> None:
        """Keep only the first bytes of the file, or raise StorageError."""

    def write_line(self, line: bytes, *, at_once: bool = False) -> None:
        """Write one line, line end included; `at_once` also to an object store, not within 20 s.

        Raises:
            StorageError: The storage does not accept this line, or, of an object store, one
                before. Those that it has are unharmed. The appender accepts no more lines.
        """

    def delete_when_safe(self, names: Iterable[str]) -> None:
        """Delete files of the folder once the storage has all lines so far."""

    def close(self) -> None:
        """Wait until the storage has all lines; StorageError if it does not accept them."""


@dataclass(frozen=True)
class Folder(ABC):
    """A folder in a storage that every process of the sweep can reach.

    Names are relative and use `/`. A file that does not exist is a FileNotFoundError, every
    other failure a StorageError. `str` of a folder is for messages and shows no credentials. In
    an object store and under a lock, `lock_number` is higher than under earlier locks.
    """

    path: PurePath
    lock_number: int = field(default=0, kw_only=True, repr=False, compare=False)

    _failures: ClassVar[tuple[type[Exception], ...]] = (OSError,)

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
        return self._attempt(name, lambda: self._exists(name))

    def folders(self) -> list[str]:
        """Return the names of the folders in this one, sorted; none if it does not exist."""
        return self._attempt("", lambda: sorted(self._entries(folders=True)))

    def files(self) -> list[str]:
        """Return the names of the files in this folder, sorted; none if it does not exist."""
        return self._attempt("", lambda: sorted(self._entries(folders=False)))

    def read(self, name: str) -> bytes:
        """Return the contents of a file."""
        return self.read_version(name)[0]

    def read_version(self, name: str) -> tuple[bytes, Any]:
        """Return the contents of a file and their version, for `replace`."""
        return self._attempt(name, lambda: self._read(name))

    def read_first_line(self, name: str) -> bytes:
        """Return the first line of a file with its line end, without reading all of it."""
        return self._attempt(name, lambda: self._read_first_line(name))

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a file; a reader, or a crash, finds the old or the new contents."""
        self._attempt(name, lambda: self._write(name, data), may_lack=False)

    def replace(self, name: str, data: bytes, version: Any) -> Any:
        """Replace a file if it is still a certain version, and return the new version.

        The version None is that of a file that does not exist. A file system replaces any
        version: its lock is lost only by a process that has ended. ChangedError if another
        process has written or deleted the file.
        """
        return self._attempt(name, lambda: self._replace(name, data, version), may_lack=False)

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        with suppress(FileNotFoundError):
            self._attempt(name, lambda: self._delete(name))

    def is_link(self, name: str) -> bool:
        """Return whether a file or a folder is a link; with an empty name, this folder."""
        return False

    def remove_if_empty(self) -> None:  # noqa: B027 - an object store has no folders
        """Remove this folder if it contains nothing but the lock, which this process has."""

    def append_to(self, name: str) -> Appender:
        """Return an appender of lines to a file, which is created if it does not exist."""
        return self._attempt(name, lambda: self._append_to(name), may_lack=False)

    @abstractmethod
    def lock(self) -> AbstractContextManager[Self]:
        """Lock the folder for this process during a `with` block, and yield it to write to.

        Once another process has taken the lock over, writes and deletions raise InUseError.

        Raises:
            InUseError: Another process has the lock; the message names it and its host. At the
                end of the block: another process has taken the lock over.
        """

    @abstractmethod
    def is_locked(self) -> bool:
        """Return whether a process has the lock."""

    def check_lock(self) -> None:  # noqa: B027 - a file system has nothing to check
        """Raise InUseError if another process is known to have taken the lock over."""

    @abstractmethod
    def _exists(self, name: str) -> bool: ...

    @abstractmethod
    def _entries(self, *, folders: bool) -> list[str]: ...

    @abstractmethod
    def _read(self, name: str) -> tuple[bytes, Any]: ...

    @abstractmethod
    def _read_first_line(self, name: str) -> bytes: ...

    @abstractmethod
    def _write(self, name: str, data: bytes) -> None: ...

    @abstractmethod
    def _replace(self, name: str, data: bytes, version: Any) -> Any: ...

    @abstractmethod
    def _delete(self, name: str) -> None: ...

    @abstractmethod
    def _append_to(self, name: str) -> Appender: ...

    def _describe(self, error: Exception) -> tuple[int, str]:
        """Return the number and the reason of a failure."""
        number = getattr(error, "errno", None) or errno.EIO
        return number, getattr(error, "strerror", None) or str(error)

    def _attempt(self, name: str, act: Callable[[], T], *, may_lack: bool = True) -> T:
        """Return what `act` returns, with the errors of `_errors_of`."""
        with self._errors_of(name, may_lack=may_lack):
            return act()

    @contextmanager
    def _errors_of(self, name: str, *, may_lack: bool = True) -> Iterator[None]:
        """Raise a failure again as the error of a file: with number, reason and path.

        A missing file is a FileNotFoundError where `may_lack` is set.
        """
        try:
            yield
        except StorageError:
            raise
        except self._failures as error:
            path = self.display_path(name)
            if isinstance(error, FileNotFoundError) and may_lack:
                raise FileNotFoundError(errno.ENOENT, "no such file", path) from error
            raise StorageError(*self._describe(error), path) from error
