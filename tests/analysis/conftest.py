from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from analysis.records.ledger import read_ledger
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path)


@pytest.fixture
def search_folder(tmp_path: Path, synthetic: ModuleType) -> Callable[..., Folder]:
    """Makes a searched sweep; takes what `synthetic.Search` takes."""

    def make(**search: Any) -> Folder:
        made = synthetic.Search(**search)
        folder = LocalFolder(tmp_path / made.name)
        synthetic.write_search(folder, made)
        return folder

    return make


@pytest.fixture
def confirmed_folder(
    search_folder: Callable[..., Folder], synthetic: ModuleType
) -> Callable[..., Folder]:
    """Makes a confirmed sweep; takes a search and options of `write_confirmed`."""

    def make(search: dict[str, Any] | None = None, **confirming: Any) -> Folder:
        folder = search_folder(**(search or {}))
        synthetic.write_confirmed(folder, read_ledger(folder), **confirming)
        return folder

    return make
