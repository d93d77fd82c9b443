"""A lock in an object store: an object that its owner writes again and again.

To take the lock, a process watches for 20 s whether its owner still writes it; clocks are not
compared. Only `is_beating`, which answers at once, relies on this machine's clock to be within
seconds of the store's. The store has no atomic exchange, so of two processes that start within
the same second the one that wrote last has the lock.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from analysis.storage.file_lock import describe_owner, in_use_error
from analysis.storage.folder import LOCK_FILE, Folder

_BEAT_S = 5.0
_STALE_S = 20.0
_WATCH_S = 1.0


Modified = Callable[[str], float]
"""Returns when a file was last written, in seconds since 1970 by the store's clock."""


@contextlib.contextmanager
def hold_lock(store: Folder, modified: Modified) -> Iterator[Callable[[], None]]:
    """Hold the lock of a folder in an object store during a `with` block.

    Yields:
        A function that raises InUseError if another process has taken the lock over.

    Raises:
        InUseError: Another process has the lock.
    """
    owner = _find_owner(store, modified)
    if owner is not None:
        raise in_use_error(str(store), owner)
    mine = json.dumps({**describe_owner(), "token": secrets.token_hex(8)}).encode()
    store.write(LOCK_FILE, mine)
    time.sleep(_WATCH_S)
    owner = store.read(LOCK_FILE)
    if owner != mine:
        raise in_use_error(str(store), owner)
    heart = _Heart(store, mine)
    try:
        yield heart.check
    finally:
        heart.stop()


def is_beating(modified: Modified) -> bool:
    """Return whether the lock was written within the last 20 s."""
    try:
        return time.time() - modified(LOCK_FILE) < _STALE_S
    except FileNotFoundError:
        return False


def _find_owner(store: Folder, modified: Modified) -> bytes | None:
    """Return the contents of the lock if its owner writes it while we watch."""
    try:
        text, written = store.read(LOCK_FILE), modified(LOCK_FILE)
        until = time.monotonic() + _STALE_S
        while modified(LOCK_FILE) == written:
            if time.monotonic() > until:
                return None
            time.sleep(_WATCH_S)
    except FileNotFoundError:  # released in the meantime, or never taken
        return None
    return text


class _Heart:
    """Writes the lock again every few seconds, until another process has taken it over."""

    def __init__(self, store: Folder, mine: bytes) -> None:
        self._store, self._mine = store, mine
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
                self._store.delete(LOCK_FILE)

    def _beat(self) -> None:
        while not self._stopped.wait(_BEAT_S):
            with contextlib.suppress(OSError):  # the store may answer the next time
                owner = self._store.read(LOCK_FILE)
                if owner != self._mine:
                    self._taken_by = owner
                    return
                self._store.write(LOCK_FILE, self._mine)
