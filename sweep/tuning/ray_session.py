"""Ray, started quietly for one sweep and ended with nothing left behind."""

import contextlib
import fcntl
import logging
import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import psutil
import ray

import sweep
from sweep.environment import needs_no_quotes
from sweep.errors import ClusterError
from sweep.tuning.joining import has_token, join_options

_CODE = Path(sweep.__path__[0]).parent
_PREFIX = "sweep-"
_LOCK = "driver.lock"
_LOG = "ray.log"
_REFUSED_TOKEN = "InvalidAuthToken"  # said in the log alone
_OBJECT_STORE_BYTES = 256 * 2**20  # the dataset takes 47 MB


@contextlib.contextmanager
def ray_session(*, address: str | None, n_cpus: int) -> Iterator[Path]:
    """Starts Ray on this machine, or joins the cluster at `address`, for a `with` block's time.

    Whatever Ray's own code prints meanwhile goes to a file. A local Ray listens on loopback
    alone, is protected by a token and has neither dashboard nor autoscaler.

    Yields:
        A scratch folder on this machine, gone at the end.

    Raises:
        ClusterError: Ray cannot be started or reached.
        UsageError: `address` is none.
    """
    if address is None and not needs_no_quotes(sys.executable):
        raise ClusterError(
            f"Ray cannot run {sys.executable}, because of the characters in its path; make the "
            "virtual environment in another folder"
        )
    options = None if address is None else join_options(address)
    for name in ("ray", "ray.tune", "ray.train", "ray.air", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _scratch_folder() as scratch, _output_to(scratch / _LOG):
        try:
            small = contextlib.nullcontext() if options else _kept_small()
            with _signal_kept(signal.SIGTERM), small:
                ray.init(
                    log_to_driver=False,
                    logging_level="ERROR",
                    job_config=_Job(_py_driver_sys_path=[] if options else [str(_CODE)]),
                    **(options or _local_options(scratch, n_cpus)),
                )
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            what = f"join Ray at {address}" if address else "start Ray"
            reason = " ".join(str(error).split()) or repr(error)
            if _REFUSED_TOKEN in (scratch / _LOG).read_text(errors="replace"):
                reason = "it refuses the token; set RAY_AUTH_TOKEN_PATH to the file with its own"
            raise ClusterError(f"cannot {what}: {reason}") from error
        try:
            yield scratch
        finally:
            _end_ray()


class _Job(ray.job_config.JobConfig):
    """A job whose workers import the driver's own code, wherever the driver was started."""

    def _runtime_env_has_working_dir(self) -> bool:
        return True  # else the driver's current folder would come before all that is installed


def _end_ray() -> None:
    """Ends Ray, and whatever of it was started here.

    Its processes do not hear SIGTERM, as `_signal_kept` has it: `ray.shutdown` would send it
    to one after the other, and wait a second for each before killing it. Workers that were
    only just beginning would go on for half a minute.
    """
    started = _started()
    for info in _daemons():
        info.process.terminate = info.process.kill
    ray.shutdown()
    _kill(started)


def kill_ray() -> None:
    """Ends what is left of the Ray that was started here, without asking it anything."""
    _kill(_started())


def _daemons() -> Iterable[Any]:
    """What Ray knows of the processes that it has started in this one's stead."""
    node = ray._private.worker._global_node
    return () if node is None else chain.from_iterable(node.all_processes.values())


def _started() -> list[psutil.Process]:
    """The daemons, and what they have started."""
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


@contextlib.contextmanager
def _signal_kept(number: signal.Signals) -> Iterator[None]:
    """Keeps a signal's handler, which Ray replaces, and the signal itself until the end.

    Ray's processes inherit the mask, so that a signal to the whole process group ends this
    process first and in good order.
    """
    handler = signal.getsignal(number)
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


class _SmallNode(ray._private.node.Node):
    """A node without the servers that no sweep asks anything: it starts 2 s sooner."""

    def start_api_server(self, **options: Any) -> None:
        """Starts no dashboard, of which Ray would keep a part.

        Where all of Ray is installed its agent looks for the address once a second, for ever.
        """
        constants = ray._private.ray_constants
        self.get_gcs_client().internal_kv_put(
            constants.DASHBOARD_ADDRESS.encode(),
            b"127.0.0.1:0",
            True,
            constants.KV_NAMESPACE_DASHBOARD,
        )

    def start_log_monitor(self) -> None:
        """Starts nothing that would print the workers' output."""

    def start_monitor(self) -> None:
        """Starts no autoscaler."""


@contextlib.contextmanager
def _kept_small() -> Iterator[None]:
    """Lets Ray start a `_SmallNode` whose servers listen on loopback alone.

    Its processes pass the address on to those that they start; `_node_ip_address` is ignored.
    """
    private = ray._private
    usual = private.node.Node, private.ray_constants.ENABLE_RAY_CLUSTER
    private.node.Node, private.ray_constants.ENABLE_RAY_CLUSTER = _SmallNode, False
    try:
        yield
    finally:
        private.node.Node, private.ray_constants.ENABLE_RAY_CLUSTER = usual


def _local_options(scratch: Path, n_cpus: int) -> dict[str, Any]:
    if not has_token():  # none of the user's: one for this Ray alone
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    return {
        "address": "local",
        "include_dashboard": False,
        "num_cpus": n_cpus,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "_temp_dir": str(scratch / "ray"),
    }


def _short_temporary_folder() -> Path:
    """Ray's sockets lie below it, and a socket's path may have 107 characters at most."""
    folder = tempfile.gettempdir()
    is_fit = len(folder) <= 20 and shlex.quote(folder) == folder
    return Path(folder if is_fit or not os.access("/tmp", os.W_OK) else "/tmp")


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Makes a folder that is gone at the end, and clears away those of drivers that were killed.

    The lock in it tells whether its driver is alive: the operating system gives it back.
    """
    folder = _short_temporary_folder()
    for lock in folder.glob(f"{_PREFIX}*-*/{_LOCK}"):
        with contextlib.suppress(OSError):  # another driver is alive, or clearing as well
            if lock.lstat().st_uid == os.getuid():
                with lock.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.parent, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=folder))
    unlocked = scratch / f"{_LOCK}.new"
    with unlocked.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        unlocked.rename(scratch / _LOCK)  # nobody sees it before it is locked
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def terminal() -> TextIO:
    """Returns a stream to where standard error goes now, whatever becomes of it later."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace")


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Sends this process's output to `log`: native code writes past Python's streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in (handle, *saved):
            os.close(descriptor)
