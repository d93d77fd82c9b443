"""What the runs of a confirmation predicted for the test images: npz files, no pickles."""

import io
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.errors import LedgerError
from analysis.records.files import run_name
from analysis.storage.folder import Folder

PREDICTIONS_FOLDER = "predictions"
_IMAGES_FILE = f"{PREDICTIONS_FOLDER}/images.npz"


@dataclass(frozen=True)
class Predictions:
    """One run's predictions for the n test images.

    Attributes:
        predicted: Digits, uint8 [n].
        confidence: Probabilities of these digits, in [0, 1], float16 or float32 [n].
        labels: The true digits, uint8 [n].
    """

    predicted: NDArray[np.uint8]
    confidence: NDArray[np.floating[Any]]
    labels: NDArray[np.uint8]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which images were recognised, bool [n]."""
        correct: NDArray[np.bool_] = self.predicted == self.labels
        return correct

    def are_whole(self) -> bool:
        """Tells whether the arrays are of the shapes and kinds above."""
        digits = all(a.dtype == np.uint8 and a.ndim == 1 for a in (self.predicted, self.labels))
        sizes = {self.predicted.shape, self.confidence.shape, self.labels.shape}
        return digits and len(sizes) == 1 and self.confidence.dtype.kind == "f"


@dataclass(frozen=True)
class ShownImages:
    """Those test images that pictures show.

    Attributes:
        indices: Their positions among the test images, int32 [k].
        images: Their pixels, uint8 [k, 28, 28].
    """

    indices: NDArray[np.int32]
    images: NDArray[np.uint8]

    @classmethod
    def none(cls) -> Self:
        """Returns no images at all."""
        return cls(np.empty(0, np.int32), np.empty((0, 28, 28), np.uint8))

    def are_whole(self) -> bool:
        """Tells whether the arrays are of the shapes and kinds above."""
        return (
            self.indices.dtype.kind == "i"
            and self.images.dtype == np.uint8
            and self.images.shape == (*self.indices.shape, 28, 28)
        )


T = TypeVar("T", Predictions, ShownImages)


def save_predictions(folder: Folder, arm: str, seed: int, predictions: Predictions) -> None:
    """Writes one run's predictions."""
    _save(folder, _run_file(arm, seed), predictions)


def load_predictions(folder: Folder, arm: str, seed: int) -> Predictions | None:
    """Reads one run's predictions; None if there are none.

    Raises:
        LedgerError: If the file is damaged.
    """
    return _load(folder, _run_file(arm, seed), Predictions)


def save_images(folder: Folder, images: ShownImages) -> None:
    """Writes the test images that pictures show."""
    _save(folder, _IMAGES_FILE, images)


def load_images(folder: Folder) -> ShownImages:
    """Reads the test images that pictures show; none if there is no such file.

    Raises:
        LedgerError: If the file is damaged.
    """
    return _load(folder, _IMAGES_FILE, ShownImages) or ShownImages.none()


def _run_file(arm: str, seed: int) -> str:
    return f"{PREDICTIONS_FOLDER}/{run_name(arm, seed)}.npz"


def _save(folder: Folder, name: str, arrays: Predictions | ShownImages) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{f.name: getattr(arrays, f.name) for f in fields(arrays)})
    folder.write(name, buffer.getvalue())


def _load(folder: Folder, name: str, kind: type[T]) -> T | None:
    try:
        data = folder.read(name)
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            loaded = kind(**{f.name: arrays[f.name] for f in fields(kind)})
    # zipfile, zlib and NumPy have a dozen kinds of error between them for damaged bytes.
    except Exception as error:
        raise LedgerError(f"{folder.display_path(name)} is damaged ({error})") from error
    if not loaded.are_whole():
        raise LedgerError(f"{folder.display_path(name)} does not hold what it should")
    return loaded
