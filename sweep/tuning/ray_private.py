"""The private parts of Ray that this package uses, as of Ray 2.60.

Ray's public interface has no equivalent. Check each of them before another version of Ray is
allowed in `pyproject.toml`.
"""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private import node, ray_constants, services, worker
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

_VITAL = ("raylet", "gcs_server")


class _Job(ray.job_config.JobConfig):
    def _runtime_env_has_working_dir(self) -> bool:
        return True


def job_config(code: Path | None) -> ray.job_config.JobConfig:
    """Return a job whose workers import the code in `code`, or installed code where it is None.

    Otherwise the driver's current folder comes first in the workers' `sys.path`, and a module
    of the user's there hides one of this project's.
    """
    return _Job(_py_driver_sys_path=[str(code)] if code else [])


class _SmallNode(node.Node):
    """A node without the servers that a sweep does not use."""

    def start_api_server(self, **options: Any) -> None:
        """Start no dashboard, but give its address.

        Ray would keep a part of it. Where all of Ray is installed, an agent on the node asks
        for the address once a second.
        """
        self.get_gcs_client().internal_kv_put(
            ray_constants.DASHBOARD_ADDRESS.encode(),
            b"127.0.0.1:0",
            True,
            ray_constants.KV_NAMESPACE_DASHBOARD,
        )

    def start_log_monitor(self) -> None:
        """Start nothing that prints the workers' output."""

    def start_monitor(self) -> None:
        """Start no autoscaler."""


@contextlib.contextmanager
def small_node() -> Iterator[None]:
    """Make `ray.init` start 2 s sooner, with servers that listen on loopback alone.

    `_node_ip_address` would not do: it is ignored for a part of the servers.
    """
    usual = node.Node, ray_constants.ENABLE_RAY_CLUSTER
    node.Node, ray_constants.ENABLE_RAY_CLUSTER = _SmallNode, False
    try:
        yield
    finally:
        node.Node, ray_constants.ENABLE_RAY_CLUSTER = usual


def report_no_callbacks() -> None:
    """Keep Tune from importing MLflow and W&B, where they are installed, to count its callbacks.

    That would take 2 s of each sweep.
    """
    from ray.air._internal import usage  # which takes a second, unless Tune is imported

    usage.tag_callbacks = lambda callbacks: False


def read_token_again() -> None:
    """Let Ray read its token again: in one process, several sweeps may need different ones."""
    AuthenticationTokenLoader.instance().reset_cache()


def limit_connection_attempts() -> None:
    """Make `ray.init` give up on a cluster after 2 attempts; by default it makes 20 of 41 s.

    The environment variable for this would also hold for a Ray that is started here, which
    may need more.
    """
    ray_constants.NUM_REDIS_GET_RETRIES = 2


def find_head() -> str:
    """Return the address, HOST:PORT, of this machine's cluster, or raise ConnectionError."""
    return str(services.canonicalize_bootstrap_address_or_die("auto"))


def joined_head() -> str | None:
    """Return the address of the cluster that was joined; None for a Ray started here."""
    own = worker._global_node
    return None if own.is_head() else str(own.gcs_address)


def dead_process() -> str | None:
    """Return the name of a vital process of Ray's that has died here, or None."""
    kinds = [kind for kind, _ in worker._global_node.dead_processes() if kind in _VITAL]
    return kinds[0] if kinds else None


def raylet_listens() -> bool:
    """Return whether this machine's raylet is there, also where another process started it."""
    try:
        with socket.socket(socket.AF_UNIX) as raylet:
            raylet.settimeout(0)
            raylet.connect(worker._global_node.raylet_socket_name)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:  # it is busy, or this process is
        pass
    return True


def shut_down() -> None:
    """End Ray, and everything of it that was started here, at once.

    `ray.shutdown` alone sends SIGTERM to one process after the other and waits a second for
    each, because they inherit a mask that blocks it. Workers that are starting would stay for
    half a minute.
    """
    started = _started_processes()
    for info in _daemons():
        info.process.terminate = info.process.kill
    ray.shutdown()
    _kill(started)


def kill() -> None:
    """Kill what is left of the Ray that was started here, without a request to any part of it."""
    _kill(_started_processes())


class NotPickled:
    """Mixin for objects that Tune pickles but never restores."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: a ledger, a study or a file would be large or cannot be pickled."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Do nothing, where Tune would have a searcher write a file."""


def _daemons() -> Iterable[Any]:
    """Return Ray's own records of the processes that it started for this one."""
    own = worker._global_node
    return () if own is None else chain.from_iterable(own.all_processes.values())


def _started_processes() -> list[psutil.Process]:
    """Return the daemons, and the processes that they started."""
    started = []
    for info in _daemons():
        with contextlib.suppress(psutil.NoSuchProcess):
            daemon = psutil.Process(info.process.pid)
            started += [daemon, *daemon.children(recursive=True)]
    return started


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
