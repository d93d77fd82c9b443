import numpy as np
import pytest
import torch
from torch import Generator

from data_utils.batches import (
    DeviceImages,
    evaluation_batches,
    normalise,
    to_device,
    training_batches,
)
from data_utils.dataset import MEAN, STD, ImageDataset


def _dataset(n: int) -> ImageDataset:
    """Images that are told apart by their first two pixels."""
    images = np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(n), 256)
    images.setflags(write=False)
    return ImageDataset(images, (np.arange(n) % 10).astype(np.uint8))


def _denormalised(images: torch.Tensor) -> torch.Tensor:
    return ((images * STD + MEAN) * 255).round().to(torch.uint8).squeeze(1)


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


def test_normalise_takes_the_mean_and_the_deviation_off():
    pixels = torch.arange(256.0)
    expected = (pixels.double() / 255 - MEAN) / STD
    torch.testing.assert_close(normalise(pixels).double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 3000, 5000])
def test_training_batches_yield_every_image_once_with_its_label(batch_size: int):
    n = 3000
    dataset = _dataset(n)
    batches = _plain_batches(to_device(dataset, "cpu"), batch_size, seed=1)
    sizes = [len(labels) for _, labels in batches]
    full, rest = divmod(n, batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0)
    images = _denormalised(torch.cat([images for images, _ in batches])).numpy()
    labels = torch.cat([labels for _, labels in batches]).numpy()
    indices = images[:, 0, 0].astype(int) * 256 + images[:, 0, 1]
    assert sorted(indices) == list(range(n))
    assert list(indices) != list(range(n))
    np.testing.assert_array_equal(images, dataset.images[indices])
    np.testing.assert_array_equal(labels, dataset.labels[indices])


def test_training_batches_shuffle_by_the_generator():
    data = to_device(_dataset(500), "cpu")
    orders = [
        torch.cat([labels for _, labels in _plain_batches(data, 64, seed)]) for seed in (1, 1, 2)
    ]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_training_batches_fill_with_the_normalised_background():
    dataset = ImageDataset(np.full((200, 28, 28), 255, np.uint8), np.zeros(200, np.uint8))
    batches = training_batches(
        to_device(dataset, "cpu"),
        batch_size=64,
        rotation=20.0,
        shift=0.1,
        generator=Generator().manual_seed(1),
    )
    pixels = torch.cat([images for images, _ in batches])
    background, foreground = normalise(torch.tensor([0.0, 255.0]))
    assert pixels.amin() == background
    assert pixels.amax().item() == pytest.approx(foreground.item(), abs=1e-4)


@pytest.mark.parametrize("batch_size", [3, 256])
def test_evaluation_batches_keep_the_order_and_the_pixels(batch_size: int):
    dataset = _dataset(700)
    batches = list(evaluation_batches(to_device(dataset, "cpu"), batch_size=batch_size))
    assert {len(labels) for _, labels in batches[:-1]} == {batch_size}
    images = torch.cat([images for images, _ in batches])
    assert images.shape == (700, 1, 28, 28)
    np.testing.assert_array_equal(_denormalised(images).numpy(), dataset.images)
    assert torch.cat([labels for _, labels in batches]).tolist() == dataset.labels.tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_batches_live_on_cuda():
    data = to_device(_dataset(100), "cuda")
    batches = training_batches(
        data,
        batch_size=64,
        rotation=10.0,
        shift=0.1,
        generator=Generator("cuda").manual_seed(1),
    )
    for images, labels in batches:
        assert images.is_cuda
        assert labels.is_cuda
