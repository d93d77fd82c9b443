from collections.abc import Callable

import pytest

from sweep.config import Resources
from sweep.errors import ClusterError
from sweep.tuning import nodes
from sweep.tuning.nodes import Node, Slots

Set = Callable[..., None]


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(nodes, "time", clock)
    return clock


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Set:
    """Sets how many CPUs each node has."""

    def set_nodes(*cpus: float) -> None:
        found = [Node(str(i), f"10.0.0.{i}", n, 0.0) for i, n in enumerate(cpus)]
        monkeypatch.setattr(nodes, "alive_nodes", lambda: found)
        clock.now += 10

    return set_nodes


@pytest.mark.parametrize(
    ("cpus", "gpus", "resources", "slots"),
    [
        (4, 0, Resources(), 4),
        (4, 0, Resources(cpu=1.5), 2),
        (0, 0, Resources(), 0),
        (8, 1, Resources(gpu=0.25), 4),
        (2, 1, Resources(gpu=0.25), 2),
        (8, 0, Resources(gpu=1), 0),
    ],
)
def test_trials_fit_on_a_node_by_both_its_resources(cpus, gpus, resources, slots):
    assert resources.slots(cpus, gpus) == slots


def test_slots_follow_the_nodes(present, clock):
    present(1, 1)
    slots = Slots(Resources(), concurrency=None, patience_s=60)
    assert (slots.count, slots.follow()) == (2, None)
    present(1, 1, 2)
    assert slots.follow() == "nodes have changed: 4 trials at a time instead of 2"
    assert slots.count == 4
    present(1)
    clock.now -= 9  # the last look was a second ago
    assert (slots.follow(), slots.count) == (None, 4)
    clock.now += 9
    assert slots.follow() == "nodes have changed: 1 trial at a time instead of 4"


def test_cluster_without_a_node_is_waited_for_and_then_given_up(present, clock):
    present(1)
    slots = Slots(Resources(), concurrency=None, patience_s=120)
    present()
    waiting = "no node can run a trial; waiting for one, 2 minutes at most"
    assert slots.follow() == waiting
    assert slots.count == 1  # whatever runs next waits in Ray's queue
    clock.now += 90
    assert slots.follow() is None
    present(1)
    assert slots.follow() == "nodes have changed: 1 trial at a time instead of 0"
    present()
    assert slots.follow() == waiting
    clock.now += 121
    with pytest.raises(ClusterError, match="no node could run a trial for 2 minutes"):
        slots.follow()


def test_concurrency_is_kept_and_ray_on_this_machine_is_not_waited_for(present):
    present(1)
    slots = Slots(Resources(), concurrency=16, patience_s=0)
    present()
    assert slots.count == 16  # where nodes are yet to come
    with pytest.raises(ClusterError, match="no node could run a trial$"):
        slots.follow()
    present(8, 8)
    assert slots.follow() == "nodes have changed: 16 trials at a time instead of 0"
    present(8, 8, 8)
    assert (slots.follow(), slots.count) == (None, 16)
    few = Slots(Resources(), concurrency=3, patience_s=60)
    present()
    few.follow()
    present(8, 8)
    assert few.follow() == "nodes have changed: 3 trials at a time instead of 0"
