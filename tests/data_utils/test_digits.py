import io
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_utils.digits import prepare_digit, read_digit
from data_utils.errors import DataError
from data_utils.mnist import Mnist

Pixels = NDArray[np.uint8]
SIZE = (150, 200)  # width, height


def draw_seven(dark: int = 0, light: int = 255) -> Image.Image:
    """A seven in dark on light, 80 pixels wide and 120 high, off the centre."""
    image = Image.new("L", SIZE, light)
    ImageDraw.Draw(image).line([(20, 20), (90, 20), (50, 130)], fill=dark, width=14)
    return image


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Pixels]:
    """Saves an image in a format, and reads it as a digit."""

    def save_and_read(image: Image.Image, suffix: str = "png", **options: object) -> Pixels:
        path = tmp_path / f"digit.{suffix}"
        image.save(path, **options)
        return read_digit(path)

    return save_and_read


@pytest.fixture
def seven(read: Callable[..., Pixels]) -> Pixels:
    return read(draw_seven())


def mean_difference(first: Pixels, second: Pixels) -> float:
    return float(np.abs(first.astype(float) - second).mean())


def centre_of_mass(image: Pixels) -> tuple[float, float]:
    places = np.arange(28)
    return tuple(float(image.sum(axis) @ places / image.sum()) for axis in (1, 0))


def test_digit_is_bright_on_black_in_a_box_of_20(seven: Pixels) -> None:
    assert (seven.shape, seven.dtype) == ((28, 28), np.uint8)
    assert (seven.min(), seven.max()) == (0, 255)
    rows, columns = np.flatnonzero(seven.any(1)), np.flatnonzero(seven.any(0))
    assert np.ptp(rows) + 1 == 20
    # 77 of 117 pixels is as 13 of 20.
    assert np.ptp(columns) + 1 == pytest.approx(13, abs=1)


def test_digit_is_centred_by_its_mass(seven: Pixels) -> None:
    assert all(13.5 <= mass <= 14.5 for mass in centre_of_mass(seven))


def test_digit_of_mnist_stays_as_it_is(mnist: Mnist) -> None:
    images = mnist.train.images[:300]
    prepared = [prepare_digit(image.astype(np.float32)) for image in images]
    differences = [mean_difference(*pair) for pair in zip(prepared, images, strict=True)]
    # What is nearly paper at its end is not counted as its end, and scaling it then changes
    # the digit slightly; one that is off by a pixel differs by more than 10.
    assert np.mean(differences) < 0.5
    assert np.median(differences) < 0.02


def test_digit_may_be_light_on_dark(seven: Pixels, read: Callable[..., Pixels]) -> None:
    np.testing.assert_array_equal(read(draw_seven(dark=255, light=0)), seven)


@pytest.mark.parametrize(("dark", "light"), [(40, 200), (200, 40), (100, 130)])
def test_digit_may_be_pale(
    seven: Pixels, read: Callable[..., Pixels], dark: int, light: int
) -> None:
    np.testing.assert_array_equal(read(draw_seven(dark, light)), seven)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (300, 20), (0, 500)])
def test_digit_may_be_anywhere(
    seven: Pixels, read: Callable[..., Pixels], left: int, top: int
) -> None:
    image = Image.new("L", (500, 800), 255)
    image.paste(draw_seven(), (left, top))
    np.testing.assert_array_equal(read(image), seven)


@pytest.mark.parametrize("factor", [0.2, 0.5, 3, 20])
def test_digit_may_be_of_any_size(
    seven: Pixels, read: Callable[..., Pixels], factor: float
) -> None:
    size = [round(side * factor) for side in SIZE]
    resized = draw_seven().resize(size, Image.Resampling.BOX if factor < 1 else 0)
    # A pixel more or less on each side of the box is 5 %, along strokes of 60 pixels or so.
    assert mean_difference(read(resized), seven) < 10


def sixteen_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray((np.asarray(image).astype(np.uint16) * 16).astype(np.uint16))


def on_transparent_ground(ink: int) -> Callable[[Image.Image], Image.Image]:
    def convert(image: Image.Image) -> Image.Image:
        alpha = Image.fromarray(255 - np.asarray(image))
        return Image.merge("LA", (Image.new("L", image.size, ink), alpha)).convert("RGBA")

    return convert


def on_card(image: Image.Image) -> Image.Image:
    card = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    card.paste(image.convert("RGBA"), (100, 50))
    return card


@pytest.mark.parametrize(
    "convert",
    [
        sixteen_bits,
        on_transparent_ground(ink=0),
        on_transparent_ground(ink=255),
        on_transparent_ground(ink=128),
        on_card,
        lambda image: image.convert("P"),
        lambda image: image.convert("1"),
        lambda image: image.convert("RGB"),
        lambda image: image.convert("RGBA"),
    ],
    ids=[
        *("16-bit", "black-ink", "white-ink", "grey-ink", "card"),
        *("palette", "bilevel", "rgb", "rgba"),
    ],
)
def test_digit_may_be_in_any_mode(
    seven: Pixels,
    read: Callable[..., Pixels],
    convert: Callable[[Image.Image], Image.Image],
) -> None:
    np.testing.assert_array_equal(read(convert(draw_seven())), seven)


@pytest.mark.parametrize("suffix", ["bmp", "gif", "ppm", "tiff", "webp"])
def test_digit_may_be_in_any_format(
    seven: Pixels, read: Callable[..., Pixels], suffix: str
) -> None:
    assert mean_difference(read(draw_seven().convert("RGB"), suffix), seven) < 2


@pytest.mark.parametrize("quality", [20, 90])
def test_digit_may_be_a_jpeg(seven: Pixels, read: Callable[..., Pixels], quality: int) -> None:
    assert mean_difference(read(draw_seven(), "jpg", quality=quality), seven) < 2


def test_digit_may_be_in_a_large_photo(seven: Pixels, read: Callable[..., Pixels]) -> None:
    photo = draw_seven().resize((3000, 4000), Image.Resampling.BICUBIC)
    assert mean_difference(read(photo, "jpg"), seven) < 2


def test_digit_may_be_of_floats(seven: Pixels, read: Callable[..., Pixels]) -> None:
    floats = Image.fromarray(np.asarray(draw_seven(), dtype=np.float32) / 1000 - 0.1)
    np.testing.assert_array_equal(read(floats, "tiff"), seven)


def test_digit_may_be_cmyk(seven: Pixels, read: Callable[..., Pixels]) -> None:
    assert mean_difference(read(draw_seven().convert("CMYK"), "tiff"), seven) < 2


def test_digit_may_be_turned_by_exif(seven: Pixels, read: Callable[..., Pixels]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    turned = draw_seven().transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(read(turned, exif=exif), seven)


@pytest.mark.parametrize(("noise", "shade"), [(6, 15), (20, 0), (30, 0), (0, 30)])
def test_digit_may_be_on_bad_paper(seven: Pixels, noise: float, shade: float) -> None:
    grey = np.asarray(draw_seven(dark=60, light=200), dtype=np.float32)
    grey = grey + np.random.default_rng(0).normal(0, noise, grey.shape).astype(np.float32)
    grey = grey + np.linspace(-shade, shade, grey.shape[1], dtype=np.float32)
    assert mean_difference(prepare_digit(grey), seven) < 8


def test_digit_may_have_specks_beside_it(seven: Pixels) -> None:
    image = draw_seven()
    ImageDraw.Draw(image).point([(2, 190), (145, 3)], fill=0)
    grey = np.asarray(image, dtype=np.float32)
    assert mean_difference(prepare_digit(grey), seven) < 2


def test_digit_of_thin_strokes_is_bright() -> None:
    image = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(image).line([(50, 50), (250, 50), (120, 280)], fill=0, width=2)
    digit = prepare_digit(np.asarray(image, dtype=np.float32))
    assert digit.max() == 255
    assert np.median(digit[digit > 0]) > 60


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (3, 3), (1, 2)])
def test_digit_of_strange_shape_is_prepared(shape: tuple[int, int]) -> None:
    grey = np.zeros(shape, dtype=np.float32)
    grey.flat[grey.size // 2] = 255
    assert prepare_digit(grey).max() == 255


def png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def png_bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims to have side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


class Malicious:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("executed"),))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is not an image that can be read"),
        (b"a seven\n", "is not an image that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image that can be read"),
        (pickle.dumps(Malicious()), "is not an image that can be read"),
        (png_bytes(draw_seven())[:200], "cannot be read: "),
        (png_bomb(12_000), "has more than 89 million pixels; make it smaller"),
        (png_bomb(60_000), "has more than 89 million pixels; make it smaller"),
        (png_bytes(Image.new("RGB", (40, 40), "red")), "shows no digit: it is empty"),
        (png_bytes(Image.new("I;16", (40, 40), 300)), "shows no digit: it is empty"),
        (png_bytes(Image.new("RGBA", (40, 40))), "shows no digit: it is empty"),
    ],
    ids=[
        *("nothing", "text", "eps", "pickle", "torn", "bomb", "huge-bomb"),
        *("red", "grey-16-bit", "transparent"),
    ],
)
def test_bad_file_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "digit.png"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_digit(path)
    assert str(caught.value).startswith(f"{path} {complaint}")
    assert [entry.name for entry in tmp_path.iterdir()] == ["digit.png"]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png does not exist$"):
        read_digit(tmp_path / "none.png")


def test_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder, not an image$"):
        read_digit(tmp_path)


def test_infinite_pixels_are_refused(tmp_path: Path) -> None:
    pixels = np.full((30, 30), np.inf, dtype=np.float32)
    Image.fromarray(pixels).save(tmp_path / "digit.tiff")
    with pytest.raises(DataError, match=r"has pixels that are no finite numbers$"):
        read_digit(tmp_path / "digit.tiff")
