import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from data_utils.dataset import TrainTest
from data_utils.errors import DataError
from data_utils.images import read_image
from data_utils.own_images import load_folder, load_npz
from data_utils.sources import Progress

Pixels = NDArray[np.uint8]


def _images(n: int, seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, *(shape or (28, 28))), np.uint8)


def _arrays(**changed: Any) -> dict[str, Any]:
    """A small dataset in Keras' names; None leaves an array out."""
    arrays = {
        "x_train": _images(12, 1),
        "y_train": np.arange(12) % 3,
        "x_test": _images(6, 2),
        "y_test": np.arange(6) % 3,
    }
    return {name: array for name, array in (arrays | changed).items() if array is not None}


def _load_npz(folder: Path, **arrays: Any) -> TrainTest:
    return _load(folder / "a.npz", **arrays)[0]


def _load(path: Path, **arrays: Any) -> tuple[TrainTest, list[str]]:
    """Load images, from a file with `arrays` if they are given; return what is said, too."""
    said: list[str] = []
    if arrays:
        np.savez(path, **arrays)
    load = load_npz if path.suffix == ".npz" else load_folder
    return load(path, Progress(message=said.append)), said


def _fill(root: Path, part: str, images: Pixels, *classes: str) -> None:
    for i, image in enumerate(images):
        folder = root / part / classes[i % len(classes)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:03}.png")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of images by class."""
    _fill(tmp_path / "images", "train", _images(8, 1), "a", "b")
    _fill(tmp_path / "images", "test", _images(4, 2), "a", "b")
    return tmp_path / "images"


def test_npz_in_keras_names_keeps_its_pixels_and_labels(tmp_path):
    arrays = _arrays()
    data = _load_npz(tmp_path, **arrays)
    np.testing.assert_array_equal(data.train.images, arrays["x_train"])
    np.testing.assert_array_equal(data.test.labels, arrays["y_test"])
    assert data.spec.classes == ("0", "1", "2")
    assert not data.spec.is_digits
    scaled = arrays["x_train"] / 255
    assert (data.spec.mean, data.spec.std) == (round(scaled.mean(), 4), round(scaled.std(), 4))
    assert (data.n_own_validation, data.n_validation) == (0, 2)


def test_npz_in_medmnists_names_has_its_own_validation_split(tmp_path):
    train, val, test = (_images(n, n, 32, 32, 3) for n in (12, 4, 6))
    labels = {f"{part}_labels": np.arange(n)[:, None] % 2 for part, n in _SIZES.items()}
    data = _load_npz(tmp_path, train_images=train, val_images=val, test_images=test, **labels)
    learned, validation = data.split("random", seed=5)
    np.testing.assert_array_equal(learned.images, np.moveaxis(train, -1, 1))
    np.testing.assert_array_equal(validation.images, np.moveaxis(val, -1, 1))
    assert (data.spec.channels, data.spec.side, data.spec.classes) == (3, 32, ("0", "1"))
    assert data.spec.mean == round((train / 255).mean(), 4)  # not of those for validation


_SIZES = {"train": 12, "val": 4, "test": 6}


@pytest.mark.parametrize("is_color", [False, True])
def test_folder_is_gray_unless_an_image_has_color(is_color, tmp_path):
    images = _images(8, 1, 30, 30)
    _fill(tmp_path, "train", images, "dog", "cat")
    test = np.repeat(_images(4, 2, 30, 30)[..., None], 3, axis=-1)
    test[0, 0, 0, 0] ^= is_color
    _fill(tmp_path, "test", test, "cat")
    for name in ("notes.txt", "._000.png", ".ipynb_checkpoints/000.png"):
        other = tmp_path / "train" / "cat" / name
        other.parent.mkdir(exist_ok=True)
        other.write_text("")
    data = load_folder(tmp_path, Progress())
    assert data.spec.classes == ("cat", "dog")
    assert data.spec.channels == (3 if is_color else 1)
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4
    first = data.train.images[0, 0] if is_color else data.train.images[0]
    np.testing.assert_array_equal(first, images[1])
    path, channels = tmp_path / "train" / "cat" / "001.png", data.spec.channels
    read = read_image(path, channels=channels, side=30)
    np.testing.assert_array_equal(read, data.train.images[0])
    assert read_image(path, channels=3, side=28).shape == (3, 28, 28)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_white(mode, images):
    path = images / "test" / "a" / "000.png"
    image = Image.new(mode, (28, 28))
    if mode == "P":
        image.save(path, transparency=0)
    else:
        image.putpixel((0, 0), (50, 255) if mode == "LA" else (50, 50, 50, 255))
        image.putpixel((1, 0), (50, 51) if mode == "LA" else (50, 50, 50, 51))
        image.save(path)
    expected = np.full((28, 28), 255)
    expected[0, :2] = (50, 0.8 * 255 + 0.2 * 50) if mode != "P" else 255
    for pixels in (
        load_folder(images, Progress()).test.images[0],
        read_image(path, channels=1, side=28),
        read_image(path, channels=3, side=28)[2],
    ):
        np.testing.assert_array_equal(pixels, expected)


def test_names_of_classes_are_escaped_and_folders_of_other_names_are_said(tmp_path):
    names = ("line\nbreak", "\x1b[31mred", os.fsdecode(b"caf\xe9"), "é" * 60)
    _fill(tmp_path, "train", _images(24, 1), *names)
    _fill(tmp_path, "Test", _images(4, 2), *names)
    data, lines = _load(tmp_path)
    shown = {r"line\nbreak", r"\x1b[31mred", r"caf\udce9", "é" * 60}
    assert set(data.spec.classes) == shown
    assert lines[0] == f"note: {tmp_path}/Test is not used; parts are called train, val and test"


def test_folder_without_test_images_has_the_first_ones_set_aside(tmp_path):
    images = _images(24, 1)
    _fill(tmp_path, "train", images, "a", "b")
    data, lines = _load(tmp_path)
    assert (len(data.train), data.test.labels.tolist()) == (20, [0, 0, 1, 1])
    np.testing.assert_array_equal(data.test.images, images[[0, 2, 1, 3]])
    assert data.spec.mean == data.test.spec.mean == round((data.train.images / 255).mean(), 4)
    assert lines[1].startswith(f"{tmp_path} has no test images: 4 of the 24 training images")
    again = load_folder(tmp_path, Progress())
    assert again.fingerprint == data.fingerprint
    drawn = load_folder(tmp_path, Progress(), split="random")
    assert drawn.test.labels.tolist() == [0, 0, 1, 1]
    assert drawn.fingerprint != data.fingerprint


def test_copies_among_the_training_images_are_said(tmp_path):
    images = _images(12, 1)
    images[[8, 10]] = images[[0, 6]]
    _fill(tmp_path, "train", images, "a", "b")
    _fill(tmp_path, "test", _images(4, 2), "a", "b")
    (note,) = (line for line in _load(tmp_path)[1] if line.startswith("note: "))
    assert "2 training images are copies of others, such as " in note
    assert f"{tmp_path}/train/a/000.png and {tmp_path}/train/a/008.png: " in note
    _fill(tmp_path, "val", _images(4, 3), "a", "b")  # validation images of its own
    assert not any(line.startswith("note: ") for line in _load(tmp_path)[1])


def test_copies_are_not_set_aside_for_the_test(tmp_path):
    _fill(tmp_path, "train", np.repeat(_images(2, 1), 12, axis=0), "a", "b")
    with pytest.raises(DataError, match="has equal images, of which 4 would be set aside"):
        load_folder(tmp_path, Progress())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_train": None, "y_train": None}, "must have x_train and y_train, or train_images and"),
        ({"x_train": None}, "has y_train, but not x_train"),
        ({"y_test": None}, "has x_test, but not y_test"),
        (
            {"train_images": _images(12, 3), "train_labels": np.arange(12) % 3},
            "has both x_train and train_images; leave one out",
        ),
        ({"x_train": _images(0, 1), "y_train": np.arange(0)}, "has no images for train"),
        ({"x_train": np.empty((0, 28, 28), np.uint8), "y_train": []}, "integers as labels"),
        ({"x_test": np.empty((0, 28, 28), np.uint8), "y_test": np.arange(0)}, "no images for t"),
        ({"x_train": np.zeros((12, 28, 28))}, "integers from 0 to 255, but is of type fl"),
        ({"x_train": np.full((12, 28, 28), 256)}, "integers from 0 to 255, but has 256 to 256"),
        ({"x_train": np.array(["a"] * 12)}, "integers from 0 to 255, but is of type <U1"),
        ({"x_train": np.array([None] * 12)}, "write arrays of numbers with `numpy.savez`"),
        (
            {"x_train": _images(12, 1, 784)},
            r"must have the shape \[n, side, side\], .* \[12, 784\]",
        ),
        ({"x_train": _images(12, 1, 28, 28, 4)}, r"but has \[12, 28, 28, 4\]$"),
        ({"x_train": _images(12, 1, 3, 28, 28)}, r"3, 28, 28\]; use `np.moveaxis\(images, 1, -1"),
        ({"x_train": _images(12, 1, 27, 27)}, "with 28 to 64 pixels a side, but train has 27×27"),
        ({"x_train": _images(12, 1, 28, 30)}, "must be square, .* but train has 30×28"),
        ({"x_test": _images(6, 1, 65, 65)}, "but test has 65×65"),
        ({"x_test": _images(6, 1, 32, 32)}, "test has gray images of 32×32 pixels, train gray"),
        ({"x_test": _images(6, 1, 28, 28, 3)}, "test has color images of 28×28 pixels, train gr"),
        ({"y_train": np.arange(11)}, r"one label for each of 12 images, .* shape is \[11\]"),
        ({"y_train": np.eye(12)}, r"12, 12\]; if they are one-hot, use `labels.argmax\(1\)`"),
        ({"y_train": np.array(["cat", "dog"] * 6)}, r"type <U3; use .* for names `np.unique\(lab"),
        ({"y_train": np.zeros(12)}, "integers as labels, but they are of type float64"),
        ({"y_train": np.arange(12) - 1}, "between 0 and 999, but they are between -1 and 10"),
        ({"y_train": np.arange(12) + 990}, "but they are between 990 and 1001"),
        ({"y_train": np.zeros(12, int)}, "must have 2 to 1,000 classes, but has 1"),
        (
            {"y_train": np.arange(12) // 11, "y_test": np.zeros(6, int)},
            "the class 1 of .* has one training image",
        ),
        ({"y_train": np.arange(12) % 3 + 1}, "class 0 of .* no training image; labels must begin"),
        ({"y_train": np.arange(12) % 2 * 2}, "the class 1 of .* has no training image"),
        ({"y_test": np.arange(6)}, "has images of class 3 in test, but not in train"),
        (
            {"x_test": _images(12, 1)[6:]},
            r"6 images are in both train and test, such as .*: x_train\[6\] and .*: x_test\[0\];",
        ),
    ],
)
def test_npz_with_a_fault_is_refused_with_the_reason(changed, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        _load_npz(tmp_path, **_arrays(**changed))
    assert str(tmp_path / "a.npz") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_no_npz_is_refused(tmp_path):
    good, other = io.BytesIO(), io.BytesIO()
    np.savez(good, **_arrays())
    np.save(other, _images(2, 1))
    path = tmp_path / "a.npz"
    for data, message in (
        (None, "there is no file"),
        (b"PK", "cannot be read as an .npz file"),
        (b"text", "numpy.savez`"),
        (other.getvalue(), "numpy.savez`"),
        (good.getvalue()[:-200], "cannot be read as an .npz file"),
    ):
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(DataError, match=message):
            load_npz(path, Progress())
    with pytest.raises(DataError, match="Is a directory"):
        load_npz(tmp_path, Progress())


@pytest.mark.parametrize(
    ("part", "name", "content", "message"),
    [
        ("train", "a/x.png", b"not an image", "a/x.png is not a readable image"),
        ("train", "a/x.png", _images(1, 5, 29, 29)[0], "x.png has 29×29 pixels, but .* 28×28"),
        ("train", "a/x.png", _images(1, 5)[0].astype(np.uint16), "more than 8 bits per channel"),
        ("train", "c/x.png", _images(1, 5)[0], "the class c of .* has one training image"),
        ("train", "c/notes.txt", b"", "c has no images; use PNG or JPEG files"),
        ("test", "c/x.png", _images(1, 5)[0], "test/c: there is no class c in .*train"),
        (
            "test",
            "a/x.png",
            _images(8, 1)[0],
            "1 image is in both train and test, such as .*train/a/000.png and .*test/a/x.png",
        ),
    ],
)
def test_folder_with_a_fault_is_refused_with_the_reason(part, name, content, message, images):
    file = images / part / name
    file.parent.mkdir(exist_ok=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        Image.fromarray(content).save(file)
    with pytest.raises(DataError, match=message):
        load_folder(images, Progress())


@pytest.mark.parametrize("pixels", [np.uint16, np.int32, np.float32])
def test_image_of_more_than_8_bits_is_refused_wherever_it_is_read(pixels, tmp_path):
    path = tmp_path / "x.tiff"
    Image.fromarray(_images(1, 5)[0].astype(pixels)).save(path)
    for channels in (1, 3):
        with pytest.raises(DataError, match=r"x\.tiff cannot be read: more than 8 bits per"):
            read_image(path, channels=channels, side=28)


def test_files_and_arrays_that_are_not_used_are_said(images, tmp_path):
    for name in ("train/a/x.avif", "train/a/.x.avif", "train/b/more/x", "test/list.csv"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_text("")
    Image.fromarray(_images(1, 3)[0]).save(images / "test" / "loose.png")
    note = "note: files that are not PNG, JPEG and so on are not used: "
    assert _load(images)[1][:3] == [
        f"{note}2 in {images}/train, such as {images}/train/a/x.avif",
        f"note: images without a class are not used: 1 in {images}/test",
        f"{note}1 in {images}/test, such as {images}/test/list.csv",
    ]
    arrays = _arrays(x_valid=_images(6, 3), y_valid=np.arange(6))
    _, said = _load(tmp_path / "a.npz", **arrays)
    assert said[0] == f"note: {tmp_path}/a.npz: arrays that are not used: x_valid, y_valid"


def test_links_to_folders_are_followed(images, tmp_path):
    _fill(tmp_path, "elsewhere", _images(6, 3), "c", "more")
    (images / "train" / "c").symlink_to(tmp_path / "elsewhere" / "c")
    (images / "train" / "a" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (images / "train" / "a" / "circle").symlink_to(images / "train")
    (images / "train" / "circle").symlink_to(images)
    (tmp_path / "elsewhere" / "more" / "circle").symlink_to(images / "train" / "a")
    data = load_folder(images, Progress())
    assert np.bincount(data.train.labels).tolist() == [7, 4, 3]


def test_pipe_is_refused_instead_of_waited_for(images):
    os.mkfifo(images / "train" / "a" / "pipe.png")
    with pytest.raises(DataError, match=r"a/pipe\.png is not a file$"):
        load_folder(images, Progress())


def test_what_the_accuracy_does_not_speak_of_is_said(tmp_path):
    path = tmp_path / "a.npz"
    missing = f"note: {path}: no images for "
    _, said = _load(path, **_arrays(y_test=np.arange(6) % 2))
    assert said == [f"{missing}validation of class 2", f"{missing}test of class 2"]
    _, said = _load(path, x_train=_images(15, 4), y_train=np.arange(15) % 3)
    assert said[1:] == [f"{missing}validation of class 1", f"{missing}test of class 2"]


def test_folder_without_classes_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file is neither a folder of images nor an \.npz file"):
        load_folder(tmp_path / "file", Progress())
    mine, said = tmp_path / "mine", list[str]()
    for message, next_folder in (
        ("there is no folder ", mine / "photos"),
        ("there is no folder train in ", mine / "train"),
        ("has no classes", None),
    ):
        assert said == []  # of folders that are not used, unless there is one that is
        with pytest.raises(DataError, match=message):
            load_folder(mine, Progress(said.append))
        if next_folder is not None:
            next_folder.mkdir(parents=True)
    assert said == [f"note: {mine}/photos is not used; parts are called train, val and test"]
