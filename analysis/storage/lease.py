"""The lock of a folder in an object store: an object that its owner keeps replacing.

It is created only if it does not exist, and replaced only if it is still what its owner wrote
last. So one process has it, however long others were suspended. It is free again when its owner
releases it, or has not replaced it for 20 s. To find that out a process watches; clocks are not
compared. Only `is_beating`, which answers at once, relies on this machine's clock to be within
seconds of the store's.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from analysis.errors import InUseError, StorageError
from analysis.storage.folder import GONE, LOCK_FILE, ChangedError, Folder
from analysis.storage.local_folder import describe_owner, in_use_error, name_owner

_BEAT_S = 5.0
_UNSURE_S = 10.0
_STALE_S = 20.0
_WATCH_S = 1.0
_TRIES = 5


@dataclass(frozen=True)
class Version:
    """A version of an object: tags of the store's, and when it was written, by its clock."""

    tags: dict[str, str]
    modified: float | None = None


def _now() -> float:
    """Return the seconds of a clock that does not stop while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """The lock of a folder, as one process wants it or has it; its `number` exceeds all before."""

    def __init__(self, store: Folder) -> None:
        self._store, self.number = store, 0
        self._owner = describe_owner()
        self._n_beats, self._beaten, self._is_released = 0, 0.0, False
        self._version: Version | None = None
        self._lost_to: bytes | None = None
        self._mutex = threading.RLock()

    def acquire(self) -> None:
        """Take the lock, or raise InUseError if another process has it."""
        for _ in range(_TRIES):
            lock, self._version = self._wait_until_free()
            # The clock matters only if somebody has deleted the lock.
            self.number = max(int(_says(lock, "number") or 0) + 1, int(time.time()))
            if (other := self._replace()) is None:
                return
        raise in_use_error(str(self._store), other or b"")

    def beat(self) -> None:
        """Replace the lock, which proves that this process has it; InUseError if it has not."""
        with self._mutex:
            self.check()
            self._lost_to = self._replace()
            self.check()

    def ensure(self) -> None:
        """Beat, unless a beat of the last 10 s has succeeded."""
        with self._mutex:
            self.check()
            if _now() - self._beaten > _UNSURE_S:
                self.beat()

    def check(self) -> None:
        """Raise InUseError if the lock is known to be lost."""
        if self._lost_to == b"":
            raise InUseError(f"{self._store} was {GONE}")
        if self._lost_to is not None:
            raise InUseError(
                f"{name_owner(self._lost_to)} has taken over {self._store}, because this process "
                "did not answer for a while; nothing that is recorded there is lost"
            )

    def release(self) -> None:
        """Mark the lock as free, or raise InUseError if another process has taken it over."""
        with self._mutex, suppress_unanswered():  # it becomes stale by itself
            self._is_released = True
            self.beat()

    def _replace(self) -> bytes | None:
        """Replace the lock; return what another process has written, b"" if there is no lock."""
        for _ in range(_TRIES):
            self._n_beats += 1
            beat = self._owner | {
                "number": self.number,
                "beat": self._n_beats,
                "released": self._is_released,
            }
            began = _now()
            try:
                self._version = self._store.replace(
                    LOCK_FILE, json.dumps(beat).encode(), self._version
                )
            except ChangedError:
                data, self._version = self._look()
                if _says(data, "token") != self._owner["token"]:
                    return data
                # The answer to an earlier beat was lost.
            else:
                self._beaten = began
                return None
        raise StorageError(f"the lock of {self._store} keeps changing; run the command again")

    def _wait_until_free(self) -> tuple[bytes, Version | None]:
        """Return a lock that is free, and its version; None if there is no lock."""
        found = self._look()
        end = _now() + _STALE_S
        while not _is_free(found[0]) and _now() <= end:
            time.sleep(_WATCH_S)
            seen, found = found, self._look()
            if seen != found and not _is_free(found[0]):
                raise in_use_error(str(self._store), found[0])
        return found

    def _look(self) -> tuple[bytes, Version | None]:
        try:
            return self._store.read_version(LOCK_FILE)
        except FileNotFoundError:
            return b"", None


def _is_free(lock: bytes) -> bool:
    return not lock or _says(lock, "released") is True


def _says(lock: bytes, key: str) -> Any:
    with suppress(ValueError, AttributeError):
        return json.loads(lock).get(key)
    return None


@contextmanager
def suppress_unanswered() -> Iterator[None]:
    """Suppress the errors of a store that does not answer, not those of a lock that is lost."""
    try:
        yield
    except InUseError:
        raise
    except StorageError:
        pass


@contextmanager
def keep_beating(lease: Lease) -> Iterator[None]:
    """Beat every 5 s, in a thread, during a `with` block."""
    ended = threading.Event()

    def beat() -> None:
        with suppress(InUseError):
            while not ended.wait(_BEAT_S):
                with suppress_unanswered():  # the store may answer the next time
                    lease.beat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def is_beating(store: Folder) -> bool:
    """Return whether the lock was written within the last 20 s, and is not free."""
    try:
        lock, version = store.read_version(LOCK_FILE)
    except FileNotFoundError:
        return False
    return not _is_free(lock) and time.time() - (version.modified or 0) < _STALE_S
