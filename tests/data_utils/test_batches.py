import numpy as np
import pytest
import torch
from torch import Generator

from data_utils.batches import (
    DeviceImages,
    evaluation_batches,
    normalize,
    to_device,
    training_batches,
)
from data_utils.dataset import MNIST, DatasetSpec, ImageDataset


def _dataset(n: int) -> ImageDataset:
    """Images whose first two pixels are their number."""
    images = np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(n), 256)
    images.setflags(write=False)
    return ImageDataset(images, (np.arange(n) % 10).astype(np.uint8))


def _denormalized(images: torch.Tensor) -> torch.Tensor:
    return ((images * MNIST.std + MNIST.mean) * 255).round().to(torch.uint8).squeeze(1)


def _plain_batches(data: DeviceImages, batch_size: int, seed: int):
    generator = Generator().manual_seed(seed)
    return list(
        training_batches(data, batch_size=batch_size, rotation=0.0, shift=0.0, generator=generator)
    )


def test_to_device_shares_the_memory_of_read_only_arrays():
    dataset = _dataset(3)
    data = to_device(dataset, "cpu")
    assert data.images.data_ptr() == dataset.images.ctypes.data
    assert data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64
    assert data.labels.tolist() == dataset.labels.tolist()


@pytest.mark.parametrize("batch_size", [7, 64, 600, 900])
def test_training_batches_yield_every_image_once_with_its_label(batch_size):
    n = 600  # more than are augmented at once
    dataset = _dataset(n)
    batches = _plain_batches(to_device(dataset, "cpu"), batch_size, seed=1)
    sizes = [len(labels) for _, labels in batches]
    full, rest = divmod(n, batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0)
    images = _denormalized(torch.cat([images for images, _ in batches])).numpy()
    labels = torch.cat([labels for _, labels in batches]).numpy()
    indices = images[:, 0, 0].astype(int) * 256 + images[:, 0, 1]
    assert sorted(indices) == list(range(n))
    assert list(indices) != list(range(n))
    np.testing.assert_array_equal(images, dataset.images[indices])
    np.testing.assert_array_equal(labels, dataset.labels[indices])


def test_training_batches_repeat_a_seed():
    data = to_device(_dataset(100), "cpu")
    first, again, other = (_plain_batches(data, 100, seed)[0][1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_batches_fill_with_the_normalized_background():
    dataset = ImageDataset(np.full((200, 28, 28), 255, np.uint8), np.zeros(200, np.uint8))
    data, generator = to_device(dataset, "cpu"), Generator().manual_seed(1)
    batches = training_batches(data, batch_size=64, rotation=20, shift=0.1, generator=generator)
    pixels = torch.cat([images for images, _ in batches])
    background, foreground = normalize(torch.tensor([0.0, 255.0]), MNIST.mean, MNIST.std)
    assert pixels.amin() == background
    assert pixels.amax().item() == pytest.approx(foreground.item(), abs=1e-4)


@pytest.mark.parametrize("batch_size", [3, 256])
def test_evaluation_batches_keep_the_order_and_the_pixels(batch_size):
    dataset = _dataset(700)
    batches = list(evaluation_batches(to_device(dataset, "cpu"), batch_size=batch_size))
    assert {len(labels) for _, labels in batches[:-1]} == {batch_size}
    images = torch.cat([images for images, _ in batches])
    assert images.shape == (700, 1, 28, 28)
    np.testing.assert_array_equal(_denormalized(images).numpy(), dataset.images)
    assert torch.cat([labels for _, labels in batches]).tolist() == dataset.labels.tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_batches_live_on_cuda():
    data, generator = to_device(_dataset(100), "cuda"), Generator("cuda").manual_seed(1)
    batches = training_batches(data, batch_size=64, rotation=10, shift=0.1, generator=generator)
    assert all(images.is_cuda and labels.is_cuda for images, labels in batches)


def test_batches_of_color_images_have_their_channels_and_their_own_scale():
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    spec = DatasetSpec(channels=3, side=32, classes=("a", "b"), mean=0.5, std=0.25)
    data = to_device(ImageDataset(images, np.zeros(6, np.uint16), spec), "cpu")
    ((batch, labels),) = evaluation_batches(data)
    assert labels.tolist() == [0] * 6
    np.testing.assert_allclose(batch, (images / 255 - 0.5) / 0.25, atol=1e-5)
    generator = Generator().manual_seed(1)
    batches = training_batches(data, batch_size=4, rotation=10, shift=0.1, generator=generator)
    assert [images.shape for images, _ in batches] == [(4, 3, 32, 32), (2, 3, 32, 32)]
