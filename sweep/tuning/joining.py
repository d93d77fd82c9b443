"""Joining a Ray cluster that is already running."""

import os
import socket
from pathlib import Path
from typing import Any

import sweep
from sweep.errors import ClusterError, UsageError
from sweep.tuning import ray_private

_PACKAGES = ("analysis", "data_utils", "models", "sweep")
_CONNECT_TIMEOUT_S = 5.0
_DEFAULT_TOKEN = Path("~/.ray/auth_token").expanduser()


def has_token() -> bool:
    """Return whether the environment names a token for Ray."""
    return any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))


def join_options(address: str) -> dict[str, Any]:
    """Return the arguments with which `ray.init` joins the cluster at `address`.

    The job carries this code to the workers, whatever is installed there.

    Raises:
        UsageError: The address is not of a form that can be joined.
        ClusterError: Nothing answers there, or there is no token to show.
    """
    _check_answer(_local_head() if address == "auto" else address)
    if os.environ["RAY_AUTH_MODE"] == "token" and not (has_token() or _DEFAULT_TOKEN.is_file()):
        raise ClusterError(
            f"no token for the Ray cluster at {address}: set RAY_AUTH_TOKEN_PATH to the file with "
            "the token that the cluster was started with"
        )
    ray_private.limit_connection_attempts()
    root = Path(sweep.__path__[0]).parent
    packages = [str(root / name) for name in _PACKAGES]
    return {
        "address": address,
        "runtime_env": {"py_modules": packages, "excludes": ["__pycache__", "*.png"]},
    }


def _local_head() -> str:
    try:
        return ray_private.find_head()
    except ConnectionError as error:
        raise ClusterError(
            "Ray is not running on this machine: start it with `ray start`, or leave --address out"
        ) from error


def _check_answer(address: str) -> None:
    """Find out in seconds whether anything answers; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if "/" in host or not host or not port.isdigit():
        hint = "; from outside a cluster use `ray job submit`" if "://" in address else ""
        raise UsageError(f"`--address` must be auto or HOST:PORT, but got {address!r}{hint}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClusterError(
            f"cannot reach Ray at {address}: {reason.lower()}; is Ray running there "
            "(`ray start --head`), and is the port open?"
        ) from error
