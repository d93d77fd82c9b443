import os
from pathlib import Path

import pytest

from analysis.errors import LedgerError
from analysis.records.files import LEDGER_FILE
from analysis.records.ledger import read_ledger
from analysis.records.sweeps import list_sweeps, open_sweep
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from appending import write_journal
from in_memory import begin_ledger


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "runs")


def begin(storage: Folder, name: str, time: float) -> None:
    write_journal(storage.child(name), begin_ledger({}, name=name, time=time))


def names(storage: Folder) -> list[str]:
    return [created.name for created in list_sweeps(storage)[0]]


def test_sweeps_are_listed_newest_first_and_the_newest_is_opened(storage):
    for name, time in (("b", 2.0), ("c", 3.0), ("a", 1.0)):
        begin(storage, name, time)
    found, damaged = list_sweeps(storage)
    shown = [(created.name, created.time) for created in found]
    assert (shown, damaged) == ([("c", 3.0), ("b", 2.0), ("a", 1.0)], {})
    assert open_sweep(storage, None)[1].name == "c"


def test_storage_that_does_not_exist_has_no_sweeps(storage):
    assert list_sweeps(storage) == ([], {})
    start = "runs, which does not exist; start one with `sweep run`"
    with pytest.raises(FileNotFoundError, match=rf"there is no sweep in .*{start}"):
        open_sweep(storage, None)
    with pytest.raises(FileNotFoundError, match=rf"no sweep 'a' in .*{start}"):
        open_sweep(storage, "a")
    storage.write("file", b"")
    assert list_sweeps(storage.child("file/below")) == ([], {})
    with pytest.raises(FileNotFoundError, match="start one with `sweep run`"):
        open_sweep(storage.child("file"), "below")


def test_folder_without_a_complete_first_record_is_not_a_sweep(storage):
    begin(storage, "good", 1.0)
    storage.write("file", b"")
    storage.write("other/notes.txt", b"")
    storage.write("empty/ledger.jsonl", b"")
    storage.write("incomplete/ledger.jsonl", b'{"kind": "sweep"')
    storage.write("folder/ledger.jsonl/x", b"")
    found, damaged = list_sweeps(storage)
    assert ([created.name for created in found], damaged) == (["good"], {})


def test_sweep_has_the_name_of_its_folder(storage):
    begin(storage, "old", 1.0)
    begin(storage, "other", 2.0)
    (storage.path / "old").rename(storage.path / "new")
    assert names(storage) == ["other", "new"]
    folder, ledger = open_sweep(storage, "new")
    assert (folder, ledger.name) == (storage.child("new"), "new")
    assert read_ledger(folder).name == "new"
    with pytest.raises(FileNotFoundError, match=r"no sweep 'old' .*; choose from other, new"):
        open_sweep(storage, "old")
    storage.write(f"copy/{LEDGER_FILE}", storage.read(f"new/{LEDGER_FILE}"))
    assert sorted(names(storage)) == ["copy", "new", "other"]
    assert open_sweep(storage, "copy")[1].name == "copy"


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            b'damage\n{"kind": "session_ended", "time": 1.0, "reason": ""}\n',
            "is not a record ('damage')",
        ),
        (
            b'{"kind": "session_ended", "time": 1.0, "reason": ""}\n',
            "comes before the record that begins the file",
        ),
        (b'{"kind": "sweep", "time": 1.0, "format": 9, "name": "n", "config": {}}\n', "format 9"),
    ],
)
def test_damaged_sweep_does_not_hide_the_others(storage, first, message):
    storage.write("bad/ledger.jsonl", first)
    with pytest.raises(LedgerError):  # there is no other sweep
        open_sweep(storage, None)
    begin(storage, "good", 1.0)
    found, damaged = list_sweeps(storage)
    assert ([created.name for created in found], list(damaged)) == (["good"], ["bad"])
    assert damaged["bad"].startswith(f"{storage.display_path('bad/ledger.jsonl')}:1 ")
    assert message in damaged["bad"]
    assert open_sweep(storage, None)[0] == storage.child("good")
    with pytest.raises(LedgerError) as caught:
        open_sweep(storage, "bad")
    assert str(caught.value) == damaged["bad"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_ledger_without_permission_does_not_hide_the_others(storage):
    begin(storage, "good", 1.0)
    begin(storage, "locked", 2.0)
    (storage.path / "locked/ledger.jsonl").chmod(0)
    assert names(storage) == ["good"]
    assert "cannot be read (Permission denied)" in list_sweeps(storage)[1]["locked"]


@pytest.mark.parametrize("name", ["..", ".", "", "deep/a", "../runs/good", "file", "x" * 300])
def test_path_is_not_the_name_of_a_sweep(storage, name):
    begin(storage, "good", 1.0)
    for elsewhere in (".", "..", "deep/a"):
        storage.write(f"{elsewhere}/{LEDGER_FILE}", storage.read(f"good/{LEDGER_FILE}"))
    storage.write("file", b"")
    with pytest.raises(FileNotFoundError, match="there is no sweep .*; choose from good"):
        open_sweep(storage, name)


def test_message_lists_five_of_many_sweeps(storage):
    for number in range(7):
        begin(storage, f"s{number}", float(number))
    with pytest.raises(FileNotFoundError) as caught:
        open_sweep(storage, "../s1")
    assert str(caught.value) == (
        f"there is no sweep '../s1' in {storage}; choose from s6, s5, s4, s3, s2, …"
    )


def test_folder_without_a_ledger_is_said_to_have_none(storage):
    begin(storage, "good", 1.0)
    storage.write("bare/config.yaml", b"trials: 8\n")
    storage.write(f"cut/{LEDGER_FILE}", b'{"kind": "sw')
    for name in ("bare", "cut"):
        with pytest.raises(FileNotFoundError, match="of this name has no readable ledger.jsonl"):
            open_sweep(storage, name)
