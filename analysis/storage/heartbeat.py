"""A lock in an object store: an object that its owner writes again and again.

Who wants the lock watches whether its owner writes, and compares no clocks; only
`is_beating`, which answers at once, trusts this machine's clock to be within seconds of the
store's. The store has no atomic exchange, so of two drivers that start within the same second
the one that wrote last has the lock.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from analysis.storage.file_lock import describe_owner, in_use_error

_BEAT_S = 5.0
_STALE_S = 20.0
_WATCH_S = 1.0


class Store(Protocol):
    """The part of a folder in an object store that the lock needs."""

    def read(self, name: str) -> bytes:
        """Return the contents of an object."""

    def write(self, name: str, data: bytes) -> None:
        """Write or replace an object."""

    def delete(self, name: str) -> None:
        """Delete an object if it exists."""

    def modified(self, name: str) -> float:
        """Return when an object was last written, in seconds since 1970."""


@contextlib.contextmanager
def hold_lock(store: Store, name: str) -> Iterator[Callable[[], None]]:
    """Hold the lock `name` during a `with` block.

    Yields:
        A function that raises InUseError if another process has taken the lock over.

    Raises:
        InUseError: Another process has the lock.
    """
    owner = _find_owner(store, name)
    if owner is not None:
        raise in_use_error(str(store), owner)
    mine = json.dumps({**describe_owner(), "token": secrets.token_hex(8)}).encode()
    store.write(name, mine)
    time.sleep(_WATCH_S)
    owner = store.read(name)
    if owner != mine:
        raise in_use_error(str(store), owner)
    heart = _Heart(store, name, mine)
    try:
        yield heart.check
    finally:
        heart.stop()


def is_beating(store: Store, name: str) -> bool:
    """Return whether the lock was written within the last 20 s."""
    try:
        return time.time() - store.modified(name) < _STALE_S
    except FileNotFoundError:
        return False


def _find_owner(store: Store, name: str) -> bytes | None:
    """Return the contents of the lock if its owner writes it while we watch."""
    try:
        text, written = store.read(name), store.modified(name)
        until = time.monotonic() + _STALE_S
        while store.modified(name) == written:
            if time.monotonic() > until:
                return None
            time.sleep(_WATCH_S)
    except FileNotFoundError:  # released in the meantime, or never taken
        return None
    return text


class _Heart:
    """Writes the lock again every few seconds, until another process has taken it over."""

    def __init__(self, store: Store, name: str, mine: bytes) -> None:
        self._store, self._name, self._mine = store, name, mine
        self._taken_by: bytes | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise InUseError if another process has taken the lock over."""
        if self._taken_by is not None:
            raise in_use_error(str(self._store), self._taken_by)

    def stop(self) -> None:
        """Release the lock."""
        self._stopped.set()
        self._thread.join()
        if self._taken_by is None:
            with contextlib.suppress(OSError):  # it becomes stale by itself
                self._store.delete(self._name)

    def _beat(self) -> None:
        while not self._stopped.wait(_BEAT_S):
            with contextlib.suppress(OSError):  # the store may answer the next time
                owner = self._store.read(self._name)
                if owner != self._mine:
                    self._taken_by = owner
                    return
                self._store.write(self._name, self._mine)
