"""Random rotation, shear, scaling, translation and bending of a whole batch at once."""

import functools

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

_POINTS = 5  # on each axis, of the grid that bends an image


def augment(
    images: Tensor,
    *,
    rotation: float,
    shift: float,
    scale: float = 0,
    shear: float = 0,
    elastic: float = 0,
    generator: Generator,
) -> Tensor:
    """Bend, rotate, shear, scale and shift each image by its own random amounts.

    Args:
        images: Square images [n, channels, side, side], float, with a background of 0.
        rotation: Largest angle in degrees; angles are uniform in ±rotation.
        shift: Largest translation as a fraction of the side; uniform in ±shift on each axis.
        scale: Largest change of the size, below 1; factors are uniform in 1 ± scale.
        shear: Largest angle of shear along the rows in degrees; uniform in ±shear.
        elastic: Largest displacement of the points of a grid, as a fraction of the side; uniform
            in ±elastic on each axis.
        generator: On the images' device. Nothing is drawn for amounts that are all 0.

    Returns:
        Images of the same shape; `images` itself if all amounts are 0.
    """
    if not any((rotation, shift, scale, shear, elastic)):
        return images
    uniform = torch.empty(5 if scale or shear else 3, len(images), device=images.device)
    uniform.uniform_(-1, 1, generator=generator)
    displacements = None
    if elastic:
        displacements = torch.empty(len(images), 2, _POINTS, _POINTS, device=images.device)
        displacements.uniform_(-elastic, elastic, generator=generator)
    return transform(
        images,
        angles=uniform[0] * rotation,
        shifts=uniform[1:3].T * shift,
        scales=1 + uniform[3] * scale if scale else None,
        shears=uniform[4] * shear if shear else None,
        displacements=displacements,
    )


def transform(
    images: Tensor,
    *,
    angles: Tensor,
    shifts: Tensor,
    scales: Tensor | None = None,
    shears: Tensor | None = None,
    displacements: Tensor | None = None,
) -> Tensor:
    """Shear, rotate and scale about the center, shift, and bend: bilinear, a background of 0.

    Without displacements, equals `torchvision.transforms.v2.functional.affine` applied to each
    image; with them alone, its `elastic`.

    Args:
        images: Square images [n, channels, side, side], float.
        angles: [n], in degrees, clockwise.
        shifts: [n, 2], right and down, as fractions of the side.
        scales: [n], factors of the size.
        shears: [n], in degrees, along the rows.
        displacements: [n, 2, 5, 5], of a grid of points from corner to corner: how much further
            right and down in the image each is read, as fractions of the side. The pixels between
            them follow smoothly. (Simard et al., "Best practices for convolutional neural
            networks applied to visual document analysis", 2003, displace every pixel, and smooth.)
    """
    cos, sin = angles.deg2rad().cos(), angles.deg2rad().sin()
    # grid_sample takes the source of each output pixel, with the side spanning [-1, 1]: undo the
    # shift, rotate back, and so on.
    right, down = 2 * shifts[:, 0], 2 * shifts[:, 1]
    x = torch.stack((cos, sin, -cos * right - sin * down), dim=1)
    y = torch.stack((-sin, cos, sin * right - cos * down), dim=1)
    if scales is not None:
        x, y = x / scales.view(-1, 1), y / scales.view(-1, 1)
    if shears is not None:
        x = x + shears.deg2rad().tan().view(-1, 1) * y
    amounts = torch.stack((x, y), dim=1)
    if displacements is not None:
        amounts = torch.cat((amounts, 2 * displacements.flatten(2)), dim=2)
    side = images.shape[-1]
    # One matrix product is twenty times as fast as affine_grid's product per image.
    grid = amounts @ _terms(side, images.device)[: amounts.shape[2]]
    grid = grid.view(-1, 2, side, side).permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


@functools.cache
def _terms(side: int, device: torch.device) -> Tensor:
    """Return what a pixel's source is a sum of: its x, its y, 1, and the weight of each point.

    Shape [3 + 25, side * side].
    """
    centers = (torch.arange(side, device=device) * 2 + 1) / side - 1
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    points = torch.eye(_POINTS**2, device=device).view(-1, 1, _POINTS, _POINTS)
    weights = F.interpolate(points, size=(side, side), mode="bicubic", align_corners=True)
    return torch.cat((torch.stack((x, y, torch.ones_like(x))), weights[:, 0])).flatten(1)
