import queue
import socket
import time
from types import SimpleNamespace

import pytest
from ray._private import worker

from sweep.tuning import watchdog as watchdog_module
from sweep.tuning.watchdog import watchdog

Died = list[tuple[str, object]]


@pytest.fixture
def died(monkeypatch: pytest.MonkeyPatch) -> Died:
    """The dead processes of a Ray that was started here; a test adds to them."""
    found: Died = []
    node = SimpleNamespace(is_head=lambda: True, dead_processes=lambda: found, all_processes={})
    monkeypatch.setattr(worker, "_global_node", node)
    monkeypatch.setattr(watchdog_module, "_LOOK_EVERY_S", 0.01)
    return found


@pytest.mark.parametrize("process", ["raylet", "gcs_server"])
def test_watchdog_removes_the_scratch_folder_and_reports_a_death(process, died, tmp_path):
    scratch, reported = tmp_path / "scratch", queue.Queue[tuple[str, bool]]()
    scratch.mkdir()
    with watchdog(scratch, lambda death: reported.put((death, scratch.exists()))):
        died.append(("log_monitor", None))  # a sweep does not need it
        time.sleep(0.05)
        assert reported.empty()
        assert scratch.exists()
        died.append((process, None))
        assert reported.get(timeout=5) == (f"Ray's {process} has died", False)


def test_watchdog_ends_with_its_block(died, tmp_path):
    reported: list[str] = []
    with watchdog(tmp_path, reported.append):
        pass
    died.append(("raylet", None))
    time.sleep(0.05)
    assert reported == []


@pytest.mark.parametrize(
    ("dies", "death"),
    [
        ("head", "the head of the Ray cluster at 127.0.0.1:{} has not answered for 0 s"),
        ("raylet", "Ray's raylet on this machine has died"),
    ],
)
def test_watchdog_reports_what_has_died_in_a_joined_cluster(dies, death, monkeypatch, tmp_path):
    monkeypatch.setattr(watchdog_module, "_KNOCK_EVERY_S", 0.02)
    monkeypatch.setattr(watchdog_module, "_HEAD_SILENT_S", 0.3)
    reported = queue.Queue[str]()
    path = str(tmp_path / "raylet")
    with (
        socket.create_server(("127.0.0.1", 0)) as head,
        socket.socket(socket.AF_UNIX) as raylet,
    ):
        raylet.bind(path)
        raylet.listen(1000)
        port = head.getsockname()[1]
        node = SimpleNamespace(
            is_head=lambda: False,
            gcs_address=f"127.0.0.1:{port}",
            raylet_socket_name=path,
            dead_processes=lambda: [],
            all_processes={},
        )
        monkeypatch.setattr(worker, "_global_node", node)
        with watchdog(tmp_path / "scratch", reported.put):
            time.sleep(0.6)
            assert reported.empty()
            {"head": head, "raylet": raylet}[dies].close()
            assert reported.get(timeout=5) == death.format(port)
