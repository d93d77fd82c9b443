"""One driver at a time on a sweep."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator

from analysis.storage.folder import Folder, LocalFolder
from sweep.errors import InUseError

LOCK_FILE = ".lock"


@contextlib.contextmanager
def hold(folder: Folder) -> Iterator[Callable[[], None]]:
    """Keeps every other driver off the sweep in `folder` for the time of a `with` block.

    On a file system the operating system gives the lock back when its holder dies, however
    it dies; in an object store it is free after 20 s in which nobody has renewed it.

    Yields:
        What raises InUseError if the lock is another driver's by now; to be called often.

    Raises:
        InUseError: Another process holds it; the message names it and its host.
    """
    if isinstance(folder, LocalFolder):
        with _hold_file(folder):
            yield lambda: None
    else:
        from analysis.storage.store_lock import hold_object

        with hold_object(folder) as check:
            yield check


def is_held(folder: Folder) -> bool:
    """Tells whether a driver is at work on the sweep in `folder`."""
    if isinstance(folder, LocalFolder):
        return _is_file_held(folder)
    from analysis.storage.store_lock import is_object_held

    return is_object_held(folder)


def holder() -> dict[str, str | int]:
    """Returns what a lock says of this process."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


def refusal(folder: Folder, text: str | bytes) -> InUseError:
    """Returns the error for a sweep whose lock, which reads `text`, is another driver's."""
    try:
        found = json.loads(text)
        who = f"process {found['pid']} on {found['host']}"
    except (ValueError, KeyError, TypeError):
        who = "it has not said which"
    return InUseError(f"another process is at work on {folder}: {who}; wait for it to end")


@contextlib.contextmanager
def _hold_file(folder: LocalFolder) -> Iterator[None]:
    path = folder.local_path(LOCK_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise refusal(folder, file.read()) from None
        file.truncate(0)
        json.dump(holder(), file)
        file.flush()
        yield


def _is_file_held(folder: LocalFolder) -> bool:
    try:
        with folder.local_path(LOCK_FILE).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
