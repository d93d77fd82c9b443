import io

import numpy as np
import pytest

from analysis.records.predictions import (
    Predictions,
    ShownImages,
    load_images,
    load_predictions,
    save_images,
    save_predictions,
)

FILE = "predictions/a-seed-1.npz"
DIGITS = np.zeros(5, np.uint8)
CERTAIN = np.ones(5, np.float32)
PICKLED = np.array([{"a": 1}], dtype=object)


def some_predictions(n: int = 100) -> Predictions:
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 10, (2, n)).astype(np.uint8)
    return Predictions(digits[0], rng.random(n).astype(np.float16), digits[1])


def savez(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_predictions_are_read_as_written(folder):
    predictions = some_predictions()
    save_predictions(folder, "a", 1, predictions)
    save_predictions(folder, "a", 2, predictions)
    assert folder.read(FILE) == folder.read("predictions/a-seed-2.npz")
    read = load_predictions(folder, "a", 1, predictions.correct.mean())
    assert read is not None
    for name in ("predicted", "confidence", "labels"):
        before, after = getattr(predictions, name), getattr(read, name)
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(read.correct, predictions.predicted == predictions.labels)


def test_predictions_of_another_accuracy_count_as_missing(folder):
    save_predictions(folder, "a", 1, Predictions(DIGITS, CERTAIN, DIGITS))
    n = len(DIGITS)
    assert load_predictions(folder, "a", 1, 1.0) is not None
    assert load_predictions(folder, "a", 1, (n - 1) / n) is None


def test_images_are_read_as_written(folder):
    images = np.arange(3 * 784, dtype=np.uint64).astype(np.uint8).reshape(3, 28, 28)
    save_images(folder, ShownImages(np.array([4, 9, 12], np.int32), images))
    read = load_images(folder)
    np.testing.assert_array_equal(read.indices, [4, 9, 12])
    np.testing.assert_array_equal(read.images, images)


def test_missing_files_are_no_error(folder):
    assert load_predictions(folder, "a", 1, 1.0) is None
    images = load_images(folder)
    assert (images.indices.shape, images.images.shape) == ((0,), (0, 28, 28))


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
        savez(**dict.fromkeys(("predicted", "confidence", "labels"), PICKLED)),
    ],
)
def test_damaged_predictions_count_as_missing(folder, data):
    folder.write(FILE, data)
    assert load_predictions(folder, "a", 1, 1.0) is None


def test_images_of_another_shape_count_as_missing(folder):
    images = np.zeros((3, 28, 28), np.uint8)
    folder.write("predictions/images.npz", savez(indices=np.zeros(2, np.int32), images=images))
    assert len(load_images(folder).indices) == 0
