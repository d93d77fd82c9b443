"""The datasets by name. Importing this file does not import numpy."""

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from data_utils import DEFAULT_SPLIT, Split
from data_utils.errors import DataError

if TYPE_CHECKING:
    from data_utils.dataset import TrainTest
    from data_utils.sources import Progress

DATASETS = {
    "mnist": "data_utils.mnist:load_mnist",
    "fashion-mnist": "torchvision.datasets:FashionMNIST",
    "kmnist": "torchvision.datasets:KMNIST",
    "qmnist": "torchvision.datasets:QMNIST",
}
"""Name in a config → "module:function", called like `load_mnist`.

A class of torchvision's, for data in MNIST's format, stands for its files and checksums.
"""


def is_path(dataset: str) -> bool:
    """Return whether a config's dataset is a path: `.`, `..`, `~`, with a slash, or an `.npz`."""
    is_folder = dataset in (".", "..", "~") or "/" in dataset
    return dataset not in DATASETS and (is_folder or _is_npz(dataset))


def load_dataset(
    name: str,
    folder: Path | None,
    *,
    create: bool,
    progress: "Progress",
    may_fetch: bool = True,
    split: Split = DEFAULT_SPLIT,
) -> "TrainTest":
    """Load a dataset as `load_mnist` does; `name` is a key of `DATASETS`, or a path.

    A given `folder` must exist, unless `create` is set. Without `may_fetch` nothing is fetched or
    written. Of own data without test images, `split` chooses some. Raises DataError as
    `load_mnist` does.
    """
    if is_path(name):
        from data_utils.own_images import load_folder, load_npz

        return (load_npz if _is_npz(name) else load_folder)(Path(name), progress, split)
    if folder is not None and not create:
        _check_exists(folder, name)
    module, _, kind = DATASETS[name].partition(":")
    if module == "torchvision.datasets":
        from data_utils.mnist import load_like_mnist

        return load_like_mnist(name, kind, folder, progress=progress, may_fetch=may_fetch)
    load = resolve_name(DATASETS[name])
    data: TrainTest = load(folder, progress=progress, may_fetch=may_fetch)
    return data


def _check_exists(folder: Path, name: str) -> None:
    try:
        if folder.exists():
            return
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}). Choose another with --data."
        ) from error
    command = f"sweep data --dataset {name} --data {folder}"
    raise DataError(f"{folder} does not exist. Create it and download {name}: `{command}`.")


def _is_npz(dataset: str) -> bool:
    return dataset.lower().endswith(".npz")
