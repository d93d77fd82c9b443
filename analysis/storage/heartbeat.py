"""A lock in an object store: an object that its owner writes again and again.

To take the lock, a process watches for 20 s whether its owner still writes it; clocks are not
compared. Only `is_beating`, which answers at once, relies on this machine's clock to be within
seconds of the store's. The store has no atomic exchange, so of two processes that start within
the same second the one that wrote last has the lock.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from analysis.storage.folder import LOCK_FILE, Folder
from analysis.storage.local_files import describe_owner, in_use_error

_BEAT_S = 5.0
_STALE_S = 20.0
_WATCH_S = 1.0


Modified = Callable[[str], float]
"""Returns when a file was last written, in seconds since 1970 by the store's clock."""


@contextmanager
def hold_lock(store: Folder, modified: Modified) -> Iterator[Callable[[], None]]:
    """Hold the lock of a folder in an object store during a `with` block; see `Folder.lock`."""
    others = _find_owner(store, modified)
    mine = describe_owner()
    if others is None:
        store.write(LOCK_FILE, mine)
        time.sleep(_WATCH_S)
        others = _read_other(store, mine)

    def check() -> None:
        if others is not None:
            raise in_use_error(str(store), others)

    def beat() -> None:
        nonlocal others
        while others is None and not ended.wait(_BEAT_S):
            with suppress(OSError):  # the store may answer the next time
                others = _read_other(store, mine)
                if others is None:
                    store.write(LOCK_FILE, mine)

    check()
    ended = threading.Event()
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()
        if others is None:
            with suppress(OSError):  # it becomes stale by itself
                store.delete(LOCK_FILE)


def is_beating(modified: Modified) -> bool:
    """Return whether the lock was written within the last 20 s."""
    try:
        return time.time() - modified(LOCK_FILE) < _STALE_S
    except FileNotFoundError:
        return False


def _read_other(store: Folder, mine: bytes) -> bytes | None:
    """Return the contents of the lock if another process has it."""
    owner = store.read(LOCK_FILE)
    return None if owner == mine else owner


def _find_owner(store: Folder, modified: Modified) -> bytes | None:
    """Return the contents of the lock if its owner writes it while we watch."""
    try:
        owner, written = store.read(LOCK_FILE), modified(LOCK_FILE)
        until = time.monotonic() + _STALE_S
        while modified(LOCK_FILE) == written:
            if time.monotonic() > until:
                return None
            time.sleep(_WATCH_S)
    except FileNotFoundError:  # released in the meantime, or never taken
        return None
    return owner
