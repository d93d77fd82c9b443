"""The training loop: one run, as a generator of epochs that its caller may cut."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.hyperparameters import complete
from analysis.records.epochs import Epoch
from data_utils.batches import DeviceImages, evaluation_batches, to_device, training_batches
from data_utils.dataset import ImageDataset
from models import build_model
from sweep.training.evaluation import evaluate
from sweep.training.schedule import schedule_factor
from sweep.training.sgd import SGD


class DivergenceError(ArithmeticError):
    """A loss is not a finite number any more."""


@dataclass(kw_only=True)
class TrainingRun:
    """Everything that changes while a network trains: enough to go on from.

    Attributes:
        model_name: A key of `models.MODELS`.
        hyperparameters: All of them, by name; fixed for the run.
        model: On the run's device.
        optimizer: Of the model's parameters.
        generator: All of the run's randomness: weights, order, augmentation and dropout.
        history: The epochs so far.
    """

    model_name: str
    hyperparameters: dict[str, Any]
    model: nn.Module
    optimizer: SGD
    generator: torch.Generator
    history: list[Epoch] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        model_name: str,
        hyperparameters: Mapping[str, Any],
        *,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> Self:
        """Set up a run before its first epoch.

        Args:
            model_name: A key of `models.MODELS`.
            hyperparameters: By name; a missing one has its default.
            seed: The same seed gives the same numbers: on a CPU bit for bit.
            device: Where to train.

        Raises:
            ValueError: There is no such model or hyperparameter, or a value is not allowed.
        """
        hyperparameters = complete(hyperparameters)
        generator = torch.Generator(device).manual_seed(seed)
        model = build_model(model_name, dropout=hyperparameters["dropout"], generator=generator)
        optimizer = SGD(
            model.parameters(),
            momentum=hyperparameters["momentum"],
            nesterov=hyperparameters["nesterov"],
            weight_decay=hyperparameters["weight_decay"],
        )
        return cls(
            model_name=model_name,
            hyperparameters=hyperparameters,
            model=model,
            optimizer=optimizer,
            generator=generator,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state, of plain types that `torch.load` reads with weights_only.

        Its tensors are on the CPU, so that it can be read where there is no GPU.
        """
        return {
            "model_name": self.model_name,
            "hyperparameters": dict(self.hyperparameters),
            "device": self.generator.device.type,
            "model": _copied_to_cpu(dict(self.model.state_dict())),
            "optimizer": _copied_to_cpu(self.optimizer.state_dict()),
            "generator": self.generator.get_state(),
            "history": [msgspec.structs.asdict(metrics) for metrics in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state, to go on as the run that it was copied from would have.

        Raises:
            ValueError: The state is of a run with another model, other hyperparameters or
                another kind of device.
        """
        for name, own, found in (
            ("model_name", self.model_name, state["model_name"]),
            ("hyperparameters", self.hyperparameters, complete(state["hyperparameters"])),
            ("device", self.generator.device.type, state["device"]),
        ):
            if found != own:
                raise ValueError(f"the state's `{name}` must be {own}, but is {found}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.history = [Epoch(**metrics) for metrics in state["history"]]


def train_epochs(
    run: TrainingRun, train: ImageDataset, evaluation: ImageDataset, *, epochs: int
) -> Iterator[Epoch]:
    """Train a run up to its last epoch, going on from the epochs that it has.

    Args:
        run: Changed in place; its history holds an epoch before that epoch is yielded.
        train: Images to learn from.
        evaluation: Images to measure each epoch on.
        epochs: Of the whole run, those of its history included; a linear schedule ends there.

    Yields:
        The metrics of each epoch, from the one after the run's history on.

    Raises:
        DivergenceError: The epoch's training or validation loss is not finite.
    """
    device = run.generator.device
    train_data, evaluation_data = to_device(train, device), to_device(evaluation, device)
    for epoch in range(len(run.history) + 1, epochs + 1):
        start = time.perf_counter()
        train_loss, train_accuracy = _train_one_epoch(run, train_data, epoch, epochs)
        trained = time.perf_counter()
        _require_finite(train_loss, "training", epoch)
        val_loss, val_accuracy = evaluate(run.model, evaluation_batches(evaluation_data))
        _require_finite(val_loss, "validation", epoch)
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


def _train_one_epoch(
    run: TrainingRun, data: DeviceImages, epoch: int, epochs: int
) -> tuple[float, float]:
    """Train on every image once; return the running loss and accuracy."""
    hyperparameters = run.hyperparameters
    steps_per_epoch = math.ceil(len(data) / hyperparameters["batch_size"])
    n_warmup_steps = round(hyperparameters["warmup_epochs"] * steps_per_epoch)
    # The sums stay on the device: reading one every step would make a GPU wait.
    loss_sum = torch.zeros((), dtype=torch.float64, device=data.labels.device)
    n_correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    run.model.train()
    batches = training_batches(
        data,
        batch_size=hyperparameters["batch_size"],
        rotation=hyperparameters["rotation"],
        shift=hyperparameters["shift"],
        generator=run.generator,
    )
    for step, (images, labels) in enumerate(batches, start=(epoch - 1) * steps_per_epoch):
        factor = schedule_factor(
            hyperparameters["schedule"],
            step,
            n_steps=epochs * steps_per_epoch,
            n_warmup_steps=n_warmup_steps,
        )
        logits = run.model(images)
        loss = F.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, run.optimizer.parameters)
        run.optimizer.step(gradients, factor * hyperparameters["learning_rate"])
        loss_sum += loss.detach() * len(labels)
        n_correct += (logits.detach().argmax(1) == labels).sum()
    return loss_sum.item() / len(data), n_correct.item() / len(data)


def _require_finite(loss: float, which: str, epoch: int) -> None:
    if not math.isfinite(loss):
        raise DivergenceError(f"{which} loss became {loss} in epoch {epoch}")


def _copied_to_cpu(value: Any) -> Any:
    """Copy nested dicts and lists, with their tensors on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _copied_to_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied_to_cpu(item) for item in value]
    return value
