"""A picture of one digit, made into what MNIST's images are.

There a black and white digit was scaled to fit 20×20 pixels, which kept its proportions and
made grey levels of its edges, and put into 28×28 pixels by its centre of mass: Y. LeCun,
C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
http://yann.lecun.com/exdb/mnist/.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_utils.dataset import SIDE
from data_utils.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Grey = NDArray[np.float32]

# What draws with a program of its own (EPS), or is no picture, stays closed.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "ICO")
_LARGEST = 1024  # pixels of a side that are worth looking at
_DIGIT_SIDE = 20
# Of a digit's box, in index coordinates: the means of MNIST's lie between 13.5 and 14.5.
_CENTRE = SIDE // 2
_LEAST_CONTRAST = 8
# Where a digit ends, of its full ink: from 0.1 to 0.5 a LeNet-5 recognises as many.
_EDGE = 0.2
# The part of all ink that may lie beyond each end.
_STRAY = 0.001
# So much noise, of the full ink, is averaged away where there are pixels enough.
_NOISY = 0.1
_ENOUGH = 2 * SIDE


def read_digit(path: Path) -> NDArray[np.uint8]:
    """Read a picture of one digit, and prepare it as MNIST's images are.

    The picture may be of any size and colour, light on dark or dark on light, or ink on a
    transparent ground; the digit may be anywhere in it. Of several frames the first counts.

    Returns:
        Pixels, bright ink on black, uint8 [28, 28].

    Raises:
        DataError: The file is missing or no image, or there is nothing to be seen in it; the
            text names it.
    """
    try:
        return prepare_digit(_read(path))
    except DataError as error:
        raise DataError(f"{path} {error}") from error


def prepare_digit(grey: Grey) -> NDArray[np.uint8]:
    """Prepare a digit's brightness as MNIST's images are.

    What most of the rim shows is the ground, whatever differs from it is ink.

    Args:
        grey: From 0 to 255, float32 [height, width].

    Returns:
        Pixels, bright ink on black, uint8 [28, 28].

    Raises:
        DataError: All of it has one colour, or nearly.
    """
    ink, noise = _calm_ink(grey)
    noise = min(noise, 0.5)
    rows, columns = _box(ink, edge=max(_EDGE, noise))
    digit = _shrink(np.where(ink > noise, ink, 0)[rows, columns])
    image = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top, left = (_offset(digit.sum(axis=axis)) for axis in (1, 0))
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = np.rint(255 * digit)
    return image


def _calm_ink(grey: Grey) -> tuple[Grey, float]:
    """The ink, of a smaller picture where that averages noise away, and what noise is left."""
    from PIL import Image

    ink, noise = _ink(grey)
    while noise > _NOISY and min(grey.shape) >= _ENOUGH:
        grey = np.asarray(Image.fromarray(grey).reduce(2))
        smaller, left = _ink(grey)
        if left > 0.75 * noise:  # a shade, not noise
            break
        ink, noise = smaller, left
    return ink, noise


def _ink(grey: Grey) -> tuple[Grey, float]:
    """How much ink each pixel has, from 0 to 1, and up to how much of it may be noise."""
    contrast = np.ptp(grey) if grey.size else 0
    if contrast < _LEAST_CONTRAST:
        raise DataError("shows no digit: it is empty, of one colour all over")
    rim = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    ground = np.median(rim)
    is_dark = ground < (grey.min() + grey.max()) / 2
    ink = np.clip(grey - ground if is_dark else ground - grey, 0, None)
    ink /= ink.max()
    # Three standard deviations, as the median deviation tells them where the rim is ground.
    noise = 3 * 1.4826 * float(np.median(np.abs(rim - ground))) / float(contrast)
    return ink, noise


def _box(ink: Grey, *, edge: float) -> tuple[slice, slice]:
    """The rows and columns of the digit, without specks that hardly have any of the ink."""
    marked = np.where(ink > edge, ink, 0)
    return _extent(marked.sum(axis=1)), _extent(marked.sum(axis=0))


def _extent(profile: Grey) -> slice:
    total = np.cumsum(profile, dtype=np.float64) / np.sum(profile, dtype=np.float64)
    first, last = np.searchsorted(total, (_STRAY, 1 - _STRAY))
    return slice(int(first), int(last) + 1)


def _shrink(ink: Grey) -> Grey:
    """Scales to 20 pixels on the longer side; thin strokes get as bright as thick ones."""
    from PIL import Image

    scale = _DIGIT_SIDE / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    digit = Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC)
    scaled: Grey = np.clip(np.asarray(digit), 0, 1)
    scaled /= scaled.max()
    return scaled


def _offset(profile: Grey) -> int:
    """Where a digit begins so that its centre of mass is in the middle, if it fits there."""
    mass = float(profile @ np.arange(len(profile)) / profile.sum())
    return min(max(round(_CENTRE - mass), 0), SIDE - len(profile))


def _read(path: Path) -> Grey:
    """A picture's brightness, from 0 to 255, [height, width], not much larger than needed."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if path.is_dir():
        raise DataError("is a folder, not an image")
    Image.init()
    known = [name for name in _FORMATS if name in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=known) as image:
                image.draft(None, (_LARGEST, _LARGEST))
                return _brightness(ImageOps.exif_transpose(image))
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError("does not exist") from error
    except UnidentifiedImageError as error:
        raise DataError("is not an image that can be read; PNG and JPEG can") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"has more than {(Image.MAX_IMAGE_PIXELS or 0) // 10**6} million pixels; "
            "make it smaller"
        ) from error
    # Pillow's readers have a dozen kinds of error between them for damaged bytes.
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot be read: {reason}") from error


def _brightness(image: "Image") -> Grey:
    from PIL.Image import fromarray

    if image.mode.startswith(("I", "F")):  # 16 or 32 bits: nobody knows how many are used
        grey = np.array(image, dtype=np.float32)
        if not np.isfinite(grey).all():
            raise DataError("has pixels that are no finite numbers")
        grey -= min(grey.min(), 0)
        grey *= 255 / max(grey.max(), 1e-30)
        return np.asarray(_reduced(fromarray(grey)))
    colours = _reduced(image.convert("RGBA"))
    grey = np.asarray(colours.convert("RGB").convert("L"), dtype=np.float32)
    alpha = np.asarray(colours.getchannel("A"), dtype=np.float32) / np.float32(255)
    return _on_ground(grey, alpha)


def _reduced(image: "Image") -> "Image":
    factor = max(image.size) // _LARGEST
    return image.reduce(factor) if factor > 1 else image


def _on_ground(grey: Grey, alpha: Grey) -> Grey:
    """Fills what is transparent: around a card with the card's colour, around ink with paper."""
    visible = alpha > alpha.max() / 2
    if alpha.min() == 1 or not visible.any():
        return grey * alpha
    shades = grey[visible]
    rows, columns = _box(visible.astype(np.float32), edge=0)
    is_card = visible[rows, columns].mean() > 0.6 and np.ptp(shades) > 64
    paper = np.median(shades) if is_card else 255 * (shades.mean() < 128)
    return alpha * grey + (1 - alpha) * np.float32(paper)
