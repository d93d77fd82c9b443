import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest

import synthetic
from analysis.errors import InUseError, StorageError
from analysis.records.deletion import delete_sweep, linked_path
from analysis.records.files import LEDGER_FILE
from analysis.records.ledger import read_first_record
from analysis.storage import lease
from analysis.storage.folder import LOCK_FILE, Folder
from analysis.storage.local_folder import LocalFolder
from analysis.storage.object_store import open_store
from store_model import ModelFolder, Objects


@pytest.fixture(params=["disk", "model", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A sweep in each kind of storage."""
    storage: Folder = LocalFolder(tmp_path / "storage")
    if request.param == "model":
        storage = ModelFolder(PurePosixPath("bucket/storage"), "s3://bucket", objects=Objects())
    elif request.param == "s3":
        uri = request.getfixturevalue("s3")
        storage = open_store(uri.replace("@sweeps", f"@sweeps/{tmp_path.name}"))
    folder = storage.child("made")
    synthetic.write_search(folder, synthetic.Search(n_trials=2, name="made"))
    names = ("config.yaml", "environment.json", "report.html", "confirm.jsonl", "model.py")
    earlier = ("confirm-3-epochs-2.jsonl", "model-0a1b2c3d.py")
    unfinished = ".report.html-0123456789abcdef.part"
    folders = ("checkpoints/trial-0001.pt", "predictions/a.npz", "plots/b.png", "failures/c.txt")
    for name in (*names, *earlier, unfinished, *folders):
        folder.write(name, b"x")
    return folder


def test_nothing_is_left_of_a_sweep(folder):
    assert delete_sweep(folder) == []
    assert set(folder.files()) <= {LOCK_FILE}
    assert folder.folders() == []
    if isinstance(folder, LocalFolder):
        assert not folder.path.exists()


def test_other_files_are_kept(folder):
    for name in ("notes.txt", ".download.part", "mine/data.csv"):
        folder.write(name, b"mine")
    assert delete_sweep(folder) == ["mine", ".download.part", "notes.txt"]
    assert folder.read("notes.txt") == folder.read("mine/data.csv") == b"mine"
    assert not folder.exists(LEDGER_FILE)


def test_running_sweep_is_not_deleted(folder, monkeypatch):
    monkeypatch.setattr(lease, "_BEAT_S", 0.2)
    monkeypatch.setattr(lease, "_WATCH_S", 0.1)
    with folder.lock(), pytest.raises(InUseError, match="another process is working on"):
        delete_sweep(folder)
    assert read_first_record(folder) is not None
    assert folder.exists("checkpoints/trial-0001.pt")


def test_interrupted_deletion_leaves_no_sweep_and_can_be_repeated(folder, monkeypatch):
    delete, n_left = Folder.delete, 0

    def fail_after(self: Folder, name: str) -> None:
        nonlocal n_left
        if name in ("notes.txt", ".lock") or name.startswith(".conditions"):
            return delete(self, name)
        if n_left == 0:
            raise StorageError("the power is off")
        n_left -= 1
        return delete(self, name)

    for n_deletions in range(9):  # one more deletion each time
        with monkeypatch.context() as patch:
            n_left = n_deletions and 1
            patch.setattr(Folder, "delete", fail_after)
            with pytest.raises(StorageError, match="the power is off"):
                delete_sweep(folder)
        assert read_first_record(folder) is None
        assert folder.exists(LEDGER_FILE)
    assert delete_sweep(folder) == []
    assert not folder.exists(LEDGER_FILE)


def test_links_are_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.pt").write_bytes(b"x")
    folder = LocalFolder(tmp_path / "storage/made")
    synthetic.write_search(folder, synthetic.Search(n_trials=2, name="made"))
    (folder.path / "checkpoints").symlink_to(elsewhere)
    (folder.path / "config.yaml").symlink_to(elsewhere / "precious.pt")
    assert linked_path(folder) is None
    assert delete_sweep(folder) == ["checkpoints"]
    assert (elsewhere / "precious.pt").read_bytes() == b"x"

    (tmp_path / "storage/link").symlink_to(elsewhere)
    assert linked_path(LocalFolder(tmp_path / "storage/link")) == str(tmp_path / "storage/link")


def test_process_that_waited_for_the_lock_does_not_get_a_deleted_folder(tmp_path):
    folder = LocalFolder(tmp_path / "made")
    with ThreadPoolExecutor() as pool:
        with folder.lock():
            waiting = pool.submit(folder.lock().__enter__)
            time.sleep(0.1)  # until it has opened the lock's file
            folder.remove_if_empty()
        with pytest.raises(InUseError, match="has just been deleted"):
            waiting.result()
