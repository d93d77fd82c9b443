"""The data sets by name. Importing this file does not import numpy."""

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_utils.dataset import TrainTest

DATASETS = {"mnist": "data_utils.mnist:load_mnist"}
"""Name in a config → "module:function", which is called as `load_dataset` is, without the name."""


def load_dataset(name: str, folder: Path | None = None, **options: Any) -> "TrainTest":
    """Load a data set.

    Args:
        name: A key of `DATASETS`.
        folder: Holds its files. None: a folder in the user's cache.
        options: `create`, `notify` and `on_bytes`, as `load_mnist` has them.

    Raises:
        DataError: The data set cannot be loaded; the text says what to do.
    """
    data: TrainTest = resolve_name(DATASETS[name])(folder, **options)
    return data
