import fcntl
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from sweep.errors import ClusterError
from sweep.tuning import ray_session as ray_session_module
from sweep.tuning.ray_session import ray_session

pytestmark = pytest.mark.xdist_group("ray")  # one Ray for all of them


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Python's temporary folder, with a name that is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments that Ray was started with; it does not really start or end."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(ray._private.worker, "_global_node", None)
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append({"shutdown": True}))
    return calls


def test_session_starts_ray_here_and_ends_it_after_an_error(
    started: list[dict[str, Any]], temporary: Path
) -> None:
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


def test_session_joins_a_cluster(
    started: list[dict[str, Any]], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        with ray_session(address=address, n_cpus=3):
            (options,) = started
    assert options["address"] == address
    assert not {"num_cpus", "object_store_memory", "_temp_dir"} & set(options)
    shipped = [Path(path) for path in options["runtime_env"]["py_modules"]]
    assert [path.name for path in shipped] == ["analysis", "data_utils", "models", "sweep"]
    assert all((path / "__init__.py").is_file() for path in shipped)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("auto", ConnectionError("no answer\nand more"), "cannot join Ray at auto: no answer and"),
        (None, RuntimeError("too little memory"), "cannot start Ray: too little memory"),
        (None, OSError(), r"cannot start Ray: OSError\(\)"),
    ],
)
def test_session_says_in_one_line_why_ray_did_not_start(
    address: str | None,
    error: Exception,
    message: str,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray_session_module, "join_options", lambda address: {"address": address})
    with pytest.raises(ClusterError, match=f"^{message}") as raised:
        ray_session(address=address, n_cpus=1).__enter__()
    assert "\n" not in str(raised.value)
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


def test_session_prints_nothing_on_the_terminal() -> None:
    command = [sys.executable, "-c", NOISY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\ncannot start Ray: no\n"
    assert done.stderr == "shown\n"


def test_session_keeps_the_handler_of_sigterm(
    started: list[dict[str, Any]], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(**_: Any) -> None:
        # Ray's processes inherit this: this process handles a signal to the whole group.
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        signal.signal(signal.SIGTERM, lambda number, frame: None)  # as Ray does

    monkeypatch.setattr(ray, "init", start)
    before = signal.getsignal(signal.SIGTERM)
    with ray_session(address=None, n_cpus=1):
        assert signal.getsignal(signal.SIGTERM) == before
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_session_removes_the_folders_of_killed_drivers(
    started: list[dict[str, Any]], temporary: Path
) -> None:
    others = [temporary / name for name in ("sweep-2024-results", "sweep-99999999-abcdefgh")]
    scratch = temporary / "sweep-123-abcdefgh"
    for folder in (*others, scratch / "ray"):
        folder.mkdir(parents=True)
    with (scratch / "driver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with ray_session(address=None, n_cpus=1):
            assert (scratch / "ray").exists()  # its driver is alive
    with ray_session(address=None, n_cpus=1):
        assert not scratch.exists()
        assert all(other.exists() for other in others)  # they may be the user's own


def test_session_refuses_a_python_that_ray_cannot_run(
    started: list[dict[str, Any]], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    with pytest.raises(ClusterError, match="my projects"), ray_session(address=None, n_cpus=1):
        pass
    assert started == []


def test_session_keeps_sockets_paths_short(
    started: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # much too long
    with ray_session(address=None, n_cpus=1) as scratch:
        # Below it lie `ray/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store`.
        assert len(str(scratch)) <= 107 - len("/ray/session_") - 34 - len("/sockets/plasma_store")


@pytest.mark.usefixtures("ray_scratch")
def test_local_ray_starts_few_processes_that_listen_on_loopback_alone() -> None:
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
