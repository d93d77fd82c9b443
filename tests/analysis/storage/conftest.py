import secrets
from pathlib import Path

import pytest

from analysis.storage.folder import Folder, LocalFolder
from analysis.storage.object_store import StoreFolder, open_store


@pytest.fixture
def store(s3: str) -> StoreFolder:
    """A folder of the test's own in a real S3 server."""
    return open_store(s3.replace("@sweeps", f"@sweeps/{secrets.token_hex(4)}"))


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder of either kind."""
    if request.param == "local":
        return LocalFolder(tmp_path / "storage")
    store: StoreFolder = request.getfixturevalue("store")
    return store
