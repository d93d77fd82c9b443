"""The comparison of sweeps: Ray Tune as in its own MNIST example.

After https://docs.ray.io/en/latest/tune/examples/includes/mnist_pytorch.html: each trial is a
function in a process of its own, which opens the data and trains with a DataLoader.
"""

import sys

from ray import tune

from arms.idiomatic import train
from arms.ray_sweeps import search


def train_mnist(config, folder):
    for accuracy in train(folder, config):
        tune.report({"val_accuracy": accuracy})


if __name__ == "__main__":
    search(tune.with_parameters(train_mnist, folder=sys.argv[1]))
