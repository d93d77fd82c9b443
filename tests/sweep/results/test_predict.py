from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.records.ledger import read_ledger
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import TrainTest
from sweep.errors import UsageError
from sweep.results.best_model import load_best_model
from sweep.results.predict import predict, read_images

TRAINED = Path(__file__).parents[2] / "data" / "v0.1.0"


def save_distorted(images: Sequence[np.ndarray], folder: Path) -> list[Path]:
    """Save images, dark on light, at 20 to 300 pixels a side, somewhere on a larger sheet."""
    rng = np.random.default_rng(0)
    filters = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)
    paths = []
    for number, image in enumerate(images):
        side = int(rng.integers(20, 301))
        digit = Image.fromarray(255 - image).resize((side, side), filters[rng.integers(3)])
        width, height = (int(length) for length in rng.integers(side, 2 * side, 2))
        sheet = Image.new("L", (width, height), 255)
        sheet.paste(digit, (rng.integers(width - side + 1), rng.integers(height - side + 1)))
        paths.append(folder / f"{number}.{('png', 'jpg')[number % 2]}")
        sheet.save(paths[-1])
    return paths


def test_predict_recognises_distorted_digits(mnist: TrainTest, tmp_path: Path) -> None:
    folder, test = LocalFolder(TRAINED), mnist.test.take(range(300))
    ledger = read_ledger(folder)
    model = load_best_model(folder, ledger, ledger.trials[1]).network
    paths = save_distorted(test.images, tmp_path)
    found = np.argmax(predict(model, read_images(paths)), axis=1)
    # This LeNet-5 misses 1.4 % of all test images as they are; 97 % are asked for.
    assert (found != test.labels).sum() <= 9


def test_bad_images_are_all_named(tmp_path: Path) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "blank.png")
    good = tmp_path / "good.png"
    Image.linear_gradient("L").save(good)
    with pytest.raises(UsageError) as caught:
        read_images([tmp_path / "blank.png", good, tmp_path / "none.png"])
    first, *others = str(caught.value).splitlines()
    assert first == "2 images cannot be used:"
    assert [line.split()[0] for line in others] == [
        f"{tmp_path}/blank.png",
        f"{tmp_path}/none.png",
    ]
    with pytest.raises(UsageError) as caught:
        read_images([tmp_path / "none.png"])
    assert str(caught.value) == f"{tmp_path}/none.png does not exist"
