import secrets
from pathlib import Path

import pytest

from analysis.storage import lease
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from analysis.storage.object_store import StoreFolder, open_store


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


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder of either kind."""
    if request.param == "local":
        return LocalFolder(tmp_path / "storage")
    store: StoreFolder = request.getfixturevalue("store")
    return store
