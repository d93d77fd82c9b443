import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.machines import Machine, Network, finish, private_files, revealed

pytestmark = pytest.mark.cluster

_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 80), timeout=2)"
_LISTEN = """
import socket
with socket.create_server(("", 80)) as server:
    print("up", flush=True)
    while True:
        server.accept()[0].close()
"""
_START_DAEMON = """
setsid sleep 60 > /dev/null 2>&1 &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.01; done
"""
_MAKE_MACHINE = """
import time
from tests.cluster.machines import Machine, Network

machine = Machine(Network(), "machine")
print(machine.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def machine(network: Network) -> Iterator[Machine]:
    with Machine(network, "machine") as machine:
        yield machine


@pytest.fixture
def other(network: Network) -> Iterator[Machine]:
    with Machine(network, "other") as other:
        yield other


def _connect(machine: Machine, ip: str) -> str:
    """The last line of what trying to connect says: nothing, or why not."""
    return machine.run([sys.executable, "-c", _CONNECT, ip]).stderr.strip().rpartition("\n")[2]


def _own_network_and_mounts() -> tuple[set[str], str]:
    return set(psutil.net_if_addrs()), Path("/proc/self/mountinfo").read_text()


def test_machines_reach_each_other_and_nobody_else(machine: Machine, other: Machine) -> None:
    server = other.popen([sys.executable, "-c", _LISTEN])
    assert server.stdout is not None
    assert server.stdout.readline() == "up\n"
    assert _connect(machine, other.ip) == ""
    assert _connect(other, machine.ip).startswith("ConnectionRefusedError")
    assert _connect(machine, Network.outside).startswith("TimeoutError")
    assert _connect(machine, "127.0.0.1").startswith("ConnectionRefusedError")


def test_unplugged_machine_is_silent_until_it_is_plugged_in(
    machine: Machine, other: Machine
) -> None:
    assert _connect(machine, other.ip).startswith("ConnectionRefusedError")
    other.unplug()
    assert not _connect(machine, other.ip).startswith("ConnectionRefusedError")
    other.plug_in()
    assert _connect(machine, other.ip).startswith("ConnectionRefusedError")


def test_machine_has_a_name_that_resolves_and_no_name_server(machine: Machine) -> None:
    assert machine.run(["hostname"]).stdout == "machine\n"
    assert machine.run(["getent", "hosts", "machine"]).returncode == 0
    assert machine.run(["getent", "hosts", "example.org"], timeout=2).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signal_reaches_the_process_on_the_machine(machine: Machine, number: int) -> None:
    process = machine.popen(["sh", "-c", "echo up; exec sleep 60"])
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert finish(process, timeout=5).returncode == -number
    assert "sleep" not in {process.name() for process in machine.processes()}


def test_command_that_takes_too_long_is_killed(machine: Machine) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run(["sh", "-c", "sleep 60; true"], timeout=1)
    assert "sleep" not in {process.name() for process in machine.processes()}


def test_hidden_folders_are_empty_but_for_what_is_kept(network: Network, tmp_path: Path) -> None:
    for name in ("a file", "kept/file", "bare/file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("real")
    hidden, kept = [tmp_path, tmp_path / "kept" / "deep"], [tmp_path / "kept"]
    (tmp_path / "kept" / "deep").mkdir()
    (tmp_path / "kept" / "deep" / "file").touch()
    find = ["find", str(tmp_path), "-type", "f", "-printf", "%P\n"]
    with Machine(network, "machine", private_files(hidden, kept)) as machine:
        assert machine.run(find).stdout == "kept/file\n"
        seen = machine.run(revealed([tmp_path / "bare"], find)).stdout
        assert set(seen.splitlines()) == {"kept/file", "bare/file"}
        assert machine.run(find).stdout == "kept/file\n"
        machine.run(["touch", str(tmp_path / "of the machine")])
    assert {path.name for path in tmp_path.iterdir()} == {"a file", "kept", "bare"}


def test_end_leaves_no_process_interface_or_mount() -> None:
    before = _own_network_and_mounts()
    with Network() as network, Machine(network, "machine") as machine:
        machine.run(["sh", "-c", _START_DAEMON])
        assert {process.name() for process in machine.processes()} == {"unshare", "cat", "sleep"}
    assert network.processes() == machine.processes() == []
    assert _own_network_and_mounts() == before


def test_machine_ends_with_the_process_that_made_it() -> None:
    command = [sys.executable, "-c", _MAKE_MACHINE]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        first = psutil.Process(int(maker.stdout.readline()))
        maker.kill()
    first.wait(timeout=5)  # the others of its namespaces end before it does
