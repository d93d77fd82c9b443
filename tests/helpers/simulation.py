"""Simulates processes in virtual time.

The threads of all processes run one at a time. They stop wherever they wait, which a request to
a store does as well; a schedule chooses which one continues. So every order of steps can be
tried, and hours of waiting take no time. The code under test is the real one: only `threading`
and `time` are replaced in two of its modules.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

from analysis.errors import StorageError
from analysis.storage import lease, object_store


class Killed(BaseException):
    """The process is killed: it sends no more requests."""


@dataclass(eq=False)
class Process:
    """A process; it is suspended until the time `resumes`."""

    name: str
    resumes: float = 0.0
    is_killed: bool = False
    n_requests: int = 0


@dataclass(frozen=True)
class Fault:
    """What happens to a request.

    Attributes:
        kind: `lost request`, `lost answer`, `late` (it arrives `late_s` after its client gave
            up), `repeated` (by the client, after a lost answer), or `conflict` (the store
            refuses a put for no reason).
        timeout_s: When the client gives up.
    """

    kind: str
    timeout_s: float = 5.0
    late_s: float = 30.0


class Schedule(Protocol):
    """Chooses an order of the steps, and faults."""

    def pick(self, ready: "list[Actor]") -> "Actor":
        """Return the thread that continues."""

    def on_step(self, process: Process) -> None:
        """Suspend or kill a process, perhaps, that has sent a request or has its answer."""

    def fault(self, kind: str) -> Fault | None:
        """Return what happens to a request, if anything."""

    def on_idle(self) -> None:
        """Continue a process, as all others wait for it."""


class Actor:
    """A thread of a process in the simulation."""

    def __init__(
        self, simulation: "Simulation", process: Process, function: Callable[[], Any]
    ) -> None:
        self.process, self.is_done, self.result = process, False, None
        self.error: BaseException | None = None
        self.gate = threading.Semaphore(0)
        self.wakes = simulation.now
        self.condition: Callable[[], bool] = lambda: False
        self._simulation, self._function = simulation, function
        threading.Thread(target=self._run, daemon=True).start()

    def next_step_at(self) -> float:
        """Return when it continues if nothing else happens before."""
        now = self._simulation.now
        if self.process.is_killed:
            return now
        return max(self.process.resumes, now if self.condition() else self.wakes)

    def _run(self) -> None:
        self.gate.acquire()
        try:
            if not self.process.is_killed:
                self.result = self._function()
        except BaseException as error:
            self.error = error
            if not isinstance(error, StorageError | Killed):
                self._simulation.errors.append(error)
        self.is_done = True
        self._simulation.hand_over()


class Simulation:
    """Runs threads one at a time, in virtual time."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule, self.now = schedule, 1000.0
        self.actors: list[Actor] = []
        self.current: Actor | None = None
        self.errors: list[BaseException] = []
        self._finished = threading.Semaphore(0)
        self._failure: Exception | None = None

    def start(self, process: Process, function: Callable[[], Any]) -> Actor:
        """Start a thread; it runs when the others wait."""
        actor = Actor(self, process, function)
        self.actors.append(actor)
        return actor

    def run(self) -> None:
        """Run all threads to their ends."""
        with pytest.MonkeyPatch.context() as patch:
            threads = SimpleNamespace(
                RLock=lambda: _Mutex(self), Event=lambda: _Event(self), Thread=self._thread
            )
            clock = SimpleNamespace(
                sleep=self.wait,
                time=lambda: self.now,
                clock_gettime=lambda _: self.now,
                CLOCK_MONOTONIC=0,
            )
            patch.setattr(lease, "threading", threads)
            patch.setattr(object_store, "threading", threads)
            patch.setattr(lease, "time", clock)
            self.hand_over()
            self._finished.acquire()
        if self._failure is not None:
            raise self._failure

    def wait(self, seconds: float = math.inf, until: Callable[[], bool] = lambda: False) -> None:
        """Let other threads run, until a condition is true or some time has passed."""
        actor = self.current
        assert actor is not None
        actor.wakes, actor.condition = self.now + seconds, until
        self.hand_over()
        if actor.process.is_killed:
            raise Killed

    def hand_over(self) -> None:
        """Let the thread run that the schedule chooses."""
        mine, following = self.current, None
        try:
            following = self._next()
        except Exception as error:
            self._failure = error
        self.current = following
        if following is mine and mine is not None:
            return
        (self._finished if following is None else following.gate).release()
        # From here on the other thread runs, and may have handed over again.
        if mine is not None and not mine.is_done:
            mine.gate.acquire()

    def _next(self) -> Actor | None:
        self.actors = [actor for actor in self.actors if not actor.is_done]
        if not self.actors:
            return None
        times = [actor.next_step_at() for actor in self.actors]
        if min(times) == math.inf:
            self.schedule.on_idle()
            times = [actor.next_step_at() for actor in self.actors]
            assert min(times) < math.inf, "all threads wait for each other"
        self.now = max(self.now, min(times))
        ready = [a for a, time in zip(self.actors, times, strict=True) if time <= self.now]
        return ready[0] if len(ready) == 1 else self.schedule.pick(ready)

    def _thread(self, *, target: Callable[[], None], daemon: bool) -> Any:
        process, started = self._process(), []

        def join() -> None:
            self.wait(until=lambda: started[0].is_done)

        return SimpleNamespace(
            start=lambda: started.append(self.start(process, target)), join=join
        )

    def _process(self) -> Process:
        assert self.current is not None
        return self.current.process


class _Event:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._is_set = simulation, False

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def wait(self, seconds: float) -> bool:
        self._simulation.wait(seconds, lambda: self._is_set)
        return self._is_set


class _Mutex:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._owners = simulation, [None]

    def __enter__(self) -> None:
        mine = self._simulation.current
        if self._owners[-1] not in (None, mine):
            self._simulation.wait(until=lambda: self._owners[-1] is None)
        self._owners.append(mine)

    def __exit__(self, *_: object) -> None:
        self._owners.pop()
