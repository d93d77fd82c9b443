"""Joining a Ray cluster that somebody else has started."""

import os
import socket
from pathlib import Path
from typing import Any

from ray._private import ray_constants, services

import sweep
from sweep.errors import ClusterError, UsageError

_PACKAGES = ("analysis", "data_utils", "models", "sweep")  # side by side, wherever that is
_CONNECT_TIMEOUT_S = 5.0
_TRIES = 2  # to get an answer from what is there; by itself Ray makes 20, of up to 41 s each
_DEFAULT_TOKEN = Path("~/.ray/auth_token").expanduser()
_TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def has_token() -> bool:
    """Tells whether the environment names a token for Ray."""
    return any(os.environ.get(name) for name in _TOKEN_VARIABLES)


def join_options(address: str) -> dict[str, Any]:
    """Returns what `ray.init` needs to join the cluster at `address`.

    The workers get this very code with the job, whatever is installed where they run.

    Raises:
        UsageError: It is no address of a cluster that can be joined.
        ClusterError: Nothing answers there, or there is no token to show.
    """
    _knock(_address_here() if address == "auto" else address)
    if os.environ["RAY_AUTH_MODE"] == "token" and not (has_token() or _DEFAULT_TOKEN.is_file()):
        raise ClusterError(
            f"no token for the Ray cluster at {address}: set RAY_AUTH_TOKEN_PATH to the file with "
            "the token that the cluster was started with"
        )
    ray_constants.NUM_REDIS_GET_RETRIES = _TRIES
    root = Path(sweep.__path__[0]).parent
    packages = [str(root / name) for name in _PACKAGES]
    return {
        "address": address,
        "runtime_env": {"py_modules": packages, "excludes": ["__pycache__", "*.png"]},
    }


def _address_here() -> str:
    """Returns where the head is of the cluster that this machine is a node of."""
    try:
        return str(services.canonicalize_bootstrap_address_or_die("auto"))
    except ConnectionError as error:
        raise ClusterError(
            "Ray is not running on this machine: start it with `ray start`, or leave --address out"
        ) from error


def _knock(address: str) -> None:
    """Finds out in seconds whether anything answers; Ray itself would try for minutes."""
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
