"""A lock in an object store: an object that its holder writes again and again.

Who wants the lock watches whether its holder writes, and compares no clocks; only
`is_object_held`, which answers at once, trusts this machine's clock to be within seconds of the
store's. The store offers no exchange in one step, so that two drivers that begin within the
same second are told apart by who wrote last.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from analysis.storage.folder import Folder
from analysis.storage.lock import LOCK_FILE, holder, refusal
from analysis.storage.object_store import StoreFolder

_BEAT_S = 5.0
_STALE_S = 20.0
_SETTLE_S = 1.0


@contextlib.contextmanager
def hold_object(folder: Folder) -> Iterator[Callable[[], None]]:
    """Holds the lock of the sweep in `folder` for the time of a `with` block.

    Yields:
        What raises InUseError if another driver has taken the lock over.

    Raises:
        InUseError: Another process holds it.
    """
    assert isinstance(folder, StoreFolder)
    found = _beating(folder)
    if found is not None:
        raise refusal(folder, found)
    mine = json.dumps({**holder(), "token": secrets.token_hex(8)}).encode()
    folder.write(LOCK_FILE, mine)
    time.sleep(_SETTLE_S)
    found = folder.read(LOCK_FILE)
    if found != mine:
        raise refusal(folder, found)
    heart = _Heart(folder, mine)
    try:
        yield heart.check
    finally:
        heart.stop()


def is_object_held(folder: Folder) -> bool:
    """Tells whether a driver is at work on the sweep in `folder`, from when it last wrote."""
    assert isinstance(folder, StoreFolder)
    try:
        return time.time() - folder.modified(LOCK_FILE) < _STALE_S
    except FileNotFoundError:
        return False


def _beating(folder: StoreFolder) -> bytes | None:
    """Returns what the lock says if its holder is alive: if it writes it while we watch."""
    try:
        text, written = folder.read(LOCK_FILE), folder.modified(LOCK_FILE)
        until = time.monotonic() + _STALE_S
        while folder.modified(LOCK_FILE) == written:
            if time.monotonic() > until:
                return None
            time.sleep(_SETTLE_S)
    except FileNotFoundError:  # given back meanwhile, or never held
        return None
    return text


class _Heart:
    """Writes the lock again every few seconds, until another driver's is found in its place."""

    def __init__(self, folder: StoreFolder, mine: bytes) -> None:
        self._folder, self._mine = folder, mine
        self._taken_by: bytes | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises InUseError if another driver has taken the lock over."""
        if self._taken_by is not None:
            raise refusal(self._folder, self._taken_by)

    def stop(self) -> None:
        """Gives the lock back."""
        self._stopped.set()
        self._thread.join()
        if self._taken_by is None:
            with contextlib.suppress(OSError):  # it goes stale by itself
                self._folder.delete(LOCK_FILE)

    def _beat(self) -> None:
        while not self._stopped.wait(_BEAT_S):
            with contextlib.suppress(OSError):  # the store may answer the next time
                found = self._folder.read(LOCK_FILE)
                if found != self._mine:
                    self._taken_by = found
                    return
                self._folder.write(LOCK_FILE, self._mine)
