from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_utils.errors import DataError
from data_utils.images import read_digit

Pixels = NDArray[np.uint8]
Read = Callable[..., Pixels]
SIZE = (150, 200)  # width, height


def draw_seven(dark: int = 0, light: int = 255) -> Image.Image:
    """A dark seven on light, about 77 pixels wide and 117 high, off the center."""
    image = Image.new("L", SIZE, light)
    ImageDraw.Draw(image).line([(20, 20), (90, 20), (50, 130)], fill=dark, width=14)
    return image


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Save an image in a format and read it as a digit."""

    def save_and_read(image: Image.Image, suffix: str = "png", **options: object) -> Pixels:
        path = tmp_path / f"digit.{suffix}"
        image.save(path, **options)
        return read_digit(path)

    return save_and_read


@pytest.fixture
def seven(read: Read) -> Pixels:
    return read(draw_seven())


def mean_difference(first: Pixels, second: Pixels) -> float:
    return float(np.abs(first.astype(float) - second).mean())


def test_digit_is_bright_on_black_in_a_box_of_20_with_its_mass_in_the_center(seven):
    assert (seven.shape, seven.dtype) == ((28, 28), np.uint8)
    assert (seven.min(), seven.max()) == (0, 255)
    rows, columns = np.flatnonzero(seven.any(1)), np.flatnonzero(seven.any(0))
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) + 1 == pytest.approx(20 * 77 / 117, abs=1)
    for axis in (0, 1):
        # MNIST's centers of mass lie between 13.5 and 14.5, counted from the first pixel's.
        assert seven.sum(axis) @ np.arange(28) / seven.sum() == pytest.approx(14, abs=0.5)


def test_digit_of_mnist_stays_as_it_is(mnist, read):
    images = mnist.test.images[:100]
    differences = [mean_difference(read(Image.fromarray(image)), image) for image in images]
    # Digits with a faint edge are scaled slightly. A shift by one pixel differs by more than 10.
    assert np.mean(differences) < 0.7
    assert np.median(differences) < 0.02


@pytest.mark.parametrize("factor", [0.2, 3, 20])
def test_digit_can_have_any_size(seven, read, factor):
    size = [round(side * factor) for side in SIZE]
    resized = draw_seven().resize(size, Image.Resampling.BOX if factor < 1 else 0)
    # One more pixel on each side of a small digit's box is 5 % along strokes of 60 pixels.
    assert mean_difference(read(resized), seven) < 10


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (3, 3), (1, 2)])
def test_digit_can_have_an_extreme_shape(read, shape):
    gray = np.zeros(shape, dtype=np.uint8)
    gray.flat[0] = 255
    assert read(Image.fromarray(gray)).max() == 255


def transparent(image: Image.Image, ink: int) -> Image.Image:
    alpha = Image.fromarray(255 - np.asarray(image))
    return Image.merge("LA", (Image.new("L", image.size, ink), alpha)).convert("RGBA")


def test_digit_can_be_anywhere_in_any_colors_and_mode(seven, read):
    image, larger = draw_seven(), Image.new("L", (500, 800), 255)
    larger.paste(image, (300, 20))
    variants = [
        larger,
        Image.fromarray(np.asarray(image).astype(np.uint16) * np.uint16(16)),
        *(draw_seven(*colors) for colors in [(255, 0), (40, 200), (200, 40), (100, 130)]),
        *(transparent(image, ink) for ink in (0, 128, 255)),
        *(image.convert(mode) for mode in ("P", "1", "RGB", "RGBA")),
    ]
    for number, variant in enumerate(variants):
        np.testing.assert_array_equal(read(variant), seven, f"variant {number}")


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "ppm", "tiff", "webp"])
def test_digit_can_have_any_format(seven, read, suffix):
    assert mean_difference(read(draw_seven().convert("RGB"), suffix), seven) < 2


def test_digit_is_turned_by_its_exif_orientation(seven, read):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    turned = draw_seven().transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(read(turned, exif=exif), seven)


def test_digit_with_thin_strokes_is_bright(read):
    image = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(image).line([(50, 50), (250, 50), (120, 280)], fill=0, width=2)
    digit = read(image)
    assert digit.max() == 255
    assert np.median(digit[digit > 0]) > 60


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(None, "does not exist", id="missing"),
        pytest.param(b"", "is not a readable image; use PNG or JPEG", id="empty"),
        pytest.param(b"a seven\n", "is not a readable image", id="text"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not a readable image", id="EPS"),
        pytest.param(b"P5 40 40 255\n" + bytes(40), "cannot be read: ", id="cut off"),
        pytest.param(b"P5 40 40 255\n" + bytes(1600), "is blank: it has the same", id="blank"),
    ],
)
def test_bad_file_is_named_with_the_reason_in_one_line(tmp_path, data, complaint):
    path = tmp_path / "digit.png"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_digit(path)
    assert str(caught.value).startswith(f"{path} {complaint}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limit", [20_000, 10_000])  # above it Pillow warns, above twice it fails
def test_image_with_too_many_pixels_is_refused(read, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match="has more than 0 million pixels; make it smaller"):
        read(draw_seven())


def test_directory_and_transparent_image_are_refused(tmp_path, read):
    with pytest.raises(DataError, match=r"cannot be read: Is a directory$"):
        read_digit(tmp_path)
    with pytest.raises(DataError, match="is blank"):
        read(Image.new("RGBA", (40, 40)))
