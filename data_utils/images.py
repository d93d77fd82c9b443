"""An image from a file, prepared as those that a network was trained on.

Most are only scaled. MNIST's digits were scaled to fit a box of 20×20 pixels, keeping their
proportions, and placed in 28×28 pixels with their center of mass in the middle: Y. LeCun, C.
Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
http://yann.lecun.com/exdb/mnist/.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from data_utils.errors import DataError

Gray = NDArray[np.float32]
T = TypeVar("T")

# Only formats that Pillow decodes itself: it would run another program for EPS.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "ICO")
_MAX_SIDE = 1024  # larger images are reduced first
_SIDE, _DIGIT_SIDE = 28, 20
_MIN_CONTRAST = 8  # of 255 gray levels
_EDGE = 0.2  # fainter pixels, as a fraction of the darkest ink, do not extend the digit's box


def is_image(path: Path) -> bool:
    """Return whether a file is not hidden and has the extension of an image."""
    formats = Image.registered_extensions()
    return not path.name.startswith(".") and formats.get(path.suffix.lower()) in _FORMATS


def read_digit(path: Path) -> NDArray[np.uint8]:
    """Read an image of one digit and prepare it as MNIST's images were.

    The image must show the digit alone, on a plain or transparent background. It can have any size
    and colors, light on dark or dark on light. If it has several frames, the first is read.

    The result is bright ink on black, uint8 [28, 28]. DataError if the file is missing, not an
    image, blank or too large.
    """
    gray = open_image(path, _brightness)
    border = np.concatenate((gray[0], gray[-1], gray[:, 0], gray[:, -1]))
    ink = np.abs(gray - np.median(border))
    if not ink.max() >= _MIN_CONTRAST:
        raise DataError(f"{path} is blank: it has the same color everywhere")
    return _center(_scale(ink / ink.max()))


def files_below(path: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder, also behind links, without hidden ones, in order.

    A link to a folder that contains one of those on the way to it, `above`, is not followed.
    """
    above |= {path.resolve()}
    for item in sorted(path.iterdir()) if path.is_dir() else ():
        if item.name.startswith("."):
            continue
        if not item.is_dir():
            yield item
        elif not any(folder.is_relative_to(item.resolve()) for folder in above):
            yield from files_below(item, above)


def read_image(path: Path, *, channels: int, side: int) -> NDArray[np.uint8]:
    """Read an image in gray or in color, scaled and cropped to a square.

    What is transparent becomes white. The pixels, otherwise as they are, are uint8 [side, side]
    or, with three channels, [3, side, side]. DataError if the file is missing, not an image, too
    large, or has more than 8 bits per channel.
    """

    def prepare(image: Image.Image) -> NDArray[np.uint8]:
        image = opaque(image).convert("L" if channels == 1 else "RGB")
        if image.size != (side, side):
            image = ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)
        pixels: NDArray[np.uint8] = np.array(image)  # torch warns about what is read-only
        return pixels if channels == 1 else np.moveaxis(pixels, -1, 0)

    return open_image(path, prepare)


def opaque(image: Image.Image) -> Image.Image:
    """Return an image without transparency: on a white background, if it has any.

    ValueError if it has more than 8 bits per channel, whose scale is unknown.
    """
    if image.mode.startswith(("I", "F")):
        raise ValueError("more than 8 bits per channel; save it with 8")
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def open_image(path: Path, prepare: Callable[[Image.Image], T]) -> T:
    """Return what `prepare` makes of the first frame of an image, or raise DataError."""
    if path.is_fifo():  # a pipe, which might never end
        raise DataError(f"{path} is not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                return prepare(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not a readable image; use PNG or JPEG") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise DataError(f"{path} has more than {limit} million pixels; make it smaller") from None
    except Exception as error:  # Pillow raises many types for damaged files
        reason = getattr(error, "strerror", "") or error
        raise DataError(f"{path} cannot be read: {reason}") from error


def _brightness(image: Image.Image) -> Gray:
    """Return the gray levels [height, width], 0 to 255, without transparency."""
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits per pixel
        pixels = np.asarray(image, dtype=np.float32)
        image = Image.fromarray(pixels * (255 / max(np.abs(pixels).max(), 1e-30))).convert("L")
    image = image.convert("LA")
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    gray, alpha = np.moveaxis(np.asarray(image, dtype=np.float32), -1, 0)
    alpha = alpha / 255
    # Dark ink gets a white background, light ink a black one.
    background = np.float32(255 if (gray * alpha).sum() < 128 * alpha.sum() else 0)
    flat: Gray = alpha * gray + (1 - alpha) * background
    return flat


def _scale(ink: Gray) -> Gray:
    """Scale the longer side to 20 pixels, and the ink so that thin strokes are bright too."""
    rows, columns = (np.flatnonzero((ink > _EDGE).any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = _DIGIT_SIDE / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    digit = Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC)
    scaled: Gray = np.clip(np.asarray(digit), 0, None)
    scaled /= scaled.max()
    return scaled


def _center(digit: Gray) -> NDArray[np.uint8]:
    """Place the digit in 28×28 pixels, its center of mass as near the middle as it fits."""
    image = np.zeros((_SIDE, _SIDE), dtype=np.uint8)
    corner = []
    for axis in (0, 1):
        profile = digit.sum(axis=1 - axis)
        mass = float(profile @ np.arange(len(profile)) / profile.sum())
        corner.append(min(max(round(_SIDE / 2 - mass), 0), _SIDE - len(profile)))
    top, left = corner
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = np.rint(255 * digit)
    return image
