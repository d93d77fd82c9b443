"""How many images a second one core trains on, beside the pipeline that everybody writes first.

    python tests/benchmarks/step.py [--rounds N] [--images N] [--json FILE]

Both train the regularized LeNet-5 (batch 64, dropout, rotation, shift, weight decay) on real
MNIST with one thread. They take turns, a short epoch each a round, so that whatever else the
machine does meets both; what counts is the ratio.
"""

import argparse
import json
import platform
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from data_utils.dataset import MEAN, STD, ImageDataset
from data_utils.mnist import load_mnist
from sweep.training.hyperparameters import Hyperparameters
from sweep.training.loop import TrainingRun, train_epochs

HAND_TUNED = Hyperparameters(
    dropout=0.25,
    rotation=10.0,
    shift=0.05,
    weight_decay=0.001,
    batch_size=64,
    learning_rate=0.01,
    schedule="constant",
    warmup_epochs=0,
    momentum=0.9,
    nesterov=False,
)
IDIOMATIC, OURS = "DataLoader, PIL transforms, plain LeNet-5", "sweep.training.train_epochs"


@dataclass(frozen=True)
class Speed:
    """Images a second, over the rounds."""

    median: float
    min: float
    max: float
    rounds: list[float]

    @classmethod
    def of(cls, rounds: list[float]) -> "Speed":
        return cls(statistics.median(rounds), min(rounds), max(rounds), rounds)


class PlainLeNet5(nn.Module):
    """LeNet-5 as tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.conv3 = nn.Conv2d(16, 120, 5)
        self.fc1 = nn.Linear(120, 84)
        self.fc2 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.max_pool2d(F.relu(conv(x)), 2)
            x = F.dropout(x, HAND_TUNED.dropout, self.training)
        x = F.relu(self.conv3(x)).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


def idiomatic_pipeline(train: ImageDataset, folder: Path) -> Callable[[], float]:
    """Return a function that trains one epoch with torchvision and returns its images/s."""
    _write_idx(train, folder / "MNIST" / "raw")
    transform = transforms.Compose(
        [
            transforms.RandomRotation(HAND_TUNED.rotation),
            transforms.RandomAffine(0, translate=(HAND_TUNED.shift, HAND_TUNED.shift)),
            transforms.ToTensor(),
            transforms.Normalize((MEAN,), (STD,)),
        ]
    )
    dataset = torchvision.datasets.MNIST(str(folder), train=True, transform=transform)
    loader = DataLoader(dataset, batch_size=HAND_TUNED.batch_size, shuffle=True, num_workers=0)
    torch.manual_seed(0)
    model = PlainLeNet5()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=HAND_TUNED.learning_rate,
        momentum=HAND_TUNED.momentum,
        weight_decay=HAND_TUNED.weight_decay,
    )

    def train_one_epoch() -> float:
        start = time.perf_counter()
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        return len(dataset) / (time.perf_counter() - start)

    return train_one_epoch


def our_pipeline(train: ImageDataset, n_epochs: int) -> Callable[[], float]:
    """Return a function that trains one epoch as a trial does and returns its images/s."""
    run = TrainingRun.start("lenet5", HAND_TUNED, seed=0)
    epochs = train_epochs(run, train, train.take(range(64)), epochs=n_epochs)
    return lambda: next(epochs).images_per_s


def measure(n_images: int, n_rounds: int) -> tuple[dict[str, Speed], Speed]:
    """Let the pipelines take turns; return the images/s of each and the ratio of the two."""
    torch.set_num_threads(1)
    train = load_mnist().train.take(range(n_images))
    with tempfile.TemporaryDirectory() as folder:
        pipelines = {
            IDIOMATIC: idiomatic_pipeline(train, Path(folder)),
            OURS: our_pipeline(train, n_rounds + 1),
        }
        for run_epoch in pipelines.values():
            run_epoch()  # warms caches and allocators up
        rounds = [
            {name: run_epoch() for name, run_epoch in pipelines.items()} for _ in range(n_rounds)
        ]
    speeds = {name: Speed.of([speed[name] for speed in rounds]) for name in pipelines}
    return speeds, Speed.of([speed[OURS] / speed[IDIOMATIC] for speed in rounds])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="at least 3 (default: 9)")
    parser.add_argument("--images", type=int, default=1920, help="an epoch (default: 1920)")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    arguments = parser.parse_args()
    if arguments.rounds < 3:
        parser.error(f"`--rounds` must be at least 3, but got {arguments.rounds}")
    speeds, ratio = measure(arguments.images, arguments.rounds)
    print(f"{'images/s, one thread, batch 64':<44}{'median':>8}  {'min':>6} – {'max':>6}")
    for name, speed in speeds.items():
        print(f"{name:<44}{speed.median:>8.0f}  {speed.min:>6.0f} – {speed.max:>6.0f}")
    print(f"{'ratio':<44}{ratio.median:>8.2f}  {ratio.min:>6.2f} – {ratio.max:>6.2f}")
    if arguments.json:
        figures = {
            "images_per_s": {name: asdict(speed) for name, speed in speeds.items()},
            "ratio": asdict(ratio),
            "n_images": arguments.images,
            "hyperparameters": asdict(HAND_TUNED),
            "machine": platform.processor() or platform.machine(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _write_idx(dataset: ImageDataset, folder: Path) -> None:
    """Write a dataset where torchvision looks for MNIST, as its training and its test set."""
    folder.mkdir(parents=True)
    n = len(dataset)
    images = struct.pack(">4i", 2051, n, 28, 28) + np.ascontiguousarray(dataset.images).tobytes()
    labels = struct.pack(">2i", 2049, n) + np.ascontiguousarray(dataset.labels).tobytes()
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


if __name__ == "__main__":
    main()
