"""Trials of a single step on a single image, one epoch each: what remains is the engine's own."""

import sys

from arms.sweeping import search
from data_utils.mnist import load_mnist
from sweep.config import SweepConfig

if __name__ == "__main__":
    config = SweepConfig(
        trials=int(sys.argv[1]), epochs=1, searcher="random", scheduler="none", confirm=None
    )
    search(config, load_mnist().train.take([0, 1]))  # one to learn from, one for validation
