"""Training as in tutorials: torchvision's MNIST, PIL transforms, a DataLoader."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import MNIST

from analysis.hyperparameters import complete
from arms.marks import mark
from arms.problem import EPOCHS, N_TRAIN, N_VALIDATION

NORMALIZE = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]


class LeNet5(nn.Module):
    """The project's network, written layer by layer."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.conv3 = nn.Conv2d(16, 120, 5)
        self.fc1 = nn.Linear(120, 84)
        self.fc2 = nn.Linear(84, 10)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.max_pool2d(F.relu(self.conv1(x)), 2))
        x = self.dropout(F.max_pool2d(F.relu(self.conv2(x)), 2))
        x = F.relu(self.conv3(x)).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


def training_loader(folder: str, config: Mapping[str, Any], n_images: int) -> DataLoader:
    """Load the first `n_images` of the training set in `folder`, shuffled and augmented."""
    augment = [
        transforms.RandomRotation(config["rotation"]),
        transforms.RandomAffine(0, translate=(config["shift"], config["shift"])),
    ]
    dataset = MNIST(folder, train=True, transform=transforms.Compose(augment + NORMALIZE))
    subset = Subset(dataset, range(n_images))
    return DataLoader(subset, batch_size=config["batch_size"], shuffle=True)


def validation_loader(folder: str, indices: range) -> DataLoader:
    """Load images of the training set in `folder` for validation."""
    dataset = MNIST(folder, train=True, transform=transforms.Compose(NORMALIZE))
    return DataLoader(Subset(dataset, indices), batch_size=128)


def build(config: Mapping[str, Any]) -> tuple[LeNet5, torch.optim.Optimizer]:
    """Return the network and its optimizer."""
    model = LeNet5(config["dropout"])
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=config["learning_rate"],
        momentum=config["momentum"],
        weight_decay=config["weight_decay"],
    )
    return model, optimizer


def train_one_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader
) -> None:
    """Train on every image once."""
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()


def measure_accuracy(model: nn.Module, loader: DataLoader) -> float:
    """Return the fraction of images classified correctly, in [0, 1]."""
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in loader:
            correct += int((model(images).argmax(1) == labels).sum())
            total += len(labels)
    return correct / total


def train(folder: str, point: Mapping[str, float]) -> Iterator[float]:
    """Train a trial of the comparison; yield the validation accuracy of each epoch."""
    torch.set_num_threads(1)
    config = complete(point)
    training = training_loader(folder, config, N_TRAIN)
    validation = validation_loader(folder, range(N_TRAIN, N_TRAIN + N_VALIDATION))
    model, optimizer = build(config)
    for _ in range(EPOCHS):
        mark("began")
        train_one_epoch(model, optimizer, training)
        yield measure_accuracy(model, validation)
