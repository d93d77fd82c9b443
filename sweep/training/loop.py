"""The training loop: a generator of epochs, which the caller may stop after any epoch."""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.hyperparameters import AUGMENTATIONS, complete, own_arguments
from analysis.records.epochs import Epoch
from data_utils.batches import DeviceImages, evaluation_batches, to_device, training_batches
from data_utils.dataset import MNIST, DatasetSpec, ImageDataset
from models import build_model
from models.own import NetworkError, is_own, seed_all, shapes_of
from sweep.training.evaluation import evaluate
from sweep.training.sgd import SGD


class DivergenceError(ArithmeticError):
    """A loss is not finite."""


class TrainingRun:
    """The complete state of a training, from which it can continue.

    The same seed gives the same numbers, on a CPU bit for bit: `generator`, on the run's device,
    draws weights, order, augmentation and dropout. `model_name` is as in `models.build_model`. A
    hyperparameter that is not given has its default. ValueError if there is no such model or
    hyperparameter, or a value is not allowed.
    """

    def __init__(
        self,
        model_name: str,
        hyperparameters: Mapping[str, Any],
        *,
        seed: int,
        device: torch.device | str = "cpu",
        spec: DatasetSpec = MNIST,
    ) -> None:
        self.model_name, self.hyperparameters = model_name, complete(hyperparameters)
        own = self.hyperparameters
        self.generator = torch.Generator(device).manual_seed(seed)
        self.model = build_model(
            model_name,
            dropout=own["dropout"],
            generator=self.generator,
            shape=spec.network,
            arguments=own_arguments(own),
        )
        settings = {key: own[key] for key in ("momentum", "nesterov", "weight_decay")}
        trained = (p for p in self.model.parameters() if p.requires_grad)
        self.optimizer = SGD(trained, **settings)
        self._shapes = shapes_of(self.model)
        kept = {name for name, _ in self._shapes}
        buffers = [name for name, b in self.model.named_buffers() if b.is_floating_point()]
        self._buffers = [name for name in buffers if name in kept]
        self._average = [tensor.detach().clone() for tensor in self._averaged_tensors()]
        self.history: list[Epoch] = []

    def update_average(self, step: int) -> None:
        """Move the average of the weights, if there is one, towards the weights after a step.

        The first steps count more, so that the initial weights are soon forgotten. Buffers of
        floats, such as those of a batch norm, are averaged too.
        """
        if self._average:
            decay = min(self.hyperparameters["ema_decay"], (1 + step) / (10 + step))
            tensors = [tensor.detach() for tensor in self._averaged_tensors()]
            n = len(self.optimizer.parameters)
            torch._foreach_lerp_(self._average[:n], tensors[:n], 1 - decay)
            for average, buffer in zip(self._average[n:], tensors[n:], strict=True):
                # The average of an infinite value, as in a mask, would not be a number.
                moved = average.lerp(buffer, 1 - decay)
                average.copy_(moved.where(average.isfinite(), buffer))

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Replace the weights by their average, if there is one, in a `with` block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _averaged_tensors(self) -> list[Tensor]:
        """Return the model's tensors of which the run has an average."""
        if not self.hyperparameters["ema_decay"]:
            return []
        return [*self.optimizer.parameters, *map(self.model.get_buffer, self._buffers)]

    def _exchange(self) -> None:
        for i, tensor in enumerate(self._averaged_tensors()):
            tensor.data, self._average[i] = self._average[i], tensor.data

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state: tensors on the CPU and plain data.

        `model` is what was measured. Where that is an average, `weights` are those to go on from.
        NetworkError if a network of the user's own has got other layers in its training.
        """
        with self.averaged():
            model = {k: v.to("cpu", copy=True) for k, v in self.model.state_dict().items()}
            weights = [v.to("cpu", copy=True) for v in self._average]
        if changed := sorted(self._shapes ^ shapes_of(self.model)):
            raise NetworkError(
                f"`{changed[0][0]}` appears, disappears or changes its shape in the training, so "
                "that its weights would fit no other network: create all layers in `__init__`"
            )
        return {
            "model_name": self.model_name,
            "hyperparameters": dict(self.hyperparameters),
            "device": self.generator.device.type,
            "model": model,
            "weights": weights,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "history": [msgspec.structs.asdict(metrics) for metrics in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a copy of a state, to continue the run that it was copied from.

        ValueError for another model, other hyperparameters or another kind of device.
        """
        for name, own, found in (
            ("model_name", self.model_name, state["model_name"]),
            ("hyperparameters", self.hyperparameters, complete(state["hyperparameters"])),
            ("device", self.generator.device.type, state["device"]),
        ):
            if found != own:
                raise ValueError(f"the state's `{name}` must be {own}, but is {found}")
        with self.averaged():
            self.model.load_state_dict(state["model"])
            weights = state.get("weights", [])
            # A state without buffers among them is of an earlier version, in `model` they are raw.
            weights = [*weights, *self._averaged_tensors()[len(weights) :]]
            for raw, saved in zip(self._average, weights, strict=True):
                raw.copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.history = [Epoch(**metrics) for metrics in state["history"]]


def train_epochs(
    run: TrainingRun, train: ImageDataset, evaluation: ImageDataset, *, epochs: int
) -> Iterator[Epoch]:
    """Train a run up to its last epoch, `epochs`, continuing after the epochs in its history.

    Each epoch is measured on the images `evaluation`, and in the run's history before it is
    yielded. A schedule that falls ends in the last one. DivergenceError if the training or
    validation loss of an epoch is not finite.
    """
    device = run.generator.device
    train_data, evaluation_data = to_device(train, device), to_device(evaluation, device)
    for epoch in range(len(run.history) + 1, epochs + 1):
        start = time.perf_counter()
        train_loss, train_accuracy = _train_one_epoch(run, train_data, epoch, epochs)
        trained = time.perf_counter()
        with run.averaged():
            val_loss, val_accuracy = evaluate(run.model, evaluation_batches(evaluation_data))
        for which, loss in (("training", train_loss), ("validation", val_loss)):
            if not math.isfinite(loss):
                raise DivergenceError(f"{which} loss became {loss} in epoch {epoch}")
        metrics = Epoch(
            epoch=epoch,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=time.perf_counter() - start,
            images_per_s=len(train) / (trained - start),
        )
        run.history.append(metrics)
        yield metrics


def schedule_factor(schedule: str, step: int, *, n_steps: int, n_warmup_steps: int) -> float:
    """Return the fraction of the learning rate to use in a step.

    It climbs to 1 in the last warm-up step. Then it stays there (`constant`), falls by the same
    amount in every step (`linear`), or as half a period of a cosine does (`cosine`). It is 0 in
    no step: it would reach 0 in the step after the last. Steps count from 0. A warm-up may be
    longer than the run.
    """
    if step < n_warmup_steps:
        return (step + 1) / n_warmup_steps
    if schedule == "constant":
        return 1.0
    left = (n_steps - step) / (n_steps - n_warmup_steps)
    return left if schedule == "linear" else (1 - math.cos(math.pi * left)) / 2


def _train_one_epoch(
    run: TrainingRun, data: DeviceImages, epoch: int, epochs: int
) -> tuple[float, float]:
    """Train on every image once; return the running loss and accuracy.

    A network of the user's own may normalize by batch, which a last batch of one image does not
    allow: it is left out. What such a network draws itself depends on the run's generator.
    """
    own, is_users = run.hyperparameters, is_own(run.model_name)
    if is_users:
        seed_all(run.generator)
    steps_per_epoch = math.ceil(len(data) / own["batch_size"])
    n_steps = epochs * steps_per_epoch
    n_warmup_steps = round(own["warmup_epochs"] * steps_per_epoch)
    # The sums stay on the device: reading one in every step would make a GPU wait.
    loss_sum = torch.zeros((), dtype=torch.float64, device=data.labels.device)
    n_correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    n_seen = 0
    run.model.train()
    batches = training_batches(
        data,
        batch_size=own["batch_size"],
        generator=run.generator,
        **{name: own[name] for name in AUGMENTATIONS},
    )
    for step, (images, labels) in enumerate(batches, start=(epoch - 1) * steps_per_epoch):
        factor = schedule_factor(
            own["schedule"], step, n_steps=n_steps, n_warmup_steps=n_warmup_steps
        )
        if is_users and len(labels) == 1 < own["batch_size"]:
            continue
        logits = run.model(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=own["label_smoothing"])
        gradients = torch.autograd.grad(loss, run.optimizer.parameters, materialize_grads=is_users)
        run.optimizer.step(gradients, factor * own["learning_rate"])
        run.update_average(step)
        loss_sum += loss.detach() * len(labels)
        n_correct += (logits.detach().argmax(1) == labels).sum()
        n_seen += len(labels)
    return loss_sum.item() / n_seen, n_correct.item() / n_seen
