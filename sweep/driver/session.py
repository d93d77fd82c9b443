"""A driver's session: Ray is running, signals are caught, and the sweep is locked."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from analysis.formatting import count
from analysis.storage.folder import Folder
from sweep.config import Resources
from sweep.driver.signals import Interruption
from sweep.environment import n_processors
from sweep.errors import EXIT_CODES, ClusterError
from sweep.screen.display import Display
from sweep.screen.output import erase_line
from sweep.tuning.engine import Engine
from sweep.tuning.nodes import Slots
from sweep.tuning.preflight import examine_cluster
from sweep.tuning.ray_session import ray_session, terminal
from sweep.tuning.watchdog import watchdog

_PATIENCE_S = 15 * 60.0  # with a cluster that has lost its last node
_in_use = threading.Lock()
_users: set[int] = set()  # ids of the processes that had a session, before a fork or after it


@dataclass(frozen=True)
class Session:
    """The session that a search or a confirmation runs in, and is shown on `stream`.

    `watch` returns news of the cluster, if any. It raises Interrupted after a signal,
    ClusterError if no node is left, InUseError if another driver has taken over.
    """

    engine: Engine
    stream: TextIO
    watch: Callable[[], str | None]

    def watching(self, display: Display) -> Callable[[], None]:
        """Return a function that watches and shows, to be called several times a second."""

        def on_step() -> None:
            if (news := self.watch()) is not None:
                display.say(news)
            display.update()

        return on_step


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Refuse a session in which Ray would hang, or a second one, which would end both."""
    if _users - {os.getpid()}:
        raise ClusterError(
            "this process was forked from one that has run a sweep, and Ray cannot start in it: "
            'fork it before, or create it with multiprocessing\'s "spawn"'
        )
    _users.add(os.getpid())
    if not _in_use.acquire(blocking=False):
        raise ClusterError(
            "this process is already running a sweep: wait for its end, or use another process"
        )
    try:
        yield
    finally:
        _in_use.release()


@contextlib.contextmanager
def open_session(
    resources: Resources,
    locked: Folder,
    *,
    address: str | None,
    concurrency: int | None,
    advise: Callable[[], str],
    may_exit: bool = True,
) -> Iterator[Session]:
    """Start Ray on this machine, or connect to the one at `address`, for the sweep in `locked`.

    An `address` is `auto` or HOST:PORT of a cluster that this machine is a node of. By default
    as many trainings run at a time as fit on the nodes. `advise` says how to continue when the
    process exits immediately: when Ray dies, or after a second Ctrl-C if it `may_exit`. If Ray
    cannot be started or reached, or cannot run the sweep, it is a ClusterError.
    """

    def leave(death: str) -> None:
        interruption.leave(EXIT_CODES[ClusterError], f"error: {death}\n{advise()}\n")

    with (
        _only_one(),
        terminal() as stream,
        Interruption(stream, advise, may_exit=may_exit) as interruption,
        ray_session(address=address, n_cpus=n_processors()) as scratch,
        watchdog(scratch, leave),
    ):
        interruption.check()  # a signal may have come while Ray started
        erase_line(stream)  # which says that Ray starts
        if address is not None:
            for finding in examine_cluster(resources, locked, may_grow=concurrency is not None):
                interruption.check()
                if finding.is_problem:
                    raise ClusterError(f"{finding.check}: {finding.text}")
        slots = Slots(
            resources, concurrency=concurrency, patience_s=_PATIENCE_S if address else 0.0
        )
        if address is not None:
            print(f"{count(slots.count, 'trial')} at a time", file=stream, flush=True)
        engine = Engine(resources, lambda: slots.count, locked, scratch)

        def watch() -> str | None:
            interruption.check()
            locked.check_lock()
            return slots.follow()

        yield Session(engine, stream, watch)
        interruption.check()  # a signal may have come after the last step
