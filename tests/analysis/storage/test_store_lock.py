import json
import os
import signal
import subprocess
import sys
import time

import pytest

from analysis.storage import store_lock
from analysis.storage.lock import LOCK_FILE, hold, is_held
from analysis.storage.object_store import StoreFolder, open_store
from sweep.errors import StorageError

HOLDER = """
import sys, time
from analysis.storage.object_store import StoreFolder
from analysis.storage import store_lock
from analysis.storage.lock import hold
store_lock._BEAT_S = 0.2
with hold(StoreFolder(*sys.argv[1:])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store tells times in whole seconds; everything else is faster than in earnest."""
    monkeypatch.setattr(store_lock, "_BEAT_S", 0.2)
    monkeypatch.setattr(store_lock, "_SETTLE_S", 0.1)
    monkeypatch.setattr(store_lock, "_STALE_S", 2.5)


@pytest.fixture
def folder(s3: str, request: pytest.FixtureRequest) -> StoreFolder:
    return open_store(s3.replace("@sweeps", f"@sweeps/{request.node.name}"))


def test_lock_in_a_store_is_held_by_one_at_a_time(folder: StoreFolder) -> None:
    assert not is_held(folder)
    with hold(folder) as check:
        assert is_held(folder)
        with pytest.raises(StorageError, match=f"process {os.getpid()} on "), hold(folder):
            pass
        check()
    assert not is_held(folder)
    with hold(folder):
        pass


def test_lock_of_a_killed_driver_goes_stale(folder: StoreFolder) -> None:
    command = [sys.executable, "-c", HOLDER, folder.uri, folder.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        time.sleep(2)
        assert is_held(folder)
        with pytest.raises(StorageError, match=f"process {process.pid} on "), hold(folder):
            pass
        process.send_signal(signal.SIGKILL)
    with hold(folder):
        assert json.loads(folder.read(LOCK_FILE))["pid"] == os.getpid()


def test_driver_that_slept_too_long_learns_that_the_sweep_is_another_s(
    folder: StoreFolder,
) -> None:
    with hold(folder) as check:
        taken = json.dumps({"host": "elsewhere", "pid": 7, "token": "theirs"}).encode()
        folder.write(LOCK_FILE, taken)
        time.sleep(1)
        with pytest.raises(StorageError, match="process 7 on elsewhere"):
            check()
    assert folder.read(LOCK_FILE) == taken


def test_of_two_drivers_that_begin_together_the_last_to_write_holds_the_lock(
    folder: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = json.dumps({"host": "elsewhere", "pid": 7, "token": "theirs"}).encode()
    monkeypatch.setattr(time, "sleep", lambda seconds: folder.write(LOCK_FILE, taken))
    with pytest.raises(StorageError, match="process 7 on elsewhere"), hold(folder):
        pass
    assert folder.read(LOCK_FILE) == taken
