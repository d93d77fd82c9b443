"""Ray, started without output for one sweep and ended without anything left."""

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import ray

import sweep
from sweep.environment import needs_no_quotes
from sweep.errors import ClusterError
from sweep.tuning import ray_private
from sweep.tuning.joining import has_token, join_options

_CODE = Path(sweep.__path__[0]).parent
_PREFIX = "sweep-"
_LOCK = "driver.lock"
_LOG = "ray.log"
_REFUSED_TOKEN = "InvalidAuthToken"  # only Ray's log says so
_OBJECT_STORE_BYTES = 256 * 2**20  # the dataset takes 47 MB


@contextlib.contextmanager
def ray_session(*, address: str | None, n_cpus: int) -> Iterator[Path]:
    """Start Ray on this machine, or join the cluster at `address`, in a `with` block.

    Everything that this process prints meanwhile goes to a file. A local Ray listens on
    loopback alone, requires a token and has neither dashboard nor autoscaler.

    Yields:
        A scratch folder on this machine, which is removed at the end.

    Raises:
        ClusterError: Ray cannot be started or reached.
        UsageError: `address` is not of a form that can be joined.
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
            small = contextlib.nullcontext() if options else ray_private.small_node()
            with _blocked(signal.SIGTERM), small:
                ray.init(
                    log_to_driver=False,
                    logging_level="ERROR",
                    job_config=ray_private.job_config(None if options else _CODE),
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
            ray_private.shut_down()


@contextlib.contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """Block a signal in a `with` block, and restore its handler, which Ray replaces.

    Ray's processes inherit the mask. So a signal to the whole process group ends this process
    first, which then ends them.
    """
    handler = signal.getsignal(number)
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def _local_options(scratch: Path, n_cpus: int) -> dict[str, Any]:
    if not has_token():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    return {
        "address": "local",
        "include_dashboard": False,
        "num_cpus": n_cpus,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "_temp_dir": str(scratch / "ray"),
    }


def _short_temporary_folder() -> Path:
    """Choose a folder for Ray's sockets, whose paths may have at most 107 characters."""
    folder = tempfile.gettempdir()
    is_fit = len(folder) <= 20 and shlex.quote(folder) == folder
    return Path(folder if is_fit or not os.access("/tmp", os.W_OK) else "/tmp")


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Make a folder for a `with` block, and remove those of drivers that were killed.

    The lock in such a folder says whether its driver is alive: the operating system releases
    it when the driver dies.
    """
    folder = _short_temporary_folder()
    for lock in folder.glob(f"{_PREFIX}*-*/{_LOCK}"):
        with contextlib.suppress(OSError):  # its driver is alive, or another one removes it
            if lock.lstat().st_uid == os.getuid():
                with lock.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.parent, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=folder))
    unlocked = scratch / f"{_LOCK}.new"
    with unlocked.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        unlocked.rename(scratch / _LOCK)  # nobody finds it before it is locked
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def terminal() -> TextIO:
    """Return a stream to where standard error goes now, even if that is redirected later."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace")


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send this process's output to `log`, also what native code writes past Python's streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for stream in (1, 2):
            os.dup2(handle, stream)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, descriptor in zip((1, 2), saved, strict=True):
            os.dup2(descriptor, stream)
        for descriptor in (handle, *saved):
            os.close(descriptor)
