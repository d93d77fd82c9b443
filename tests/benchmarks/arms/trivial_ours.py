"""Trials of one step on one image for one epoch: nearly all their time is the engine's."""

import sys

from arms.ours import search
from data_utils.mnist import load_mnist
from sweep.config import SweepConfig

if __name__ == "__main__":
    config = SweepConfig(
        trials=int(sys.argv[1]), epochs=1, searcher="random", scheduler="none", confirm=None
    )
    search(config, load_mnist().train.take([0, 1]))  # one to train on, one for validation
