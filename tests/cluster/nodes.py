"""A Ray cluster of several nodes, each a machine of its own.

A node has what was installed on it beforehand, Python with Ray and torch, but neither the
project nor MNIST, and no folder in common with another node. The process of a driver alone
sees the project and MNIST.
"""

import secrets
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from data_utils.mnist import default_folder
from tests.cluster.machines import Machine, Network, Process, finish, private_files, revealed

CHECKOUT = Path(__file__).parents[2]
_PACKAGES = [
    path
    for name in ("models", "data_utils", "sweep", "analysis")
    if (path := Path(sysconfig.get_path("purelib"), name)).exists()  # not if it is editable
]
_DRIVERS = [CHECKOUT, *_PACKAGES, default_folder()]
_HIDDEN = [*_DRIVERS, Path.home(), Path("/tmp"), Path(tempfile.gettempdir())]
_KEPT = [Path(sys.prefix), Path(sys.base_prefix)]
_PORT = 6379
_OBJECT_STORE_BYTES = 160 * 2**20


class Node(Machine):
    """A node of a Ray cluster."""

    def __init__(self, network: Network, name: str, environment: Mapping[str, str]) -> None:
        super().__init__(network, name, private_files(_HIDDEN, _KEPT))
        self.environment.update(environment)

    def start_ray(self, *options: str) -> None:
        """Runs `ray start`, which leaves Ray's processes behind on the node."""
        command = [str(Path(sys.executable).with_name("ray")), "start", *options]
        command += [f"--node-ip-address={self.ip}"]
        command += [f"--object-store-memory={_OBJECT_STORE_BYTES}"]
        done = self.run(command, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stdout}{done.stderr}")

    def popen_sweep(self, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
        """Starts `python -m sweep` in the node's home folder, which is empty."""
        return self.popen(revealed(_DRIVERS, [sys.executable, "-m", "sweep", *arguments]), env=env)

    def sweep(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs `python -m sweep` to its end; raises TimeoutExpired after `timeout` s."""
        return finish(self.popen_sweep(*arguments, env=env), timeout)


class Cluster:
    """Ray on a head and its workers, protected by a token that every node has.

    Every node ends with a `with` block.

    Attributes:
        nodes: By name, also those that were cut off.
        environment: What every node's processes get, the token among it.
    """

    def __init__(self, network: Network, environment: Mapping[str, str]) -> None:
        self._network = network
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # else tests that compute starve trainings
            **environment,
        }
        self.nodes: dict[str, Node] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for node in self.nodes.values():
            node.end()

    @property
    def head(self) -> Node:
        """The node that was added first."""
        return next(iter(self.nodes.values()))

    @property
    def address(self) -> str:
        """Where Ray is, as `--address` takes it."""
        return f"{self.head.ip}:{_PORT}"

    def add_node(self, name: str, *, cpus: int = 1) -> Node:
        """Starts a node and lets it join; returns when it has."""
        node = self.nodes[name] = Node(self._network, name, self.environment)
        options = [f"--num-cpus={cpus}"]
        if node is self.head:
            node.start_ray("--head", f"--port={_PORT}", "--include-dashboard=false", *options)
        else:
            node.start_ray(f"--address={self.address}", *options)
        return node
