"""Batches of images and labels, cut from tensors that stay on one device."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from data_utils.augment import augment
from data_utils.dataset import MEAN, STD, ImageDataset

Batch = tuple[Tensor, Tensor]

# Images augmented in one go: more than a batch of 64, for fewer calls; 1,024 leave the cache.
_CHUNK = 256


@dataclass(frozen=True)
class DeviceImages:
    """A dataset's tensors on one device.

    Attributes:
        images: uint8 [n, 28, 28]. On a CPU it shares its memory with the dataset: never write.
        labels: int64 [n].
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def to_device(dataset: ImageDataset, device: torch.device | str) -> DeviceImages:
    """Put a dataset on a device, without a copy where that is the CPU (labels apart)."""
    images = _as_tensor(dataset.images).to(device)
    return DeviceImages(images, _as_tensor(dataset.labels).to(device, torch.int64))


def training_batches(
    data: DeviceImages, *, batch_size: int, rotation: float, shift: float, generator: Generator
) -> Iterator[Batch]:
    """Yield every image once, shuffled, augmented and normalised.

    Args:
        data: On the generator's device.
        batch_size: Images a batch; the last one has what is left.
        rotation: Largest angle in degrees; drawn uniformly from ±.
        shift: Largest translation as a fraction of the side, each axis; drawn uniformly from ±.
        generator: Shuffles and augments.

    Yields:
        Images [n, 1, 28, 28] and labels [n].
    """
    order = torch.randperm(len(data), generator=generator, device=generator.device)
    for indices in torch.split(order, max(1, _CHUNK // batch_size) * batch_size):
        # index_select copies whole images; indexing with brackets takes ten times as long.
        pixels = data.images.index_select(0, indices).unsqueeze(1).float()
        pixels = augment(pixels, rotation=rotation, shift=shift, generator=generator)
        images, labels = normalise(pixels), data.labels.index_select(0, indices)
        yield from _split(images, labels, batch_size)


def evaluation_batches(data: DeviceImages, *, batch_size: int = 128) -> Iterator[Batch]:
    """Yield every image once, in order, normalised and never augmented.

    LeNet-5 evaluates fastest on a CPU core in batches of 64 to 256; 1,024 take 30 % longer.

    Yields:
        Images [n, 1, 28, 28] and labels [n]; the last batch has what is left.
    """
    for pixels, labels in _split(data.images, data.labels, batch_size):
        yield normalise(pixels.unsqueeze(1).float()), labels


def normalise(pixels: Tensor) -> Tensor:
    """Turn pixels, from 0 to 255 as float, into what the networks take: mean 0, deviation 1."""
    offset = torch.tensor(-MEAN / STD, device=pixels.device)
    return torch.add(offset, pixels, alpha=1 / (255 * STD))


def _split(images: Tensor, labels: Tensor, batch_size: int) -> Iterator[Batch]:
    return zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True)


def _as_tensor(array: NDArray[np.uint8]) -> Tensor:
    """Wrap an array without copying it."""
    with warnings.catch_warnings():
        # Arrays from shared memory are read-only; nothing here writes to the tensor.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
