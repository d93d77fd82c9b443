"""The comparison of sweeps: this project's training code under Ray Tune's default settings."""

import torch
from ray import tune

from arms.marks import mark
from arms.problem import EPOCHS, load_images, with_recipe
from arms.ray_sweeps import search
from sweep.training.loop import TrainingRun, train_epochs


def train_lenet5(config, images):
    torch.set_num_threads(1)
    run = TrainingRun.start("lenet5", with_recipe(config), seed=0)
    mark("began")
    for metrics in train_epochs(run, *images, epochs=EPOCHS):
        tune.report({"val_accuracy": metrics.val_accuracy})


if __name__ == "__main__":
    search(tune.with_parameters(train_lenet5, images=load_images()))
