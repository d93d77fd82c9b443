"""The datasets by name. Importing this file does not import numpy."""

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_utils.dataset import TrainTest
    from data_utils.sources import Progress

DATASETS = {"mnist": "data_utils.mnist:load_mnist"}
"""Name in a config → "module:function", called like `load_dataset`, without the name."""


def load_dataset(
    name: str, folder: Path | None, *, create: bool, progress: "Progress"
) -> "TrainTest":
    """Load a dataset as `load_mnist` does; `name` is a key of `DATASETS`.

    Raises:
        DataError: The dataset cannot be loaded; the message says what to do.
    """
    data: TrainTest = resolve_name(DATASETS[name])(folder, create=create, progress=progress)
    return data
