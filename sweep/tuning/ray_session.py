"""Ray, started without output for one sweep and shut down completely."""

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import ray

from analysis.errors import describe_cause
from sweep.environment import needs_no_quotes, split_address
from sweep.errors import ClusterError
from sweep.tuning import ray_private

_CODE = Path(__file__).parents[2]
_PACKAGES = ("analysis", "data_utils", "models", "sweep")
_PREFIX = "sweep-"
_LOCK = "driver.lock"
_LOG = "ray.log"
_REFUSED_TOKEN = "InvalidAuthToken"  # only Ray's log says so
_OBJECT_STORE_BYTES = 256 * 2**20  # the dataset takes 47 MB
_CONNECT_TIMEOUT_S = 5.0
_TOKEN = "RAY_AUTH_TOKEN"
_LOCAL_TOKEN = secrets.token_hex(32)
_DEFAULT_TOKEN = Path("~/.ray/auth_token")


@contextlib.contextmanager
def ray_session(*, address: str | None, n_cpus: int) -> Iterator[Path]:
    """Start Ray on this machine, or join the cluster at `address`, in a `with` block.

    It yields a scratch folder on this machine, which is removed at the end. Everything that this
    process prints meanwhile goes to a file. A local Ray listens on loopback alone, requires a
    token and has neither dashboard nor autoscaler.

    Raises:
        ClusterError: Ray cannot be started or reached.
        UsageError: `address` is neither `auto` nor HOST:PORT.
    """
    if address is None and not needs_no_quotes(sys.executable):
        raise ClusterError(
            f"Ray cannot run {sys.executable}, because of special characters in its path; "
            "create the virtual environment in another folder"
        )
    _set_token(is_local=address is None)
    options = None if address is None else _join_options(address)
    for name in ("ray", "ray.tune", "ray.train", "ray.air", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        try:
            scratch = stack.enter_context(_scratch_folder())
            stack.enter_context(_output_to(scratch / _LOG))
        except OSError as error:
            raise ClusterError(
                f"cannot create a scratch folder: {describe_cause(error)}"
            ) from error
        try:
            small = contextlib.nullcontext() if options else ray_private.small_node()
            with _sigterm_blocked(), small:
                ray.init(
                    log_to_driver=False,
                    logging_level="ERROR",
                    job_config=ray_private.job_config(None if options else _CODE),
                    **(options or _local_options(scratch, n_cpus)),
                )
        except Exception as error:
            what = f"join Ray at {address}" if address else "start Ray"
            reason = " ".join(str(error).split()) or repr(error)
            if _REFUSED_TOKEN in (scratch / _LOG).read_text(errors="replace"):
                reason = (
                    "it refuses the token; set RAY_AUTH_TOKEN_PATH to the cluster's token file"
                )
            if "ray.init twice" in reason:
                reason = "this process uses Ray already: end that with `ray.shutdown()`"
            if address is None and type(error) is Exception:  # a part of Ray started too slowly
                reason = reason.rstrip(".") + "; if this machine is busy, try again later"
            raise ClusterError(f"cannot {what}: {reason}") from error
        try:
            yield scratch
        finally:
            ray_private.shut_down()


@contextlib.contextmanager
def _sigterm_blocked() -> Iterator[None]:
    """Block SIGTERM in a `with` block, and restore its handler, which Ray replaces.

    Ray's processes inherit the mask. So a signal to the whole process group ends this process
    first, which then ends them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # neither Ray nor this process sets a handler there
        return
    handler = signal.getsignal(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _has_token(*files: Path) -> bool:
    names = (_TOKEN, "RAY_AUTH_TOKEN_PATH")
    return any(map(os.environ.get, names)) or any(file.expanduser().is_file() for file in files)


def _set_token(*, is_local: bool) -> None:
    """Give a local Ray the token of this process, and take it away before a cluster is joined.

    Between two local sessions it stays: the process may use a Ray of its own then.
    """
    if is_local and not _has_token():
        os.environ[_TOKEN] = _LOCAL_TOKEN
    elif is_local or os.environ.get(_TOKEN) != _LOCAL_TOKEN:
        return
    else:
        del os.environ[_TOKEN]
    ray_private.read_token_again()


def _join_options(address: str) -> dict[str, Any]:
    """Check the address and the token, and let the job carry this code to the workers."""
    try:
        head = ray_private.find_head() if address == "auto" else address
    except ConnectionError as error:
        raise ClusterError(
            "Ray is not running on this machine: start it with `ray start`, or omit --address"
        ) from error
    _check_answer(head)
    if os.environ["RAY_AUTH_MODE"] == "token" and not _has_token(_DEFAULT_TOKEN):
        raise ClusterError(
            f"no token for the Ray cluster at {address}: set RAY_AUTH_TOKEN_PATH to the file with "
            "the token that the cluster was started with"
        )
    ray_private.limit_connection_attempts()
    packages = [str(_CODE / name) for name in _PACKAGES]
    runtime_env = {"py_modules": packages, "excludes": ["__pycache__"]}
    return {"address": address, "runtime_env": runtime_env}


def _check_answer(address: str) -> None:
    """Find out in seconds whether anything answers; Ray itself would try for minutes."""
    try:
        socket.create_connection(split_address(address), _CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, UnicodeError):
            reason = "no host name"
        raise ClusterError(
            f"cannot reach Ray at {address}: {reason.lower()}; is Ray running there "
            "(`ray start --head`), and is the port open?"
        ) from error


def _local_options(scratch: Path, n_cpus: int) -> dict[str, Any]:
    return {
        "address": "local",
        "include_dashboard": False,
        "num_cpus": n_cpus,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "_temp_dir": str(scratch / "ray"),
    }


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Make a folder for a `with` block, and remove those of drivers that were killed.

    The lock in such a folder says whether its driver is alive: the operating system releases
    it when the driver dies.
    """
    folder = Path(tempfile.gettempdir())
    # The paths of Ray's sockets may have at most 107 characters.
    is_fit = len(str(folder)) <= 20 and needs_no_quotes(str(folder))
    if not is_fit and os.access("/tmp", os.W_OK):
        folder = Path("/tmp")
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


@contextlib.contextmanager
def terminal() -> Iterator[TextIO]:
    """Yield a stream to where standard error goes now, even if that is redirected later.

    A notebook has a `sys.stderr` of its own, which does not write to the process's.
    """
    try:
        is_own = sys.stderr.fileno() != 2
    except OSError:
        is_own = True
    if is_own:
        yield sys.stderr
        return
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace") as stream:
        yield stream


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send this process's output to `log`, also what native code writes past Python's streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, stream)
            os.close(descriptor)
