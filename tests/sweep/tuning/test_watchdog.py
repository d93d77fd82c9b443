import queue
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from sweep.tuning import watchdog as watchdog_module
from sweep.tuning.watchdog import watchdog

Died = list[tuple[str, object]]


@pytest.fixture
def died(monkeypatch: pytest.MonkeyPatch) -> Died:
    """The processes of Ray's that are dead, of which there may be more while it is watched."""
    found: Died = []
    node = SimpleNamespace(is_head=lambda: True, dead_processes=lambda: found, all_processes={})
    monkeypatch.setattr(ray._private.worker, "_global_node", node)
    monkeypatch.setattr(watchdog_module, "_LOOK_EVERY_S", 0.01)
    return found


@pytest.mark.parametrize("process", ["raylet", "gcs_server"])
def test_watchdog_clears_away_and_tells_of_a_death(
    process: str, died: Died, tmp_path: Path
) -> None:
    scratch, told = tmp_path / "scratch", queue.Queue[tuple[str, bool]]()
    scratch.mkdir()
    with watchdog(scratch, lambda kind: told.put((kind, scratch.exists()))):
        time.sleep(0.05)
        assert told.empty()
        died.append((process, None))
        assert told.get(timeout=5) == (f"Ray's {process} has died", False)


def test_watchdog_ignores_what_a_sweep_can_do_without(died: Died, tmp_path: Path) -> None:
    told: list[str] = []
    with watchdog(tmp_path, told.append):
        died.append(("log_monitor", None))
        time.sleep(0.05)
    assert told == []
    assert tmp_path.exists()


def test_watchdog_is_gone_after_its_block(died: Died, tmp_path: Path) -> None:
    told: list[str] = []
    with watchdog(tmp_path, told.append):
        pass
    died.append(("raylet", None))
    time.sleep(0.05)
    assert told == []


def test_watchdog_tells_of_a_head_that_stays_silent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watchdog_module, "_KNOCK_EVERY_S", 0.05)
    monkeypatch.setattr(watchdog_module, "_HEAD_SILENT_S", 0.5)
    told = queue.Queue[str]()
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        node = SimpleNamespace(
            is_head=lambda: False,
            gcs_address=address,
            dead_processes=lambda: [],
            all_processes={},
        )
        monkeypatch.setattr(ray._private.worker, "_global_node", node)
        with watchdog(tmp_path, told.put):
            time.sleep(1)
            assert told.empty()
            head.close()
            silence = f"the head of the Ray cluster at {address} does not answer"
            assert told.get(timeout=5) == silence
