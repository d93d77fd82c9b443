from collections.abc import Callable
from typing import Any

import pytest

import synthetic
from analysis.records.ledger import read_ledger
from analysis.storage.folder import Folder


@pytest.fixture
def confirmed_folder(add_sweep: Callable[..., Folder]) -> Callable[..., Folder]:
    """Makes a confirmed sweep; takes a search and options of `write_confirmed`."""

    def make(search: dict[str, Any] | None = None, **confirming: Any) -> Folder:
        folder = add_sweep(**(search or {}))
        synthetic.write_confirmed(folder, read_ledger(folder), **confirming)
        return folder

    return make
