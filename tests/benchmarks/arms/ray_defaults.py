"""The comparison of sweeps: this project's training code under Ray Tune's default settings."""

import torch
from ray import tune

from analysis.hyperparameters import complete
from arms.marks import mark
from arms.problem import EPOCHS, load_images
from arms.ray_sweeps import search
from sweep.training.loop import TrainingRun, train_epochs


def train_lenet5(config, images):
    torch.set_num_threads(1)
    run = TrainingRun("lenet5", complete(config), seed=0)
    mark("began")
    for epoch in train_epochs(run, *images, epochs=EPOCHS):
        tune.report({"val_accuracy": epoch.val_accuracy})


if __name__ == "__main__":
    search(tune.with_parameters(train_lenet5, images=load_images()))
