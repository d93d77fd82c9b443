"""Labeled images in memory, and their split into training and validation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils import Split


@dataclass(frozen=True)
class DatasetSpec:
    """What the images of a dataset have in common; the defaults are MNIST's.

    Attributes:
        channels: 1 (gray) or 3 (red, green, blue).
        side: Height and width in pixels.
        classes: Names, in the order of the labels.
        mean: Mean pixel of the training images, on the scale [0, 1], over all channels.
        std: Standard deviation of these pixels.
        is_digits: Whether the images are digits, prepared as MNIST's.
    """

    channels: int = 1
    side: int = 28
    classes: tuple[str, ...] = tuple("0123456789")
    mean: float = 0.1307
    std: float = 0.3081
    is_digits: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image: [side, side], or [3, side, side]."""
        return (self.side, self.side) if self.channels == 1 else (3, self.side, self.side)

    @property
    def network(self) -> dict[str, int]:
        """The arguments of a network's constructor."""
        return {"n_channels": self.channels, "side": self.side, "n_classes": len(self.classes)}


MNIST = DatasetSpec()


def describe_pixels(
    images: NDArray[np.uint8], classes: tuple[str, ...], *, is_digits: bool = False
) -> DatasetSpec:
    """Return what training images have in common, uint8 [n, side, side] or [n, 3, side, side]."""
    counts = np.zeros(256, np.int64)
    for part in np.array_split(images, 1 + images.size // 2**24):
        counts += np.bincount(part.reshape(-1), minlength=256)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    std = float(np.average((values - mean) ** 2, weights=counts) ** 0.5)
    channels, side = 3 if images.ndim == 4 else 1, images.shape[-1]
    return DatasetSpec(channels, side, classes, round(mean, 4), round(std, 4) or 1.0, is_digits)


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images with labels.

    The arrays are not copied, and can be read-only.

    Attributes:
        images: uint8 pixels, shape [n, *spec.shape].
        labels: Positions in `spec.classes`, uint8 or uint16, shape [n].
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8 | np.uint16]
    spec: DatasetSpec = MNIST

    def __post_init__(self) -> None:
        assert self.images.dtype == np.uint8
        assert self.labels.dtype in (np.uint8, np.uint16)
        assert self.images.shape == (len(self.labels), *self.spec.shape)
        assert self.labels.max(initial=0) < len(self.spec.classes)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> "ImageDataset":
        """Copy the images at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.intp)
        return ImageDataset(self.images[chosen], self.labels[chosen], self.spec)


@dataclass(frozen=True, eq=False)
class TrainTest:
    """A complete dataset.

    Attributes:
        train: With the images for validation.
        n_own_validation: How many of `train`, its last ones, the dataset itself sets aside for
            validation; 0 if it leaves that to `split`.
        known_fingerprint: What tells the data from other data; if empty, it is computed.
    """

    train: ImageDataset
    test: ImageDataset
    n_own_validation: int = 0
    known_fingerprint: str = ""

    @property
    def spec(self) -> DatasetSpec:
        """What all its images have in common."""
        return self.train.spec

    @property
    def n_validation(self) -> int:
        """How many of the training images are for validation: by default a sixth."""
        return self.n_own_validation or n_held_out(len(self.train))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all images, labels and class names."""
        if self.known_fingerprint:
            return self.known_fingerprint
        found = hashlib.sha256(repr((self.train.spec.classes, self.n_own_validation)).encode())
        for part in (self.train, self.test):
            found.update(str(part.images.shape).encode())
            found.update(np.ascontiguousarray(part.images).data)
            found.update(part.labels.astype("<u2").data)
        return found.hexdigest()

    def split(self, method: Split, seed: int) -> tuple[ImageDataset, ImageDataset]:
        """Return the images for training and for validation, in their order; see `held_out`."""
        if self.n_own_validation:
            chosen = np.arange(len(self.train)) >= len(self.train) - self.n_own_validation
        else:
            chosen = held_out(self.train.labels, self.n_validation, method, seed)
        return self.train.take(np.flatnonzero(~chosen)), self.train.take(np.flatnonzero(chosen))


def n_held_out(n: int) -> int:
    """Return how many of n images are held out by default: a sixth."""
    return max(1, n // 6)


def held_out(
    labels: NDArray[np.uint8 | np.uint16], n_validation: int, method: Split, seed: int
) -> NDArray[np.bool]:
    """Return which images are in a stratified validation set, bool [n].

    Each class has the same share of the validation set as of all images, rounded by largest
    remainder (ties go to the lower class). So the class counts depend only on the labels.

    The `method` `contiguous` takes images that follow one another in their class: with seed 0 the
    first ones, with seed 1 those after them, and so on, around the end, much like scikit-learn's
    `StratifiedKFold`. So images that belong together, such as those of one writer in MNIST, are
    nearly all on one side. `random` draws them one by one.
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=np.bool)
    for label, n in enumerate(_quotas(labels, n_validation)):
        of_class = np.flatnonzero(labels == label)
        if method == "random":
            ordered = generator.permutation(of_class)
        else:
            start = seed * n_validation % len(labels) * len(of_class) // len(labels)
            ordered = np.roll(of_class, -start)
        chosen[ordered[:n]] = True
    return chosen


def _quotas(labels: NDArray[np.uint8 | np.uint16], n_total: int) -> NDArray[np.int64]:
    """Return each class's number of images among `n_total`, in integers, by largest remainder."""
    counts = np.bincount(labels).astype(np.int64)
    quotas, remainders = np.divmod(counts * n_total, len(labels))
    by_remainder = np.argsort(-remainders, kind="stable")
    quotas[by_remainder[: n_total - quotas.sum()]] += 1
    return quotas
