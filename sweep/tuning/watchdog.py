"""Ends a driver whose Ray has died; otherwise it would wait for a minute and exit silently."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sweep.environment import split_address
from sweep.tuning import ray_private

_LOOK_EVERY_S = 0.5
_CLEARING_S = 3.0
_KNOCK_EVERY_S = 2.0
_HEAD_SILENT_S = 20.0


@contextlib.contextmanager
def watchdog(scratch: Path, on_death: Callable[[str], None]) -> Iterator[None]:
    """Watch the Ray that was started here, or the head of a joined cluster, in a `with` block.

    Once a part of Ray has died, no call to it returns in time, not even `ray.shutdown`. So
    another thread removes what is left of it, with the session's `scratch` folder, and ends this
    process: `on_death` gets a sentence about what has died, and does not return.
    """
    head = ray_private.joined_head()
    ended = threading.Event()

    def watch() -> None:
        heard = time.monotonic()
        while not ended.wait(_LOOK_EVERY_S if head is None else _KNOCK_EVERY_S):
            if head is not None:
                with contextlib.suppress(OSError):
                    socket.create_connection(split_address(head), _KNOCK_EVERY_S).close()
                    heard = time.monotonic()
            if (process := ray_private.dead_process()) is not None:
                death = f"Ray's {process} has died"
            elif head is not None and not ray_private.raylet_listens():
                death = "Ray's raylet on this machine has died"
            elif head is not None and time.monotonic() - heard > _HEAD_SILENT_S:
                silence = f"has not answered for {_HEAD_SILENT_S:.0f} s"
                death = f"the head of the Ray cluster at {head} {silence}"
            else:
                continue
            ray_private.kill()
            deadline = time.monotonic() + _CLEARING_S  # dying workers may still write
            while scratch.exists() and time.monotonic() < deadline:
                shutil.rmtree(scratch, ignore_errors=True)
                time.sleep(0.1)
            on_death(death)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
