"""Every storage passes these tests; `conftest.STORAGES` lists them.

`elsewhere` is the folder `storage` as another machine has it.
"""

import os
import pickle
import sys
import time
from contextlib import closing
from subprocess import PIPE, Popen

import pytest

from analysis.errors import InUseError
from analysis.records.files import LEDGER_FILE
from analysis.records.ledger import SessionEnded, read_ledger
from analysis.records.sweeps import list_sweeps, open_sweep
from analysis.storage.folder import LOCK_FILE
from analysis.storage.local_folder import LocalFolder
from appending import write_journal
from in_memory import begin_ledger, trial_started
from store_model import ModelFolder

OWNER = """
import pickle, sys, time
from analysis.storage import lease
lease._BEAT_S = 0.2
with pickle.loads(bytes.fromhex(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_written_files_are_read_replaced_and_deleted(storage, elsewhere):
    folder, other = storage.child("sweep"), elsewhere.child("sweep")
    assert folder.name == "sweep"
    assert folder.display_path("a") == f"{storage}/sweep/a"
    folder.write("a", b"\x00old and longer")
    folder.write("a", b"new")
    folder.write("checkpoints/b.pt", b"")
    for reader in (folder, other):
        assert (reader.read("a"), reader.read("checkpoints/b.pt")) == (b"new", b"")
        assert (reader.exists("a"), reader.exists("checkpoints")) == (True, False)
    other.delete("a")
    folder.delete("a")
    assert (folder.files(), other.files()) == ([], [])


def test_folder_travels_to_other_processes(storage):
    storage.write("a", b"1")
    if isinstance(storage, ModelFolder):
        pytest.skip("the model is in the memory of this process")
    assert pickle.loads(pickle.dumps(storage)).read("a") == b"1"


def test_version_that_was_read_or_written_is_replaced(storage, elsewhere):
    with pytest.raises(FileNotFoundError):
        storage.read_version("a")
    version = storage.replace("a", b"1", None)
    storage.replace("a", b"2", version)
    data, version = elsewhere.read_version("a")
    elsewhere.replace("a", data + b"3", version)
    assert storage.read_version("a")[0] == b"23"


def test_locked_folder_is_written_and_read(storage, elsewhere):
    with storage.lock() as locked, closing(locked.append_to("lines")) as appender:
        for data in (b"old", b"new"):
            locked.child("child").write("a", data)
            locked.write("obsolete", data)
        appender.write_line(b"one\n")
        appender.delete_when_safe(["obsolete", "never-written"])
    assert elsewhere.read("child/a") == b"new"
    assert (elsewhere.read("lines"), elsewhere.exists("obsolete")) == (b"one\n", False)


def test_listings_are_sorted(storage, elsewhere):
    for name in ("b", "a"):
        storage.write(name, b"")
        storage.write(f"folder-{name}/2", b"")
        storage.write(f"folder-{name}/1", b"")
    for reader in (storage, elsewhere):
        assert reader.files() == ["a", "b"]
        assert reader.folders() == ["folder-a", "folder-b"]
        assert reader.child("folder-a").files() == ["1", "2"]


def test_folder_that_does_not_exist_is_empty(storage):
    folder = storage.child("nowhere")
    assert (folder.files(), folder.folders()) == ([], [])
    assert not folder.exists("a")
    assert not folder.is_locked()
    for read in (folder.read, folder.read_first_line):
        with pytest.raises(FileNotFoundError, match="no such file") as caught:
            read("a")
        assert caught.value.filename == folder.display_path("a")
    assert storage.folders() == []  # asking creates nothing


@pytest.mark.parametrize(
    ("data", "line"), [(b"", b""), (b"one", b"one"), (b"\r\x0b one\n\ntwo", b"\r\x0b one\n")]
)
def test_first_line_keeps_its_end(storage, data, line):
    storage.write("a", data)
    assert storage.read_first_line("a") == line


def test_lines_are_appended_after_the_incomplete_one_is_removed(storage, elsewhere):
    with closing(storage.append_to("lines")) as appender:
        appender.write_line(b"one\n")
        appender.write_line(b"two\n")
    assert elsewhere.read("lines") == b"one\ntwo\n"
    with closing(elsewhere.append_to("lines")) as appender:
        assert appender.contents == b"one\ntwo\n"
        appender.truncate(4)
        appender.write_line(b"22\n")
    assert storage.read("lines") == b"one\n22\n"
    with closing(storage.append_to("lines")) as appender:
        appender.truncate(4)
    assert storage.read("lines") == b"one\n"
    storage.append_to("lines").close()
    assert storage.read("lines") == b"one\n"


@pytest.mark.usefixtures("hurried")
def test_lock_has_one_owner_at_a_time(storage, elsewhere):
    storage.write(LOCK_FILE, b"longer than what is written by its next owner: " + b"x" * 200)
    with storage.lock() as locked:
        assert storage.is_locked()
        assert elsewhere.is_locked()
        owner = f"process {os.getpid()} on {os.uname().nodename}; wait for it to end"
        with (
            pytest.raises(InUseError, match=f"another process is working on .*: {owner}"),
            elsewhere.lock(),
        ):
            pass
        assert storage.is_locked()
        locked.check_lock()
    with pytest.raises(KeyError), elsewhere.lock():
        raise KeyError
    with storage.lock():
        pass


@pytest.mark.usefixtures("hurried")
def test_lock_of_a_killed_process_is_free_again(storage, elsewhere):
    if isinstance(storage, ModelFolder):
        pytest.skip("the model is in the memory of this process; it has deaths of its own")
    command = [sys.executable, "-c", OWNER, pickle.dumps(storage).hex()]
    with Popen(command, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        if not isinstance(storage, LocalFolder):
            time.sleep(2)  # it beats
        assert storage.is_locked()
        with pytest.raises(InUseError, match=f"process {process.pid} on "), elsewhere.lock():
            pass
        process.kill()
    with storage.lock():
        assert str(os.getpid()).encode() in storage.read(LOCK_FILE)


def test_sweep_is_stored_and_found(storage):
    folder = storage.child("mine")
    begun = begin_ledger({"epochs": 1}, name="mine")
    for record in (trial_started(1), SessionEnded(3.0, "finished")):
        write_journal(folder, begun, record)
    found, ledger = open_sweep(storage, None)
    assert found == folder
    assert (list(ledger.trials), ledger.ended) == ([1], SessionEnded(3.0, "finished"))
    assert list_sweeps(storage) == ([begun.created], {})
    cut = storage.child("cut")
    cut.write(LEDGER_FILE, folder.read(LEDGER_FILE)[:-5])
    assert read_ledger(cut).truncated_bytes > 0
