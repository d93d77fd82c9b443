import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes share the cores
os.environ.setdefault("RAY_worker_niceness", "0")  # else tests that compute starve trainings

import sweep.tuning  # noqa: F401  # makes the settings that Ray reads when it is imported
import synthetic
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import TrainTest
from data_utils.mnist import load_mnist
from s3_server import s3_server


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run those that start Ray one after the other, from the first; others by file.

    Ray gives up if its start takes 30 s. Each long test goes where there is room.
    """
    for item in items:
        if not (item.get_closest_marker("long") or item.get_closest_marker("xdist_group")):
            starts_ray = {"ray_scratch", "start_driver"} & {*getattr(item, "fixturenames", ())}
            item.add_marker(pytest.mark.xdist_group("ray" if starts_ray else str(item.path)))
    items.sort(key=lambda item: ("ray",) not in [m.args for m in item.iter_markers("xdist_group")])


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path)


@pytest.fixture
def add_sweep(tmp_path: Path) -> Callable[..., LocalFolder]:
    """Writes a sweep that never ran into `storage` in `tmp_path`; takes what `Search` takes."""

    def add(name: str = "synthetic", **search: Any) -> LocalFolder:
        folder = LocalFolder(tmp_path / "storage" / name)
        synthetic.write_search(folder, synthetic.Search(name=name, **search))
        return folder

    return add


@pytest.fixture(scope="session")
def mnist() -> TrainTest:
    """The real dataset, from the user's cache; fetched if it is not there."""
    return load_mnist()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URI of a bucket on an S3 server on this machine."""
    with s3_server() as uri:
        yield uri
