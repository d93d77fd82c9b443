"""Predictions of a confirmation's runs for the test images: npz files without pickles."""

import io
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.errors import StorageError
from analysis.records.files import predictions_name, run_name
from analysis.storage.folder import Folder

_IMAGES_FILE = predictions_name("images")


@dataclass(frozen=True)
class Predictions:
    """One run's predictions for the n test images.

    Attributes:
        predicted: Positions of classes, uint8 or uint16 [n].
        confidence: Probabilities of these classes, in [0, 1], float16 or float32 [n].
        labels: The true classes, as `predicted`.
    """

    predicted: NDArray[np.uint8 | np.uint16]
    confidence: NDArray[np.floating[Any]]
    labels: NDArray[np.uint8 | np.uint16]

    def __post_init__(self) -> None:
        classes = all(a.dtype.kind == "u" and a.ndim == 1 for a in (self.predicted, self.labels))
        sizes = {self.predicted.shape, self.confidence.shape, self.labels.shape}
        if not classes or len(sizes) > 1 or self.confidence.dtype.kind != "f":
            raise ValueError("arrays of unexpected shape or type")

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which images were classified correctly, bool [n]."""
        correct: NDArray[np.bool_] = self.predicted == self.labels
        return correct


@dataclass(frozen=True)
class ShownImages:
    """The test images that plots show.

    Attributes:
        indices: Their positions among the test images, int32 [k].
        images: Their pixels, uint8 [k, side, side] or, in color, [k, 3, side, side].
    """

    indices: NDArray[np.int32]
    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        types = self.indices.dtype.kind == "i" and self.images.dtype == np.uint8
        shape = self.images.shape
        is_image = len(shape) in (3, 4) and shape[0] == len(self.indices)
        if not types or not is_image or shape[-1] != shape[-2] or shape[1:-2] not in ((), (3,)):
            raise ValueError("arrays of unexpected shape or type")

    @classmethod
    def none(cls) -> Self:
        """Return an empty set of images."""
        return cls(np.empty(0, np.int32), np.empty((0, 28, 28), np.uint8))


T = TypeVar("T", Predictions, ShownImages)


def save_predictions(folder: Folder, arm: str, seed: int, predictions: Predictions) -> None:
    """Write the predictions of one run."""
    _save(folder, predictions_name(run_name(arm, seed)), predictions)


def load_predictions(folder: Folder, arm: str, seed: int, accuracy: float) -> Predictions | None:
    """Read the predictions of the run that reached a test accuracy.

    None if they are missing, damaged, or of another accuracy: those of another network, or of one
    that draws in evaluation, too.
    """
    found = _load(folder, predictions_name(run_name(arm, seed)), Predictions)
    if found is None or abs(found.correct.sum() - accuracy * len(found.labels)) > 0.5:
        return None
    return found


def save_images(folder: Folder, images: ShownImages) -> None:
    """Write the test images that plots show."""
    _save(folder, _IMAGES_FILE, images)


def load_images(folder: Folder) -> ShownImages:
    """Read the test images that plots show; none if the file is missing or damaged."""
    return _load(folder, _IMAGES_FILE, ShownImages) or ShownImages.none()


def _save(folder: Folder, name: str, arrays: Predictions | ShownImages) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{f.name: getattr(arrays, f.name) for f in fields(arrays)})
    folder.write(name, buffer.getvalue())


def _load(folder: Folder, name: str, kind: type[T]) -> T | None:
    try:
        data = folder.read(name)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return kind(**{f.name: arrays[f.name] for f in fields(kind)})
    except StorageError:
        raise
    except Exception:  # zipfile, zlib and NumPy have a dozen kinds for damaged bytes
        return None
