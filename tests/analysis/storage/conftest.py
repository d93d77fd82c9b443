import os
import secrets
from pathlib import Path, PurePosixPath

import pytest

from analysis.storage import lease
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from analysis.storage.object_store import StoreFolder, open_store
from store_model import ModelFolder, Objects


@pytest.fixture
def store(s3: str) -> StoreFolder:
    """A folder of the test's own in a real S3 server."""
    return open_store(s3.replace("@sweeps", f"@sweeps/{secrets.token_hex(4)}"))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lock in a store become stale soon; a store tells times in whole seconds."""
    monkeypatch.setattr(lease, "_BEAT_S", 0.2)
    monkeypatch.setattr(lease, "_UNSURE_S", 0.4)
    monkeypatch.setattr(lease, "_WATCH_S", 0.1)
    monkeypatch.setattr(lease, "_STALE_S", 2.5)


def _disk(request: pytest.FixtureRequest) -> tuple[Folder, Folder]:
    folder = LocalFolder(request.getfixturevalue("tmp_path") / "storage")
    return folder, folder


def _shared(request: pytest.FixtureRequest) -> tuple[Folder, Folder]:
    """One directory under two paths, as two machines may have it."""
    directory: Path = request.getfixturevalue("tmp_path") / "storage"
    directory.mkdir()
    elsewhere = directory.with_name("elsewhere")
    elsewhere.symlink_to(directory)
    return LocalFolder(directory), LocalFolder(elsewhere)


def _s3(request: pytest.FixtureRequest) -> tuple[Folder, Folder]:
    store: StoreFolder = request.getfixturevalue("store")
    return store, open_store(f"{store.uri}&region=us-east-1")  # another connection


def _model(request: pytest.FixtureRequest) -> tuple[Folder, Folder]:
    path, objects = PurePosixPath("bucket/storage"), Objects()
    folder, elsewhere = (ModelFolder(path, "s3://bucket", objects=objects) for _ in range(2))
    return folder, elsewhere


def _given(request: pytest.FixtureRequest) -> tuple[Folder, Folder]:
    name = secrets.token_hex(4)
    return tuple(open_store(os.environ["STORAGE"]).child(name) for _ in range(2))


STORAGES = {"disk": _disk, "shared": _shared, "s3": _s3, "model": _model}
"""What `test_folder.py` tests: makers of an empty folder, and of the same one elsewhere.

A store that the tests cannot start is in `$STORAGE`, such as `az://CONTAINER/tests`.
"""
if "STORAGE" in os.environ:
    STORAGES["given"] = _given


@pytest.fixture(params=STORAGES)
def storages(request: pytest.FixtureRequest) -> tuple[Folder, Folder]:
    """An empty folder of each kind, and the same folder as another machine has it."""
    return STORAGES[request.param](request)


@pytest.fixture
def storage(storages: tuple[Folder, Folder]) -> Folder:
    """An empty folder of each kind."""
    return storages[0]


@pytest.fixture
def elsewhere(storages: tuple[Folder, Folder]) -> Folder:
    """The folder `storage`, as another machine has it."""
    return storages[1]
