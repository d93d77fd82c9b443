"""Drivers of one sweep in an object store, paused and continued in every order.

They run in a model of the store, in virtual time; see `store_model` and `simulation`.
"""

import math
import os
import random
from collections import Counter
from typing import Any

import pytest

from simulated_drivers import World
from simulation import Actor, Fault, Process
from store_model import Objects

N_SCHEDULES = int(os.environ.get("SCHEDULES", "400"))  # of the long tests, some a second
_FAULTS = ("lost request", "lost answer", "late", "repeated", "conflict")


class RandomSchedule:
    """Suspends, kills and disturbs now and then."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world: World | None = None
        self.is_calm = False
        self._is_local = self.random.random() < 0.5
        self._p_suspended, self._p_fault = self._rate(10, 40), self._rate(10, 80)
        self._p_killed = self._rate(100, 300)

    def pick(self, ready: list[Actor]) -> Actor:
        return self.random.choice(ready)

    def on_step(self, process: Process) -> None:
        assert self.world
        if self.is_calm:
            return
        if self.random.random() < self._p_suspended:
            for each in self._with_its_worker(process):
                seconds = self.random.choice([2, 8, 15, 25, 60, 150])
                each.resumes = self.world.simulation.now + seconds
        elif self.random.random() < self._p_killed:
            process.is_killed = True

    def fault(self, kind: str) -> Fault | None:
        if self.is_calm or self.random.random() > self._p_fault:
            return None
        kinds = _FAULTS if kind == "put" else _FAULTS[:4]
        timeout_s, late_s = self.random.choice([1, 5, 40]), self.random.uniform(0, 150)
        return Fault(self.random.choice(kinds), timeout_s, late_s)

    def on_idle(self) -> None:
        pass

    def _with_its_worker(self, process: Process) -> list[Process]:
        """Return the processes that are suspended together, as they are on one machine."""
        assert self.world
        pairs = [[driver.process, driver.worker] for driver in self.world.drivers]
        return next((pair for pair in pairs if self._is_local and process in pair), [process])

    def _rate(self, *denominators: int) -> float:
        return self.random.choice([0.0, *(1 / n for n in denominators)])


class TwoPauses:
    """Suspends A before a request, starts B, suspends B before a request, continues A, then B."""

    def __init__(self, first: int, second: int) -> None:
        self.world: World | None = None
        self._pauses = {"A": first, "B": second}

    def pick(self, ready: list[Actor]) -> Actor:
        return ready[0]

    def on_step(self, process: Process) -> None:
        assert self.world
        if process.n_requests != self._pauses.get(process.name):
            return
        del self._pauses[process.name]
        process.resumes = math.inf
        if process.name == "A":
            self.world.start_driver()
        else:
            self.world.drivers[0].process.resumes = 0.0

    def fault(self, kind: str) -> Fault | None:
        return None

    def on_idle(self) -> None:
        assert self.world
        for driver in self.world.drivers:
            driver.process.resumes = 0.0


def _search(seed: int) -> World:
    """Run one random schedule of three drivers; if none ends well, another one continues."""
    schedule = RandomSchedule(seed)
    world = schedule.world = World(schedule, is_tag_a_hash=seed % 2 == 0)
    for _ in range(3):
        world.start_driver(schedule.random.choice([0.0, 10.0, 30.0, 60.0, 150.0]))
    world.run()
    if all(driver.outcome != "ended" for driver in world.drivers):
        schedule.is_calm = True
        world.start_driver()
        world.run()
        if world.drivers[-1].outcome != "ended":
            world.wrong.append(f"a driver alone ended as: {world.drivers[-1].outcome}")
    return world


def _pause_twice(first: int, second: int) -> World:
    schedule = TwoPauses(first, second)
    world = schedule.world = World(schedule)
    world.start_driver()
    world.run()
    if all(driver.outcome != "ended" for driver in world.drivers):
        world.wrong.append("nobody ended well")
    return world


def _long(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.long)


@pytest.mark.parametrize(
    "seeds", [range(12), *(_long(range(1000 + n, 1000 + N_SCHEDULES, 4)) for n in range(4))]
)
def test_nothing_is_lost_with_random_pauses_deaths_and_faults(seeds):
    outcomes = Counter[str]()
    for seed in seeds:
        world = _search(seed)
        assert world.wrong == [], f"in the schedule {seed}"
        outcomes.update(driver.outcome for driver in world.drivers)
    # The schedules do what they are for.
    assert min(outcomes[name] for name in ("ended", "in use", "storage error", "killed")) > 5


@pytest.mark.parametrize(
    ("firsts", "seconds"),
    [(range(10, 62, 17), range(5, 95, 20)), _long(range(1, 62, 2), range(1, 100, 7))],
)
def test_nothing_is_lost_whenever_one_is_paused_and_then_the_other(firsts, seconds):
    for first in firsts:
        for second in seconds:
            world = _pause_twice(first, second)
            assert world.wrong == [], f"paused at {first}, {second}"


@pytest.mark.parametrize(
    ("suffix", "found"),
    [
        (".jsonl", "acknowledged lines are lost from mine/ledger.jsonl"),
        (".lock", "a driver gave up, although it had the lock"),
    ],
)
def test_loss_is_found_in_a_store_that_ignores_conditions(suffix, found, monkeypatch):
    put = Objects._put

    def put_anyway(self: Objects, path: str, data: bytes, mode: Any) -> dict[str, Any]:
        return put(self, path, data, "overwrite" if path.endswith(suffix) else mode)

    monkeypatch.setattr(Objects, "_put", put_anyway)
    until_the_other_ends = 1_000_000
    assert any(found in _pause_twice(n, until_the_other_ends).wrong for n in range(1, 62))
