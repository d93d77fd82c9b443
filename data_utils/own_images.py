"""A user's own images: a folder of images by class, or an `.npz` file.

A folder is as for torchvision's `ImageFolder`: `train/CLASS/*.png` and `test/CLASS/*.png`. A
file has Keras' names (`x_train`, `y_train`, …) or MedMNIST's (`train_images`, `train_labels`, …).
A part `val` is used for validation; without a part `test`, some images are set aside for it.
"""

import hashlib
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_utils import DEFAULT_SPLIT, Split
from data_utils.dataset import ImageDataset, TrainTest, describe_pixels, held_out, n_held_out
from data_utils.errors import DataError
from data_utils.images import files_below, is_image, opaque, open_image
from data_utils.sources import Progress

MIN_SIDE, MAX_SIDE = 28, 64
MAX_CLASSES = 1000

_PARTS = ("train", "val", "test")
_NAMES = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))  # Keras' and MedMNIST's
_SHAPES = "[n, side, side], [n, side, side, 1] or [n, side, side, 3]"


@dataclass(frozen=True)
class _Part:
    """Images [n, side, side] or [n, side, side, 3] with labels, and how messages name each."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    names: list[str]

    @cached_property
    def digests(self) -> list[bytes]:
        """What tells each image from others."""
        return [hashlib.sha256(image.tobytes()).digest() for image in self.images]

    def take(self, chosen: NDArray[np.bool]) -> "_Part":
        names = [name for name, is_chosen in zip(self.names, chosen, strict=True) if is_chosen]
        return _Part(self.images[chosen], self.labels[chosen], names)


def load_npz(path: Path, progress: Progress, split: Split = DEFAULT_SPLIT) -> TrainTest:
    """Load an `.npz` file, without pickles; its classes are called 0, 1 and so on.

    DataError if it cannot be read, or something is wrong with its images or labels.
    """
    parts: dict[str, _Part] = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            for part in _PARTS:
                for names in _NAMES:
                    images, labels = (name.format(part) for name in names)
                    if images in arrays and part in parts:
                        twice = " and ".join(name.format(part) for name, _ in _NAMES)
                        raise DataError(f"{path} has both {twice}; leave one out")
                    if (has_images := images in arrays) and labels in arrays:
                        parts[part] = _check_arrays(path, images, arrays[images], arrays[labels])
                    elif has_images or labels in arrays:
                        there, missing = (images, labels) if has_images else (labels, images)
                        raise DataError(f"{path} has {there}, but not {missing}")
            names_there = list(arrays)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        if isinstance(error, TypeError) or "pickle" in reason:  # no archive, or Python's objects
            reason = "write arrays of numbers with `numpy.savez`"
        raise DataError(f"{path} cannot be read as an .npz file: {reason}") from None
    if "train" not in parts:
        wanted = "x_train and y_train, or train_images and train_labels"
        found = ", ".join(names_there) or "nothing"
        raise DataError(f"{path} must have {wanted}, but has {found}")
    read = {name.format(part) for part in parts for names in _NAMES for name in names}
    if unused := [_printable(name) for name in names_there if name not in read]:
        few = ", ".join(unused[:5]) + ", …" * (len(unused) > 5)
        progress.message(f"note: {path}: arrays that are not used: {few}")
    classes = [str(i) for i in range(int(parts["train"].labels.max(initial=0)) + 1)]
    return _assemble(str(path), parts, classes, progress, split)


def load_folder(path: Path, progress: Progress, split: Split = DEFAULT_SPLIT) -> TrainTest:
    """Load a folder of images by class, in color if one of them is.

    DataError if an image cannot be read, or something is wrong with the images.
    """
    try:
        parts, classes = _read_parts(path, progress)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if all((part.images[..., :1] == part.images).all() for part in parts.values()):
        parts = {k: replace(part, images=part.images[..., 0]) for k, part in parts.items()}
    return _assemble(str(path), parts, classes, progress, split)


def _read_parts(path: Path, progress: Progress) -> tuple[dict[str, _Part], list[str]]:
    """Read a folder's parts, in color, and the names of its classes."""
    if path.is_file():
        raise DataError(f"{path} is neither a folder of images nor an .npz file")
    if not (path / "train").is_dir():
        what = "there is no folder" if not path.exists() else "there is no folder train in"
        raise DataError(f"{what} {path}; put the images into {path / 'train' / 'CLASS'}")
    for folder in _folders(path):
        if folder.name not in _PARTS:
            progress.message(f"note: {folder} is not used; parts are called train, val and test")
    for part in _PARTS:
        if n := sum(p.is_file() and is_image(p) for p in (path / part).glob("*")):
            progress.message(f"note: images without a class are not used: {n:,} in {path / part}")
        if others := [p for p in files_below(path / part) if not is_image(p)]:
            progress.message(
                "note: files that are not PNG, JPEG and so on are not used: "
                f"{len(others):,} in {path / part}, such as {others[0]}"
            )
    classes = [folder.name for folder in _folders(path / "train")]
    parts = {}
    for part in _PARTS:
        files, labels = [], []
        for folder in _folders(path / part):
            if folder.name not in classes:
                raise DataError(f"{folder}: there is no class {folder.name} in {path / 'train'}")
            here = [file for file in files_below(folder) if is_image(file)]
            if not here:
                raise DataError(f"{folder} has no images; use PNG or JPEG files")
            files += here
            labels += [classes.index(folder.name)] * len(here)
        if files:
            progress.message(f"reading {len(files):,} images from {path / part}")
            parts[part] = _Part(_stack(files), np.array(labels, np.uint16), list(map(str, files)))
    if not parts:
        raise DataError(f"{path / 'train'} has no classes; put the images into train/CLASS")
    return parts, classes


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    own = path.resolve()
    return sorted(
        p
        for p in path.iterdir()
        if p.is_dir() and not p.name.startswith(".") and not own.is_relative_to(p.resolve())
    )


def _stack(files: list[Path]) -> NDArray[np.uint8]:
    """Read images of one size: [n, side, side, 3]."""

    def prepare(image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(opaque(image).convert("RGB"))

    pixels: list[NDArray[np.uint8]] = []
    for file in files:
        pixels.append(open_image(file, prepare))
        if pixels[-1].shape != pixels[0].shape:
            (height, width, _), (first_height, first_width, _) = pixels[-1].shape, pixels[0].shape
            raise DataError(
                f"{file} has {width}×{height} pixels, but {files[0]} has "
                f"{first_width}×{first_height}; give all images one size"
            )
    return np.stack(pixels)


def _check_arrays(path: Path, name: str, images: NDArray[Any], labels: NDArray[Any]) -> _Part:
    """Check one part of a file by itself."""
    where = f"{path}: {name}"
    if images.dtype.kind not in "iu":
        raise DataError(
            f"{where} must be integers from 0 to 255, but is of type {images.dtype}; multiply "
            "fractions by 255, and convert them with `.astype('uint8')`"
        )
    if images.size and not 0 <= images.min() <= images.max() <= 255:
        raise DataError(
            f"{where} must be integers from 0 to 255, but has {images.min()} to {images.max()}"
        )
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3):
        has = f"has {list(images.shape)}"
        if images.ndim == 4 and images.shape[1] in (1, 3):
            has += "; use `np.moveaxis(images, 1, -1)`"
        raise DataError(f"{where} must have the shape {_SHAPES}, but {has}")
    if labels.shape not in ((len(images),), (len(images), 1)):
        wanted = f"one label for each of {len(images):,} images"
        has = f"the labels' shape is {list(labels.shape)}"
        if labels.ndim == 2:
            has += "; if they are one-hot, use `labels.argmax(1)`"
        raise DataError(f"{where} needs {wanted}, but {has}")
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"{where} needs integers as labels, but they are of type {labels.dtype}; use "
            "`labels.astype(int)`, or for names `np.unique(labels, return_inverse=True)[1]`"
        )
    labels = labels.reshape(-1)
    if labels.size and not 0 <= labels.min() <= labels.max() < MAX_CLASSES:
        raise DataError(
            f"{where} needs labels between 0 and {MAX_CLASSES - 1}, but they are between "
            f"{labels.min()} and {labels.max()}"
        )
    names = [f"{where}[{i}]" for i in range(len(images))]
    return _Part(images.astype(np.uint8, copy=False), labels.astype(np.uint16), names)


def _assemble(
    where: str, parts: dict[str, _Part], classes: list[str], progress: Progress, split: Split
) -> TrainTest:
    """Check the parts together, and make the dataset."""
    _check_together(where, parts, classes)
    train, class_names = parts["train"], tuple(map(_printable, classes))
    if "test" not in parts:
        n = len(train.labels)
        for_test = held_out(train.labels, n_held_out(n), split, seed=0)
        test, train = train.take(for_test), train.take(~for_test)
        parts |= {"train": train, "test": test}
        progress.message(
            f"{where} has no test images: {len(test.labels):,} of the {n:,} training images, "
            "the same share of each class as far as possible, are set aside for the test"
        )
        learned_from = set(train.digests)
        if n_again := sum(digest in learned_from for digest in test.digests):
            raise DataError(
                f"{where} has equal images, of which {n_again:,} would be set aside for the test "
                "although the network learns from their copies; remove copies, or add test images"
            )
    if (validation := parts.get("val")) is None:
        n = n_held_out(len(train.labels))
        validation = train.take(held_out(train.labels, n, split, seed=0))
        first: dict[bytes, int] = {}
        pairs = [(first.setdefault(digest, i), i) for i, digest in enumerate(train.digests)]
        if copies := [pair for pair in pairs if pair[0] != pair[1]]:
            example = " and ".join(train.names[i] for i in copies[0])
            progress.message(
                f"note: {where}: {len(copies):,} training images are copies of others, such as "
                f"{example}: they can make the validation accuracy too high; remove copies"
            )
    for used_for, part in (("validation", validation), ("test", parts["test"])):
        counts = np.bincount(part.labels, minlength=len(classes))
        if missing := [c for c, n in zip(class_names, counts, strict=True) if not n]:
            few = ", ".join(missing[:5]) + ", …" * (len(missing) > 5)
            progress.message(f"note: {where}: no images for {used_for} of class {few}")
    images = {name: _channels_first(part.images) for name, part in parts.items()}
    kind = np.uint8 if len(classes) <= 256 else np.uint16
    labels: dict[str, NDArray[np.uint8 | np.uint16]]
    labels = {name: part.labels.astype(kind) for name, part in parts.items()}
    spec = describe_pixels(images["train"], class_names)  # without what is set aside
    test_images = ImageDataset(images["test"], labels["test"], spec)
    if "val" not in parts:
        return TrainTest(ImageDataset(images["train"], labels["train"], spec), test_images)
    learned, classified = (np.concatenate([of["train"], of["val"]]) for of in (images, labels))
    return TrainTest(ImageDataset(learned, classified, spec), test_images, len(labels["val"]))


def _printable(name: str) -> str:
    """Return a name with its control characters escaped, and bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images if images.ndim == 3 else np.ascontiguousarray(np.moveaxis(images, -1, 1))


def _check_together(where: str, parts: dict[str, _Part], classes: list[str]) -> None:
    """Raise DataError if something is wrong with the parts together."""
    for name, part in parts.items():
        if not len(part.labels):
            raise DataError(f"{where} has no images for {name}")
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise DataError(f"{where} must have 2 to {MAX_CLASSES:,} classes, but has {len(classes)}")
    train = parts["train"]
    for name, part in parts.items():
        height, width = part.images.shape[1:3]
        if height != width or not MIN_SIDE <= width <= MAX_SIDE:
            size = f"square, with {MIN_SIDE} to {MAX_SIDE} pixels a side"
            raise DataError(
                f"the images of {where} must be {size}, but {name} has {width}×{height}"
            )
        if part.images.shape[1:] != train.images.shape[1:]:
            kinds = ["color" if p.images.ndim == 4 else "gray" for p in (part, train)]
            sizes = [f"{p.images.shape[2]}×{p.images.shape[1]}" for p in (part, train)]
            raise DataError(
                f"the images of {where} differ: {name} has {kinds[0]} images of {sizes[0]} "
                f"pixels, train {kinds[1]} ones of {sizes[1]}"
            )
        if (beyond := part.labels >= len(classes)).any():
            label = part.labels[beyond][0]
            raise DataError(f"{where} has images of class {label} in {name}, but not in train")
    for label, n in enumerate(np.bincount(train.labels, minlength=len(classes))):
        if n < 2:
            found = "one training image" if n else "no training image"
            advice = "it needs two or more" if n or label else "labels must begin at 0"
            raise DataError(
                f"the class {_printable(classes[label])} of {where} has {found}; {advice}"
            )
    for one, other in combinations(parts, 2):
        first = {digest: i for i, digest in enumerate(parts[one].digests)}
        second = enumerate(parts[other].digests)
        again = [(first[digest], i) for i, digest in second if digest in first]
        if again:
            pair = f"{parts[one].names[again[0][0]]} and {parts[other].names[again[0][1]]}"
            some = "1 image is" if len(again) == 1 else f"{len(again):,} images are"
            raise DataError(
                f"{some} in both {one} and {other}, such as {pair}; remove them from one of them"
            )
