import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest
import ray
from ray._private import services

from sweep.errors import ClusterError, UsageError
from sweep.tuning import ray_private
from sweep.tuning.ray_session import ray_session


@pytest.fixture
def temporary(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Python's temporary folder, with a name that is short enough for Ray's sockets."""
    tmp_path_factory.getbasetemp()  # not within it
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> list[dict[str, Any]]:
    """The arguments that Ray was started with; it does not really start or end."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
    monkeypatch.setattr(ray._private.worker, "_global_node", None)
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append({"shutdown": True}))
    return calls


@pytest.fixture
def closed() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of a server that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _open(address: str | None = None) -> None:
    with ray_session(address=address, n_cpus=1):
        pass


def test_session_starts_ray_here_and_ends_it_after_an_error(started, temporary):
    def run() -> None:
        with ray_session(address=None, n_cpus=3) as scratch:
            assert list(temporary.iterdir()) == [scratch]
            assert Path(started[0]["_temp_dir"]).is_relative_to(scratch)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    options, *rest = started
    assert (options["address"], options["num_cpus"]) == ("local", 3)
    assert options["include_dashboard"] is False
    assert rest == [{"shutdown": True}]
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("address", ["head", "ray://head:1", ":6379", "head:port", "a/b:1", "a:²"])
def test_malformed_address_is_refused(address):
    with pytest.raises(UsageError, match=r"`--address` must be auto or HOST:PORT, but got") as no:
        _open(address)
    assert ("`ray job submit`" in str(no.value)) == ("://" in address)


def test_auto_is_the_cluster_of_this_machine(started, listening, closed, monkeypatch):
    find_head = Mock(side_effect=[listening, closed, ConnectionError])
    monkeypatch.setattr(services, "canonicalize_bootstrap_address_or_die", find_head)
    _open("auto")
    assert started[0]["address"] == "auto"
    with pytest.raises(ClusterError, match=f"^cannot reach Ray at {closed}: connection refused"):
        _open("auto")
    with pytest.raises(ClusterError, match="^Ray is not running on this machine: start it with"):
        _open("auto")
    with pytest.raises(ClusterError, match=r"^cannot reach Ray at a\.\.b:6379: no host name; is "):
        _open("a..b:6379")
    with pytest.raises(ClusterError, match="^cannot reach Ray at 127.0.0.1:99999: "):
        _open("127.0.0.1:99999")


def test_session_joins_a_cluster_with_a_token(started, listening, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="^no token for the Ray cluster at 127"):
        _open(listening)
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("a token")
    _open(listening)
    options = started[0]
    assert options["address"] == listening
    assert not {"num_cpus", "object_store_memory", "_temp_dir"} & set(options)
    shipped = [Path(path) for path in options["runtime_env"]["py_modules"]]
    assert [path.name for path in shipped] == ["analysis", "data_utils", "models", "sweep"]
    assert all((path / "__init__.py").is_file() for path in shipped)
    token.unlink()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
    _open(listening)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    _open(listening)


def test_token_of_local_sessions_is_not_given_to_a_cluster(
    started, listening, tmp_path, monkeypatch
):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path))
    read: list[str | None] = []
    monkeypatch.setattr(
        ray_private, "read_token_again", lambda: read.append(os.environ.get("RAY_AUTH_TOKEN"))
    )
    _open()
    _open()
    (own,) = read
    assert own is not None
    assert len(own) == 64
    with pytest.raises(ClusterError, match="^no token for the Ray cluster"):
        _open(listening)
    assert read == [own, None]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("too little\nmemory"), "cannot start Ray: too little memory"),
        (OSError(), r"cannot start Ray: OSError\(\)"),
        (
            RuntimeError("Maybe you called ray.init twice by accident?"),
            r"cannot start Ray: this process uses Ray already: end that with `ray.shutdown\(\)`",
        ),
        (Exception("slow."), "cannot start Ray: slow; if this machine is busy, try again later"),
    ],
)
def test_session_says_in_one_line_why_ray_did_not_start(error, message, temporary, monkeypatch):
    monkeypatch.setattr(ray, "init", Mock(side_effect=error))
    with pytest.raises(ClusterError, match=f"^{message}$"):
        _open()
    assert not list(temporary.iterdir())


# In its own process, because pytest's streams write past the descriptors.
NOISY = """
import os, sys, ray
from sweep.errors import ClusterError
from sweep.tuning.ray_session import ray_session, terminal

def init(**options):
    print("from Python")
    os.write(1, b"from native code\\n")
    print("and its errors", file=sys.stderr)
    os.write(2, b"and native errors\\n")

def fail(**options):
    init()
    raise RuntimeError("no")

ray.init, ray.shutdown = init, lambda: print("at the end")
print("before")
with terminal() as screen, ray_session(address=None, n_cpus=1) as scratch:
    print("shown", file=screen, flush=True)
    sys.stdout.flush()
    assert (scratch / "ray.log").read_text().count("and ") == 2
print("after")
ray.init = fail
try:
    ray_session(address=None, n_cpus=1).__enter__()
except ClusterError as error:
    print(error)
"""


def test_session_prints_nothing_on_the_terminal():
    command = [sys.executable, "-c", NOISY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\ncannot start Ray: no\n"
    assert done.stderr == "shown\n"


def test_session_keeps_the_handler_of_sigterm(started, monkeypatch):
    def start(**_: Any) -> None:
        # Ray's processes inherit this: this process handles a signal to the whole group.
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        signal.signal(signal.SIGTERM, lambda number, frame: None)  # as Ray does

    monkeypatch.setattr(ray, "init", start)
    before = signal.getsignal(signal.SIGTERM)
    with ray_session(address=None, n_cpus=1):
        assert signal.getsignal(signal.SIGTERM) == before
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_session_removes_the_folders_of_killed_drivers(started, temporary):
    others = [temporary / name for name in ("sweep-2024-results", "sweep-99999999-abcdefgh")]
    scratch = temporary / "sweep-123-abcdefgh"
    for folder in (*others, scratch / "ray"):
        folder.mkdir(parents=True)
    with (scratch / "driver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _open()
        assert (scratch / "ray").exists()  # its driver is alive
    _open()
    assert not scratch.exists()
    assert all(other.exists() for other in others)  # they may be the user's own


def test_session_refuses_a_python_that_ray_cannot_run(started, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    with pytest.raises(ClusterError, match="my projects"):
        _open()
    assert started == []


def test_session_keeps_sockets_paths_short(started, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # much too long
    with ray_session(address=None, n_cpus=1) as scratch:
        # Below it lie `ray/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store`.
        assert len(str(scratch)) <= 107 - len("/ray/session_") - 34 - len("/sockets/plasma_store")


@pytest.mark.usefixtures("ray_scratch")
def test_local_ray_starts_few_processes_that_listen_on_loopback_alone():
    ray.get(ray.remote(lambda: None).remote())
    started = psutil.Process().children(recursive=True)
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in (psutil.Process(), *started)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    commands = [" ".join(process.cmdline()) for process in started]
    assert listening == {"127.0.0.1"}
    assert [command for command in commands if "raylet" in command]
    assert not [
        command for command in commands if "dashboard.py" in command or "monitor" in command
    ]
