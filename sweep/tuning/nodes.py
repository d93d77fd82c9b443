"""The nodes that Ray runs on; they may join and leave while a sweep runs."""

import time
from dataclasses import dataclass

import ray

from analysis.formatting import count
from sweep.config import Resources
from sweep.errors import ClusterError

_LOOK_EVERY_S = 2.0


@dataclass(frozen=True)
class Node:
    """A machine or a container, with the CPUs and GPUs that Ray may use there."""

    node_id: str
    address: str
    cpus: float
    gpus: float


def alive_nodes() -> list[Node]:
    """Return the nodes of the Ray that this process is connected to, by address."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            total = node["Resources"].get
            address = node["NodeManagerAddress"]
            found.append(Node(node["NodeID"], address, total("CPU", 0.0), total("GPU", 0.0)))
    return sorted(found, key=lambda node: (node.address, node.node_id))


class Slots:
    """How many trainings run at a time: as many as fit on the nodes at the moment.

    For an autoscaling cluster it is `concurrency`. When no node is left that can run a training,
    one is waited for, `patience_s` at most.
    """

    def __init__(
        self, resources: Resources, *, concurrency: int | None, patience_s: float
    ) -> None:
        self._resources, self._concurrency = resources, concurrency
        self._patience_s = patience_s
        self._available = self._look()
        self._last_able = self._looked

    @property
    def count(self) -> int:
        """Trainings at a time, at least 1."""
        return self._concurrency or max(1, self._available)

    def follow(self) -> str | None:
        """Look at the nodes again, at most every 2 seconds; return a sentence about a change.

        ClusterError if no node has been left for `patience_s`.
        """
        if time.monotonic() - self._looked < _LOOK_EVERY_S:
            return None
        before, self._available = self._available, self._look()
        minutes = f"{self._patience_s / 60:.0f} minutes"
        if self._available:
            self._last_able = self._looked
        elif self._looked - self._last_able >= self._patience_s:
            waited = f" for {minutes}" if self._patience_s else ""
            raise ClusterError(f"no node could run a trial{waited}")
        if self._available == before or (self._concurrency and self._available and before):
            return None
        if not self._available:
            return f"no node can run a trial; waiting for one, {minutes} at most"
        possible = count(self.count, "trial")
        return f"nodes have changed: {possible} at a time instead of {before}"

    def _look(self) -> int:
        self._looked = time.monotonic()
        return sum(self._resources.slots(node.cpus, node.gpus) for node in alive_nodes())
