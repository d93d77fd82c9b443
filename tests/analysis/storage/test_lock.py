import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.storage.folder import Folder, LocalFolder
from analysis.storage.lock import hold, is_held
from sweep.errors import StorageError

HOLDER = """
import sys, time
from pathlib import Path
from analysis.storage.folder import LocalFolder
from analysis.storage.lock import hold
with hold(LocalFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return LocalFolder(tmp_path / "sweep")


def test_lock_is_held_by_one_at_a_time(folder: Folder) -> None:
    assert not is_held(folder)
    with hold(folder):
        assert is_held(folder)
        with pytest.raises(StorageError, match="another process is at work"), hold(folder):
            pass
        assert is_held(folder)
    assert not is_held(folder)
    with hold(folder):
        assert is_held(folder)


def test_lock_is_given_back_after_an_error(folder: Folder) -> None:
    with pytest.raises(KeyError), hold(folder):
        raise KeyError
    assert not is_held(folder)


def test_lock_of_a_killed_process_is_free_again(folder: Folder) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_held(folder)
        with pytest.raises(StorageError) as raised, hold(folder):
            pass
        assert f"process {process.pid} on {os.uname().nodename}" in str(raised.value)
        process.send_signal(signal.SIGKILL)
    assert not is_held(folder)
    with hold(folder):
        pass


def test_lock_names_its_holder(folder: Folder) -> None:
    folder.write(".lock", b"much longer than what will be written: " + b"x" * 200)
    with hold(folder):
        holder = json.loads(folder.read(".lock"))
    assert holder == {"host": os.uname().nodename, "pid": os.getpid()}


def test_looking_at_the_lock_makes_no_file(folder: Folder) -> None:
    assert not is_held(folder)
    assert not folder.path.exists()
