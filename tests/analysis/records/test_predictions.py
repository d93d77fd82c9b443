import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from analysis.errors import LedgerError
from analysis.records.predictions import (
    Predictions,
    ShownImages,
    load_images,
    load_predictions,
    save_images,
    save_predictions,
)
from analysis.storage.folder import LocalFolder


def some_predictions(n: int = 100) -> Predictions:
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 10, (2, n)).astype(np.uint8)
    return Predictions(digits[0], rng.random(n).astype(np.float16), digits[1])


def savez(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_predictions_survive_writing_and_reading(tmp_path: Path) -> None:
    folder, predictions = LocalFolder(tmp_path), some_predictions()
    save_predictions(folder, "finalist-1", 1001, predictions)
    assert (tmp_path / "predictions" / "finalist-1-seed-1001.npz").is_file()
    read = load_predictions(folder, "finalist-1", 1001)
    assert read is not None
    for name in ("predicted", "confidence", "labels"):
        before, after = getattr(predictions, name), getattr(read, name)
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(read.correct, predictions.predicted == predictions.labels)


def test_images_survive_writing_and_reading(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    images = np.arange(3 * 784, dtype=np.uint64).astype(np.uint8).reshape(3, 28, 28)
    save_images(folder, ShownImages(np.array([4, 9, 12], np.int32), images))
    read = load_images(folder)
    np.testing.assert_array_equal(read.indices, [4, 9, 12])
    np.testing.assert_array_equal(read.images, images)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    save_predictions(folder, "a", 1, some_predictions())
    save_predictions(folder, "a", 2, some_predictions())
    assert folder.read("predictions/a-seed-1.npz") == folder.read("predictions/a-seed-2.npz")


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert load_predictions(LocalFolder(tmp_path), "finalist-1", 1001) is None
    images = load_images(LocalFolder(tmp_path))
    assert (images.indices.shape, images.images.shape) == ((0,), (0, 28, 28))


def npz_with_a_pickle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("predicted", "confidence", "labels"):
            member = io.BytesIO()
            np.save(member, np.array([{"a": 1}], dtype=object), allow_pickle=True)
            archive.writestr(f"{name}.npy", member.getvalue())
    return buffer.getvalue()


DIGITS = np.zeros(5, np.uint8)
CERTAIN = np.ones(5, np.float32)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        savez(predicted=DIGITS, confidence=CERTAIN, labels=DIGITS)[:-30],
        savez(predicted=DIGITS, confidence=CERTAIN),
        savez(predicted=DIGITS, confidence=CERTAIN, labels=DIGITS[:4]),
        savez(predicted=DIGITS.astype(np.int64), confidence=CERTAIN, labels=DIGITS),
        savez(predicted=DIGITS, confidence=DIGITS, labels=DIGITS),
        savez(predicted=DIGITS[:, None], confidence=CERTAIN[:, None], labels=DIGITS[:, None]),
        npz_with_a_pickle(),
    ],
)
def test_damaged_predictions_are_refused(tmp_path: Path, data: bytes) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("predictions/a-seed-1.npz", data)
    with pytest.raises(LedgerError, match=r"a-seed-1\.npz "):
        load_predictions(folder, "a", 1)


def test_damaged_byte_of_predictions_is_noticed(tmp_path: Path) -> None:
    folder, predictions = LocalFolder(tmp_path), some_predictions()
    save_predictions(folder, "a", 1, predictions)
    whole = folder.read("predictions/a-seed-1.npz")
    n_refused = 0
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 0xFF
        folder.local_path("predictions/a-seed-1.npz").write_bytes(data)
        try:
            read = load_predictions(folder, "a", 1)
        except LedgerError:
            n_refused += 1
        else:  # not every byte of an archive matters, such as those of its dates
            assert read is not None
            np.testing.assert_array_equal(read.predicted, predictions.predicted)
    assert n_refused > len(whole) / 2


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    indices = np.zeros(2, np.int32)
    folder.write(
        "predictions/images.npz", savez(indices=indices, images=np.zeros((3, 28, 28), np.uint8))
    )
    with pytest.raises(LedgerError, match="does not hold what it should"):
        load_images(folder)
