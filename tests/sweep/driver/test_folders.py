import json

import pytest
import torch
import yaml

from analysis.errors import LedgerError, StorageError
from analysis.report.costs import environment_rows
from analysis.storage.local_folder import LocalFolder
from sweep.config import Resources, SweepConfig
from sweep.driver.folders import check_name, name_after, new_folder, write_environment
from sweep.environment import versions
from sweep.errors import UsageError


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "-a", "_a", "a/b", "a\\b", "a b", "a\n", "é", "a:b", "x" * 101, "~"],
)
def test_name_that_some_storage_cannot_take_is_refused(name):
    for accepted in ("a", "7", "classic-20260101-120000", "A.b_c-d", "x" * 100):
        check_name(accepted)
    with pytest.raises(UsageError, match="^a sweep's name must be 1 to 100 letters"):
        check_name(name)


@pytest.mark.parametrize(
    ("stem", "begins"),
    [("classic", "classic-"), ("my cfg", "my-cfg-"), ("_été", "t-"), ("…", "sweep-")],
)
def test_default_name_is_made_of_allowed_characters(stem, begins):
    name = name_after(stem)
    check_name(name)
    assert name.startswith(begins)
    check_name(name_after("x" * 300))


def test_folder_begins_with_config_and_environment(tmp_path):
    storage = LocalFolder(tmp_path)
    with new_folder(storage, "mine", SweepConfig(trials=7)) as folder:
        assert folder == storage.child("mine")
        assert folder.is_locked()
    assert json.loads(folder.read("environment.json"))["versions"] == versions()
    folder.write("ledger.jsonl", b'{"kind": "swe')  # killed while it began: to be replaced
    with new_folder(storage, "mine", SweepConfig(trials=8)):
        pass
    assert yaml.safe_load(folder.read("config.yaml"))["trials"] == 8


def test_environment_of_a_sweep_on_gpus_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "NVIDIA H200")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    folder, on_gpu = LocalFolder(tmp_path), SweepConfig(resources=Resources(gpu=0.5))
    write_environment(folder, SweepConfig())
    without = environment_rows(folder)
    write_environment(folder, on_gpu)
    shown = [row for row in environment_rows(folder) if row not in without]
    assert shown == [("gpu", "NVIDIA H200"), ("gpus", "2"), ("cuda", "13.0")]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_environment(folder, on_gpu)  # as by a driver whose cluster has the GPUs
    assert environment_rows(folder) == without


def test_folder_of_a_sweep_is_left_alone(make_sweep, tmp_path):
    make_sweep(n_trials=2, name="mine")
    storage = LocalFolder(tmp_path / "storage")
    storage.write("damaged/ledger.jsonl", b"garbage\n")
    with pytest.raises(UsageError, match="the sweep 'mine' already exists in "):
        new_folder(storage, "mine", SweepConfig()).__enter__()
    with pytest.raises(LedgerError, match="ledger.jsonl:1"):
        new_folder(storage, "damaged", SweepConfig()).__enter__()
    assert [storage.child(name).files() for name in ("mine", "damaged")] == [["ledger.jsonl"]] * 2


def test_sweep_that_does_not_start_leaves_nothing_and_deletes_nothing(tmp_path):
    storage = LocalFolder(tmp_path)

    def fail() -> None:
        with pytest.raises(KeyboardInterrupt), new_folder(storage, "mine", SweepConfig()):
            raise KeyboardInterrupt

    fail()
    assert storage.folders() == []
    storage.child("mine").write("notes.txt", b"old")
    fail()
    assert storage.child("mine").read("notes.txt") == b"old"


@pytest.mark.parametrize("file", ["confirm.jsonl", "checkpoints/trial-0001.pt"])
def test_results_of_a_sweep_whose_ledger_is_gone_are_not_continued(file, tmp_path):
    storage = LocalFolder(tmp_path)
    storage.child("mine").write(file, b"{}\n")
    with pytest.raises(UsageError, match="ledger is gone; .* delete that folder"):
        new_folder(storage, "mine", SweepConfig()).__enter__()


def test_storage_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "mine" / "config.yaml").mkdir(parents=True)
    with pytest.raises(StorageError, match="^cannot write to .*/mine: Is a directory; "):
        new_folder(LocalFolder(tmp_path), "mine", SweepConfig()).__enter__()
