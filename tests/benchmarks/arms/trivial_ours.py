"""Trials of a single step on a single image, one epoch each: what remains is the engine's own."""

import sys

from arms.problem import load_images
from arms.sweeping import search
from sweep.config import SweepConfig

if __name__ == "__main__":
    config = SweepConfig(
        trials=int(sys.argv[1]), epochs=1, searcher="random", scheduler="none", confirm=None
    )
    train, validation = load_images()
    search(config, train.take([0]), validation.take([0]))
