"""Random rotation, shear, scaling and translation of a whole batch at once."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def augment(
    images: Tensor,
    *,
    rotation: float,
    shift: float,
    scale: float = 0,
    shear: float = 0,
    generator: Generator,
) -> Tensor:
    """Rotate, shear, scale and shift each image by its own random amounts.

    Args:
        images: Square images [n, channels, side, side], float, with a background of 0.
        rotation: Largest angle in degrees; angles are uniform in ±rotation.
        shift: Largest translation as a fraction of the side; uniform in ±shift on each axis.
        scale: Largest change of the size, below 1; factors are uniform in 1 ± scale.
        shear: Largest angle of shear along the rows in degrees; uniform in ±shear.
        generator: On the images' device. Nothing is drawn for amounts that are all 0.

    Returns:
        Images of the same shape; `images` itself if all amounts are 0.
    """
    if not any((rotation, shift, scale, shear)):
        return images
    uniform = torch.empty(5 if scale or shear else 3, len(images), device=images.device)
    uniform.uniform_(-1, 1, generator=generator)
    return transform(
        images,
        angles=uniform[0] * rotation,
        shifts=uniform[1:3].T * shift,
        scales=1 + uniform[3] * scale if scale else None,
        shears=uniform[4] * shear if shear else None,
    )


def transform(
    images: Tensor,
    *,
    angles: Tensor,
    shifts: Tensor,
    scales: Tensor | None = None,
    shears: Tensor | None = None,
) -> Tensor:
    """Shear, rotate and scale about the center, then shift: bilinear, with a background of 0.

    Equals `torchvision.transforms.v2.functional.affine` applied to each image.

    Args:
        images: Square images [n, channels, side, side], float.
        angles: [n], in degrees, clockwise.
        shifts: [n, 2], right and down, as fractions of the side.
        scales: [n], factors of the size.
        shears: [n], in degrees, along the rows.
    """
    radians = angles * (math.pi / 180)
    cos, sin = radians.cos(), radians.sin()
    # grid_sample takes the source of each output pixel, with the side spanning [-1, 1]: undo the
    # shift, then rotate back.
    right, down = 2 * shifts[:, 0], 2 * shifts[:, 1]
    inverse = torch.stack((cos, sin, -cos * right - sin * down, sin * right - cos * down), dim=1)
    side = images.shape[-1]
    # One matrix product is twenty times as fast as affine_grid's product per image.
    grid = (inverse @ _coordinates(side, images.device)).view(-1, side, side, 2)
    if scales is not None:
        grid = grid / scales.view(-1, 1, 1, 1)
    if shears is not None:
        x, y = grid.unbind(-1)
        grid = torch.stack((x + shears.deg2rad().tan().view(-1, 1, 1) * y, y), dim=-1)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _coordinates(side: int, device: torch.device) -> Tensor:
    """Return the coefficients of (cos, sin, x shift, y shift) in each pixel's source x and y.

    Shape [4, side * side * 2].
    """
    centers = (torch.arange(side, device=device) * 2 + 1) / side - 1
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = (x, y), (y, -x), (one, zero), (zero, one)
    return torch.stack([torch.stack(row, dim=-1).flatten() for row in rows])
