"""Labeled images in memory, and their split into training and validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils.errors import DataError

MEAN = 0.1307
"""Mean pixel of the 60,000 training images, on the scale [0, 1]."""
STD = 0.3081
"""Standard deviation of the pixels of the 60,000 training images, on the scale [0, 1]."""

SIDE = 28
N_CLASSES = 10


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Gray images of digits with labels: a map-style dataset over two arrays.

    The arrays are not copied, and can be read-only.

    Attributes:
        images: uint8 pixels, shape [n, 28, 28].
        labels: uint8 digits, 0 to 9, shape [n].

    Raises:
        DataError: An array has another type or shape, or a label is above 9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shapes = {"images": (len(self.images), SIDE, SIDE), "labels": (len(self.images),)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.dtype != np.uint8:
                raise DataError(f"`{name}` must be of type uint8, but got {array.dtype}")
            if array.shape != shape:
                wanted, got = list(shape), list(array.shape)
                raise DataError(f"`{name}` must have the shape {wanted}, but got {got}")
        if self.labels.max(initial=0) >= N_CLASSES:
            raise DataError(f"`labels` must be between 0 and 9, but got {self.labels.max()}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        # A copy, because torch warns when it wraps a read-only array.
        return self.images[index].copy(), int(self.labels[index])

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> "ImageDataset":
        """Copy the images at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.intp)
        return ImageDataset(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True, eq=False)
class TrainTest:
    """A complete dataset.

    Attributes:
        train: Images to learn from, from which validation images are split off.
        test: Images that only the final comparison uses.
    """

    train: ImageDataset
    test: ImageDataset


def split_train_validation(
    dataset: ImageDataset, n_validation: int, seed: int
) -> tuple[ImageDataset, ImageDataset]:
    """Split into a training set and a stratified validation set.

    Each class has the same share of the validation set as of `dataset`, rounded by largest
    remainder (ties go to the lower class). So the class counts depend only on the labels; `seed`
    draws which images of a class go where. Both parts keep the order of `dataset`. Every image
    is in exactly one of them.

    Args:
        dataset: n images.
        n_validation: Images in the validation set, 1 to n - 1.
        seed: Seed of the draw, at least 0.

    Returns:
        The training set and the validation set.

    Raises:
        DataError: `n_validation` or `seed` is out of range.
    """
    if not 1 <= n_validation < len(dataset):
        raise DataError(
            f"`n_validation` must be between 1 and {len(dataset) - 1} "
            f"for a dataset of {len(dataset):,} images, but got {n_validation}"
        )
    if seed < 0:
        raise DataError(f"`seed` must be at least 0, but got {seed}")
    generator = np.random.default_rng(seed)
    held_out = np.zeros(len(dataset), dtype=np.bool)
    for digit, n in enumerate(_quotas(dataset.labels, n_validation)):
        of_class = np.flatnonzero(dataset.labels == digit)
        held_out[generator.permutation(of_class)[:n]] = True
    return dataset.take(np.flatnonzero(~held_out)), dataset.take(np.flatnonzero(held_out))


def _quotas(labels: NDArray[np.uint8], n_total: int) -> NDArray[np.int64]:
    """Return each class's number of images among `n_total`, in integers, by largest remainder."""
    counts = np.bincount(labels, minlength=N_CLASSES).astype(np.int64)
    quotas, remainders = np.divmod(counts * n_total, len(labels))
    by_remainder = np.argsort(-remainders, kind="stable")
    quotas[by_remainder[: n_total - quotas.sum()]] += 1
    return quotas
