import math

import pytest
import torch
from torch import Generator
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from data_utils.augment import augment, transform

SIDE = 28


def _torchvision(images: torch.Tensor, angles: list[float], shifts: list[list[float]]):
    return torch.stack(
        [
            TF.affine(
                image,
                angle=angle,
                translate=[SIDE * shift[0], SIDE * shift[1]],
                scale=1.0,
                shear=[0.0, 0.0],
                interpolation=InterpolationMode.BILINEAR,
            )
            for image, angle, shift in zip(images, angles, shifts, strict=True)
        ]
    )


@pytest.mark.parametrize("n", [1, 5, 64])
def test_transform_agrees_with_torchvision(n: int):
    generator = Generator().manual_seed(n)
    images = torch.rand(n, 1, SIDE, SIDE, generator=generator)
    angles = (torch.rand(n, generator=generator) - 0.5) * 360
    shifts = (torch.rand(n, 2, generator=generator) - 0.5) * 0.6
    expected = _torchvision(images, angles.tolist(), shifts.tolist())
    # A coordinate is off by some 1e-6 of half a side, an interpolated pixel by ten times that.
    ours = transform(images, angles=angles, shifts=shifts)
    torch.testing.assert_close(ours, expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize(
    ("angle", "shift"),
    [(0.0, (0.0, 0.0)), (0.0, (0.25, 0.0)), (0.0, (0.0, -0.25)), (90.0, (0.0, 0.0))],
)
def test_transform_moves_pixels_to_the_right_down_and_clockwise(angle, shift):
    image = torch.zeros(1, 1, SIDE, SIDE)
    image[0, 0, 10, 12] = 1.0  # row 10, column 12
    row, column = {
        (0.0, (0.0, 0.0)): (10, 12),
        (0.0, (0.25, 0.0)): (10, 19),
        (0.0, (0.0, -0.25)): (3, 12),
        (90.0, (0.0, 0.0)): (12, 17),
    }[angle, shift]
    moved = transform(image, angles=torch.tensor([angle]), shifts=torch.tensor([shift]))
    expected = torch.zeros_like(image)
    expected[0, 0, row, column] = 1.0
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)


def test_augment_without_ranges_returns_its_images_and_draws_nothing():
    generator = Generator().manual_seed(0)
    before = generator.get_state()
    images = torch.rand(4, 1, SIDE, SIDE)
    assert augment(images, rotation=0, shift=0, generator=generator) is images
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize(("rotation", "shift"), [(10.0, 0.0), (0.0, 0.1), (20.0, 0.1)])
def test_augment_fills_with_background_and_repeats_a_seed(rotation: float, shift: float):
    images = torch.ones(16, 1, SIDE, SIDE)
    first, second = (
        augment(images, rotation=rotation, shift=shift, generator=Generator().manual_seed(7))
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert first.amin() == 0
    assert first.amax() <= 1 + 1e-6
    assert len(first.flatten(1).unique(dim=0)) == 16


def test_augment_draws_angles_and_shifts_over_their_ranges(monkeypatch: pytest.MonkeyPatch):
    drawn = {}

    def record(images, *, angles, shifts):
        drawn.update(angle=angles / 30, right=shifts[:, 0] / 0.1, down=shifts[:, 1] / 0.1)
        return images

    monkeypatch.setattr("data_utils.augment.transform", record)
    n = 100_000
    images = torch.zeros(n, 1, 1, 1)
    augment(images, rotation=30.0, shift=0.1, generator=Generator().manual_seed(8))
    assert set(drawn) == {"angle", "right", "down"}
    # 5 standard errors, of moments of U(-1, 1): a false alarm in 1.7 million for each of 9.
    for values in drawn.values():
        assert values.abs().max() <= 1 + 1e-6
        assert abs(values.mean()) < 5 * math.sqrt(1 / (3 * n))
        assert abs(values.square().mean() - 1 / 3) < 5 * math.sqrt(4 / (45 * n))
    products = torch.stack(
        [
            drawn["angle"] * drawn["right"],
            drawn["angle"] * drawn["down"],
            drawn["right"] * drawn["down"],
        ]
    )
    assert (products.mean(1).abs() < 5 / (3 * math.sqrt(n))).all()
