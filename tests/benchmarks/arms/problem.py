"""What every arm of the comparison of sweeps has to do: the same trials on the same images."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_utils.dataset import ImageDataset
from data_utils.mnist import load_mnist
from sweep.config import HAND_TUNED, Recipe, SweepConfig

N_TRAIN, N_VALIDATION = 10_000, 2_000
EPOCHS = 5
N_TRIALS = 16
WORKERS = 2
GRACE_PERIOD, REDUCTION_FACTOR = 1, 3  # of each one's own successive halving

# What is searched; the recipe is the hand-tuned point's.
SPACE = SweepConfig().space
BOUNDS = {name: (one.low, one.high) for name, one in SPACE.items()}
LOGARITHMIC = {name for name, one in SPACE.items() if one.log}


def draw_points() -> list[dict[str, float]]:
    """Returns the hyperparameters of the trials: the hand-tuned ones, then random ones."""
    generator = np.random.default_rng(0)
    points = [dict(HAND_TUNED)]
    for _ in range(N_TRIALS - 1):
        point = {}
        for name, bounds in BOUNDS.items():
            if name in LOGARITHMIC:
                point[name] = float(np.exp(generator.uniform(*np.log(bounds))))
            else:
                point[name] = float(generator.uniform(*bounds))
        points.append(point)
    return points


def with_recipe(point: Mapping[str, float]) -> dict[str, Any]:
    """Returns all hyperparameters of a trial."""
    return Recipe().model_dump() | dict(point)


def load_images() -> tuple[ImageDataset, ImageDataset]:
    """Returns the images to learn from and those to validate on."""
    images = load_mnist().train
    n_all = N_TRAIN + N_VALIDATION
    return images.take(range(N_TRAIN)), images.take(range(N_TRAIN, n_all))


def write_images(folder: Path, dataset: ImageDataset) -> None:
    """Writes images below `folder`, where torchvision looks for MNIST."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    n = len(dataset)
    images = struct.pack(">4i", 2051, n, 28, 28) + np.ascontiguousarray(dataset.images).tobytes()
    labels = struct.pack(">2i", 2049, n) + np.ascontiguousarray(dataset.labels).tobytes()
    for part in ("train", "t10k"):  # torchvision wants to find both
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
