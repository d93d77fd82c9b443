import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Generator
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from data_utils.augment import augment, transform

SIDE = 28
N_RAMPS, RAMP_SIDE = 20_000, 12


@pytest.mark.parametrize("is_affine", [False, True])
def test_transform_agrees_with_torchvision(is_affine):
    n = 16
    generator = Generator().manual_seed(n)
    images = torch.rand(n, 1, SIDE, SIDE, generator=generator)
    angles = (torch.rand(n, generator=generator) - 0.5) * 360
    shifts = (torch.rand(n, 2, generator=generator) - 0.5) * 0.6
    scales = 0.5 + torch.rand(n, generator=generator)
    shears = (torch.rand(n, generator=generator) - 0.5) * 100
    amounts = (angles, shifts, scales, shears) if is_affine else (angles, shifts)
    expected = [
        TF.affine(
            image,
            angle=angle,
            translate=[SIDE * right, SIDE * down],
            scale=more[0] if more else 1.0,
            shear=[more[1] if more else 0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        for image, angle, (right, down), *more in zip(
            images, *(amount.tolist() for amount in amounts), strict=True
        )
    ]
    # Coordinates differ by about 1e-6 of half a side, interpolated pixels by ten times that.
    names = ("angles", "shifts", "scales", "shears")
    ours = transform(images, **dict(zip(names, amounts, strict=False)))
    torch.testing.assert_close(ours, torch.stack(expected), rtol=0, atol=1e-4)


def test_displacements_agree_with_torchvision():
    generator = Generator().manual_seed(3)
    images = torch.rand(8, 2, SIDE, SIDE, generator=generator)
    points = (torch.rand(8, 2, 5, 5, generator=generator) - 0.5) * 0.4
    smooth = F.interpolate(points, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    expected = [
        TF.elastic(image, 2 * displacement.permute(1, 2, 0)[None])
        for image, displacement in zip(images, smooth, strict=True)
    ]
    still = {"angles": torch.zeros(8), "shifts": torch.zeros(8, 2)}
    ours = transform(images, **still, displacements=points)
    torch.testing.assert_close(ours, torch.stack(expected), rtol=0, atol=1e-4)


def test_augment_without_ranges_returns_its_images_and_draws_nothing():
    generator = Generator().manual_seed(0)
    before = generator.get_state()
    images = torch.rand(4, 1, SIDE, SIDE)
    assert augment(images, rotation=0, shift=0, generator=generator) is images
    assert torch.equal(generator.get_state(), before)


def augmented_ramps(side: int = RAMP_SIDE, **amounts: float) -> list[torch.Tensor]:
    """Return n augmented images whose pixels are their x, and n whose pixels are their y."""
    centers = (torch.arange(side) * 2 + 1) / side - 1
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    ramps = (ramp.expand(N_RAMPS, 1, side, side) for ramp in (x, y))
    return [augment(ramp, generator=Generator().manual_seed(8), **amounts)[:, 0] for ramp in ramps]


def require_uniform_and_independent(*drawn: torch.Tensor) -> None:
    """Compare moments with those of U(-1, 1) within 5 σ: each a false alarm in 1.7 million."""
    for values in drawn:
        assert values.abs().max() <= 1 + 1e-4
        assert abs(values.mean()) < 5 * math.sqrt(1 / (3 * N_RAMPS))
        assert abs(values.square().mean() - 1 / 3) < 5 * math.sqrt(4 / (45 * N_RAMPS))
    for first, second in itertools.combinations(drawn, 2):
        assert abs((first * second).mean()) < 5 / (3 * math.sqrt(N_RAMPS))


def test_augment_scales_and_shears_within_their_ranges():
    # The difference between neighbors of a ramp is the factor by which they were moved apart.
    source_x, source_y = augmented_ramps(rotation=0, shift=0, scale=0.2, shear=15.0)
    down = source_y[:, 6, 5] - source_y[:, 5, 5]
    scales, shears = 2 / RAMP_SIDE / down, (source_x[:, 6, 5] - source_x[:, 5, 5]) / down
    angles = torch.atan(shears) * 180 / math.pi
    require_uniform_and_independent((scales - 1) / 0.2, angles / 15)


def test_image_is_bent_by_as_much_whatever_else_is_done_to_it():
    points = (torch.rand(4, 2, 5, 5, generator=Generator().manual_seed(5)) - 0.5) * 0.2
    amounts = {
        "angles": torch.tensor([0.0, 20.0, -5.0, 90.0]),
        "shifts": torch.full((4, 2), 0.05),
        "scales": torch.tensor([1.0, 0.9, 1.1, 1.2]),
        "shears": torch.tensor([0.0, 10.0, -10.0, 5.0]),
    }
    centers = (torch.arange(13) * 2 + 1) / 13 - 1
    ramps = torch.stack(torch.meshgrid(centers, centers, indexing="xy")).expand(4, 2, 13, 13)
    still, bent = transform(ramps, **amounts), transform(ramps, **amounts, displacements=points)
    torch.testing.assert_close((bent - still)[..., 6, 6], 2 * points[..., 2, 2])


def test_augment_draws_angles_and_shifts_uniformly_and_independently():
    # The pixels are their own coordinates, so the center of each augmented image tells its angle
    # and shift: with a margin for the ranges, bilinear interpolation is exact there.
    rotation, shift = 30.0, 0.1
    ramps = augmented_ramps(rotation=rotation, shift=shift)
    source_x, source_y = (source[:, 5:7, 5:7] for source in ramps)
    cos, sin = (
        (source[:, :, 1] - source[:, :, 0]).mean(1) * RAMP_SIDE / 2
        for source in (source_x, -source_y)
    )
    middle_x, middle_y = source_x.mean((1, 2)), source_y.mean((1, 2))
    right, down = -(cos * middle_x - sin * middle_y) / 2, -(sin * middle_x + cos * middle_y) / 2
    angles = torch.atan2(sin, cos) * 180 / math.pi
    require_uniform_and_independent(angles / rotation, right / shift, down / shift)


def test_augment_displaces_points_uniformly_and_independently():
    # With 13 pixels on a side every third one is a point of the grid. The pixels are their own
    # coordinates: 0 in the middle, 6 / 13 of half the side three pixels further.
    x, y = augmented_ramps(13, rotation=0, shift=0, elastic=0.1)
    middle, below, right = (x[:, 6, 6], y[:, 6, 6]), (x[:, 9, 6], y[:, 9, 6]), x[:, 6, 9]
    moved = (*middle, below[0], below[1] - 6 / 13, right - 6 / 13)
    require_uniform_and_independent(*(distances / 2 / 0.1 for distances in moved))
