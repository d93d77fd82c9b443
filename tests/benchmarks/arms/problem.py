"""The task of every arm in the comparison of sweeps: the same trials on the same images."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.hyperparameters import HAND_TUNED
from data_utils.dataset import ImageDataset
from data_utils.mnist import load_mnist
from sweep.config import SweepConfig

N_TRAIN, N_VALIDATION = 10_000, 2_000
EPOCHS = 5
N_TRIALS = 16
WORKERS = 2
HALVING = {"grace_period": 1, "reduction_factor": 3}
SPACE = SweepConfig().space  # the other hyperparameters have their defaults


def each_range(
    uniform: Callable[[float, float], Any], log_uniform: Callable[[float, float], Any]
) -> dict[str, Any]:
    """Return by searched name what the function for its scale makes of its range."""
    return {
        name: (log_uniform if one.log else uniform)(one.low, one.high)
        for name, one in SPACE.items()
    }


def draw_points() -> list[dict[str, float]]:
    """Return the hyperparameters of the trials: the hand-tuned ones, then random ones."""
    rng = np.random.default_rng(0)

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    drawn = [each_range(rng.uniform, log_uniform) for _ in range(N_TRIALS - 1)]
    return [dict(HAND_TUNED), *drawn]


def load_images() -> tuple[ImageDataset, ImageDataset]:
    """Return the training images and the validation images."""
    images = load_mnist().train
    n_all = N_TRAIN + N_VALIDATION
    return images.take(range(N_TRAIN)), images.take(range(N_TRAIN, n_all))


def write_images(folder: Path, dataset: ImageDataset) -> None:
    """Write images below `folder`, where torchvision looks for MNIST."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    n = len(dataset)
    images = struct.pack(">4i", 2051, n, 28, 28) + np.ascontiguousarray(dataset.images).tobytes()
    labels = struct.pack(">2i", 2049, n) + np.ascontiguousarray(dataset.labels).tobytes()
    for part in ("train", "t10k"):  # torchvision requires both
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
