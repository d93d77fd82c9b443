"""Batches of images and labels, from tensors that stay on one device."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from data_utils.augment import augment
from data_utils.dataset import DatasetSpec, ImageDataset

Batch = tuple[Tensor, Tensor]

# Images augmented at once: several small batches need fewer calls, but 1,024 exceed the cache.
_CHUNK = 256


@dataclass(frozen=True)
class DeviceImages:
    """A dataset's tensors on one device.

    Attributes:
        images: uint8 [n, channels, side, side]. On a CPU they share memory with the dataset:
            never write.
        labels: int64 [n].
    """

    images: Tensor
    labels: Tensor
    spec: DatasetSpec

    def __len__(self) -> int:
        return len(self.labels)


def to_device(dataset: ImageDataset, device: torch.device | str) -> DeviceImages:
    """Move a dataset to a device; on the CPU the images are not copied."""
    spec = dataset.spec
    with warnings.catch_warnings():
        # Arrays from shared memory are read-only; nothing here writes to the tensor.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        images = torch.from_numpy(dataset.images).to(device)
    images = images.view(-1, spec.channels, spec.side, spec.side)
    labels = torch.from_numpy(dataset.labels.astype(np.int64)).to(device)
    return DeviceImages(images, labels, spec)


def training_batches(
    data: DeviceImages, *, batch_size: int, generator: Generator, **amounts: float
) -> Iterator[Batch]:
    """Yield every image once, shuffled, augmented by the amounts of `augment`, and normalized.

    The data is on the device of `generator`, which shuffles and augments.

    Yields:
        Images [n, channels, side, side] and labels [n]; the last batch can be smaller.
    """
    order = torch.randperm(len(data), generator=generator, device=generator.device)
    for indices in torch.split(order, max(1, _CHUNK // batch_size) * batch_size):
        # index_select is ten times as fast as indexing with brackets.
        pixels = data.images.index_select(0, indices).float()
        pixels = augment(pixels, generator=generator, **amounts)
        images = normalize(pixels, data.spec.mean, data.spec.std)
        labels = data.labels.index_select(0, indices)
        yield from _split(images, labels, batch_size)


def evaluation_batches(data: DeviceImages, *, batch_size: int = 128) -> Iterator[Batch]:
    """Yield every image once, in order, normalized but not augmented.

    On a CPU core LeNet-5 is fastest in batches of 64 to 256; batches of 1,024 take 30 % longer.

    Yields:
        Images [n, channels, side, side] and labels [n]; the last batch can be smaller.
    """
    for pixels, labels in _split(data.images, data.labels, batch_size):
        yield normalize(pixels.float(), data.spec.mean, data.spec.std), labels


def normalize(pixels: Tensor, mean: float, std: float) -> Tensor:
    """Scale float pixels, 0 to 255, to mean 0 and standard deviation 1."""
    offset = torch.tensor(-mean / std, device=pixels.device)
    return torch.add(offset, pixels, alpha=1 / (255 * std))


def _split(images: Tensor, labels: Tensor, batch_size: int) -> Iterator[Batch]:
    return zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True)
