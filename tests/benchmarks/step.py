"""Images per second of a training step, here and in the usual pipeline, and the limit."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from analysis.hyperparameters import HAND_TUNED, complete
from arms import idiomatic
from arms.problem import write_images
from data_utils.batches import to_device, training_batches
from data_utils.dataset import ImageDataset
from data_utils.mnist import load_mnist
from measuring import Spread
from results import Row, Section, Target
from sweep.training.loop import TrainingRun, train_epochs

CONFIG = complete(HAND_TUNED)
N_IMAGES = 6_400  # of an epoch
MFLOP_PER_IMAGE = 2.264  # forward 0.833, backward twice that, but for the first layer's input
PARTS = ("data", "augmentation", "forward", "dropout", "loss", "backward", "optimizer")
N_SHARING = (1, 2, 4, 8)  # trials on one GPU


def measure(rounds: int) -> Section:
    """Run the pipelines in turn, then measure the parts of a step here."""
    torch.set_num_threads(1)
    images = load_mnist().train.take(range(N_IMAGES))
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), images)
        loader = idiomatic.training_loader(folder, CONFIG, N_IMAGES)
        torch.manual_seed(0)
        model, optimizer = idiomatic.build(CONFIG)
        run = TrainingRun("lenet5", CONFIG, seed=0)
        n_rounds = 3 * rounds
        epochs = train_epochs(run, images, images.take(range(64)), epochs=n_rounds + 1)

        def idiomatic_epoch() -> float:
            begin = time.perf_counter()
            idiomatic.train_one_epoch(model, optimizer, loader)
            return N_IMAGES / (time.perf_counter() - begin)

        pipelines: dict[str, Callable[[], float]] = {
            "DataLoader, PIL transforms, plain LeNet-5": idiomatic_epoch,
            "this project": lambda: next(epochs).images_per_s,
            "the limit: only matrix products": lambda: sgemm_flops() / (1e6 * MFLOP_PER_IMAGE),
        }
        for pipeline in pipelines.values():
            pipeline()  # warms up caches and allocators
        taken = [{name: run() for name, run in pipelines.items()} for _ in range(n_rounds)]
    usual, ours, _ = pipelines
    ratios = {
        name: Spread.of(speeds[name] / speeds[usual] for speeds in taken) for name in pipelines
    }
    rows: list[Row] = [
        {
            "one thread, batch 64": name,
            "images/s": Spread.of(speeds[name] for speeds in taken),
            "times the usual": ratios[name],
        }
        for name in pipelines
    ]
    seconds = split_step(images)
    total = sum(seconds.values())
    parts: list[Row] = [
        {"part of a step here": part, "µs": 1e6 * s, "share, %": 100 * s / total}
        for part, s in seconds.items()
    ]
    tables = [rows, parts]
    if torch.cuda.is_available():
        tables.append(_sharing("cuda", images))
    return Section(
        "Step",
        "A training step of the regularized LeNet-5: dropout, rotation, shift, weight decay. "
        f"Medians of {n_rounds} rounds in turn, with their range.",
        tables,
        [Target("this project over the usual pipeline", ratios[ours].median, 3.7, "×", True)],
    )


def sgemm_flops(side: int = 1024) -> float:
    """Return the floating-point operations per second of a large matrix product."""
    left, right = torch.rand(side, side), torch.rand(side, side)
    begin = time.perf_counter()
    for _ in range(4):
        left @ right
    return 4 * 2 * side**3 / (time.perf_counter() - begin)


def split_step(images: ImageDataset) -> dict[str, float]:
    """Return the mean seconds per step of each of `PARTS`, over three epochs.

    `backward` includes the backward passes of dropout and loss.
    """
    run = TrainingRun("lenet5", CONFIG, seed=0)
    run.model.train()
    data = to_device(images, "cpu")
    clock = _Clock()
    dropout = run.model.dropout
    assert isinstance(dropout, torch.nn.Module)
    dropout.register_forward_pre_hook(lambda *_: clock.lap("forward"))
    dropout.register_forward_hook(lambda *_: clock.lap("dropout"))
    for epoch in range(4):
        if epoch == 1:
            clock.seconds = dict.fromkeys(PARTS, 0.0)
        for _ in _batches(run, data, augmented=False):
            clock.lap("data")
        clock.lap("data")
        for inputs, labels in _batches(run, data, augmented=True):
            clock.lap("augmentation")
            logits = run.model(inputs)
            clock.lap("forward")
            loss = F.cross_entropy(logits, labels)
            clock.lap("loss")
            gradients = torch.autograd.grad(loss, run.optimizer.parameters)
            clock.lap("backward")
            run.optimizer.step(gradients, run.hyperparameters["learning_rate"])
            clock.lap("optimizer")
    # The time of augmentation includes fetching the images again.
    clock.seconds["augmentation"] -= clock.seconds["data"]
    n_steps = 3 * N_IMAGES // run.hyperparameters["batch_size"]
    return {part: seconds / n_steps for part, seconds in clock.seconds.items()}


def _batches(run: TrainingRun, data: Any, *, augmented: bool) -> Iterator[Any]:
    own = run.hyperparameters
    return training_batches(
        data,
        batch_size=own["batch_size"],
        rotation=own["rotation"] if augmented else 0,
        shift=own["shift"] if augmented else 0,
        generator=run.generator,
    )


class _Clock:
    """Adds the time since the last lap to a part."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now


def _sharing(device: str, images: ImageDataset) -> list[Row]:
    """Return the speeds of several trials that share a device, each in its own process."""
    return [
        {
            f"trials sharing `{device}`": n,
            "images/s, together": sum(speeds),
            "images/s, each": Spread.of(speeds),
        }
        for n in N_SHARING
        for speeds in [_share(device, images, n)]
    ]


def _share(device: str, images: ImageDataset, n: int) -> list[float]:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, spawn.Pool(n) as pool:
        barrier = manager.Barrier(n)
        return pool.starmap(_train_alongside, [(device, images, barrier)] * n, chunksize=1)


def _train_alongside(device: str, images: ImageDataset, barrier: Any) -> float:
    """Train when all are ready; return the images/s of the epochs in which all train."""
    torch.set_num_threads(1)
    run = TrainingRun("lenet5", CONFIG, seed=0, device=device)
    epochs = train_epochs(run, images, images.take(range(64)), epochs=4)
    next(epochs)
    barrier.wait()
    speeds = [metrics.images_per_s for metrics in epochs]
    return sum(speeds[:2]) / 2
