"""A driver whose Ray has died: Ray would let it wait for a minute, then end it without a word."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ray

from sweep.tuning.ray_session import kill_ray

_VITAL = ("raylet", "gcs_server")
_LOOK_EVERY_S = 0.5
_CLEARING_S = 3.0


@contextlib.contextmanager
def watchdog(scratch: Path, on_death: Callable[[str], None]) -> Iterator[None]:
    """Watches the Ray that was started here, for the time of a `with` block.

    Once a part of it has died, nothing that asks it anything returns in time, its own end
    included. So another thread clears away what is left, and is to end this process then.

    Args:
        scratch: The scratch folder of the session.
        on_death: Called with what has died; does not return.
    """
    node = ray._private.worker._global_node
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            for kind, _ in node.dead_processes():
                if kind in _VITAL:
                    kill_ray()
                    _clear(scratch)
                    on_death(kind)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _clear(scratch: Path) -> None:
    """Deletes the folder; workers that are still dying may write to it."""
    deadline = time.monotonic() + _CLEARING_S
    while scratch.exists() and time.monotonic() < deadline:
        shutil.rmtree(scratch, ignore_errors=True)
        time.sleep(0.1)
