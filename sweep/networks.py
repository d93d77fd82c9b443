"""The user's own network of a sweep: its text beside the ledger, and its check."""

import errno
import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from analysis.errors import StorageError
from analysis.hyperparameters import own_arguments
from analysis.records.dataset import DataRecord
from analysis.records.files import MODEL_FILE, earlier_model_name
from analysis.storage.folder import Folder
from models import own
from sweep.config import SweepConfig
from sweep.config.dimensions import Choices

if TYPE_CHECKING:
    from data_utils.dataset import DatasetSpec


def keep_network(locked: Folder, model: str) -> None:
    """Write the text of an own network to `model.py`; that of an earlier one gets another name."""
    if not own.is_own(model):
        return
    text = own.source_of(model)
    if locked.exists(MODEL_FILE) and (earlier := locked.read(MODEL_FILE)) != text:
        locked.write(earlier_model_name(hashlib.sha256(earlier).hexdigest()), earlier)
    locked.write(MODEL_FILE, text)


def load_network(folder: Folder, model: str) -> None:
    """Read the text of an own network from a sweep's folder, unless it is known; it does not run.

    Raises:
        StorageError: It is missing, or is not the text that the ledger names.
    """
    if not own.is_own(model) or own.is_registered(model):
        return
    digest = own.source_hash(model)
    for file in (MODEL_FILE, earlier_model_name(digest)):
        if folder.exists(file):
            text = folder.read(file)
            if hashlib.sha256(text).hexdigest() == digest:
                own.register(text)
                return
    path = folder.display_path(MODEL_FILE)
    reason = f"it is not the network that the sweep was trained with (SHA-256 {digest[:8]}…)"
    if not folder.exists(MODEL_FILE):
        reason = "the network that the sweep was trained with is missing"
    raise StorageError(errno.EINVAL, f"{reason}; restore that file", path)


def spec_of(data: DataRecord) -> "DatasetSpec":
    """Return what the images of a recorded dataset have in common."""
    from data_utils.dataset import DatasetSpec

    return DatasetSpec(**{f.name: getattr(data, f.name) for f in fields(DatasetSpec)})


def initial_points(config: SweepConfig) -> list[dict[str, Any]]:
    """Return a config's initial points, with the defaults of an own network's arguments."""
    defaults = own.defaults_of(config.model) if own.is_own(config.model) else {}
    searched = {
        name: default
        for argument, default in defaults.items()
        if (dimension := config.space.get(name := f"model.{argument}"))
        and dimension.why_invalid(default) is None
    }
    return [{**searched, **point} for point in config.initial_points]


def check_network(config: SweepConfig, spec: "DatasetSpec") -> None:
    """Raise NetworkError if an own network cannot be trained on data of this shape."""
    if not own.is_own(config.model):
        return
    tried = {name: [value] for name, value in config.recipe.items()}
    for name, dimension in config.space.items():
        if isinstance(dimension, Choices):
            tried[name] = list(dimension.choices)
        else:
            tried[name] = [dimension.low, dimension.high]
    arguments = own_arguments(tried) | {"dropout": tried["dropout"]}
    smallest = min(3, *map(int, tried["batch_size"]))
    own.check(config.model, spec.network, arguments, n_images=smallest)
