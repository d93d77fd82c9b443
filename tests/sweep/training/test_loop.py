import io
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, nn

from analysis.records.epochs import Epoch
from data_utils.batches import evaluation_batches, to_device
from data_utils.dataset import ImageDataset
from models import build_model, own
from retraining import timeless
from sweep.training.evaluation import evaluate
from sweep.training.loop import DivergenceError, TrainingRun, schedule_factor, train_epochs
from sweep.training.sgd import SGD

CONSTANT: dict[str, Any] = {
    "dropout": 0.2,
    "rotation": 5.0,
    "shift": 0.05,
    "weight_decay": 1e-3,
    "batch_size": 16,
    "learning_rate": 0.05,
    "schedule": "constant",
    "warmup_epochs": 0,
    "momentum": 0.9,
    "nesterov": False,
}
LINEAR = dict(CONSTANT, schedule="linear", warmup_epochs=1.5, nesterov=True)
PLAIN = dict(CONSTANT, dropout=0.0, rotation=0.0, shift=0.0)
AUGMENTED = dict(LINEAR, scale=0.1, shear=5.0, elastic=0.02)
EXTRA = dict(AUGMENTED, schedule="cosine", label_smoothing=0.1, ema_decay=0.9)
RECIPES = pytest.mark.parametrize(
    "hyperparameters", [CONSTANT, LINEAR, EXTRA], ids=["constant", "linear", "extra"]
)


def _squares(n: int, seed: int) -> ImageDataset:
    """Images of a bright square at one of ten positions, which is the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n).astype(np.uint8)
    images = rng.integers(0, 60, (n, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[3 + 7 * row : 9 + 7 * row, 1 + 7 * column : 7 + 7 * column] += 180
    return ImageDataset(images, labels)


TRAIN, VALIDATION = _squares(200, seed=0), _squares(90, seed=1)


def _train(run: TrainingRun, epochs: int) -> list[Epoch]:
    """Train on; return the epochs without what depends on the clock."""
    return timeless(list(train_epochs(run, TRAIN, VALIDATION, epochs=epochs)))


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def _parameters(run: TrainingRun) -> torch.Tensor:
    return nn.utils.parameters_to_vector(run.model.parameters()).detach().clone()


@pytest.mark.parametrize("model", ["lenet5", "mlp"])
def test_train_epochs_learns_and_numbers_its_epochs(model):
    run = TrainingRun(model, dict(CONSTANT, dropout=0.0), seed=0)
    yielded = list(train_epochs(run, TRAIN, VALIDATION, epochs=8))
    assert [metrics.epoch for metrics in yielded] == list(range(1, 9))
    assert run.history == yielded
    assert yielded[-1].val_accuracy > 0.9
    assert yielded[-1].train_accuracy > 0.8
    assert all(metrics.images_per_s * metrics.seconds >= len(TRAIN) for metrics in yielded)


@RECIPES
@pytest.mark.parametrize("model", ["lenet5", "mlp"])
def test_train_epochs_repeats_a_seed_to_the_bit(model, hyperparameters):
    runs = [TrainingRun(model, hyperparameters, seed=seed) for seed in (5, 5, 6)]
    first, second, other = (_train(run, epochs=2) for run in runs)
    assert first == second
    assert torch.equal(_parameters(runs[0]), _parameters(runs[1]))
    assert first != other


@RECIPES
@pytest.mark.parametrize("stop", [0, 2])
def test_train_epochs_resumed_from_a_file_goes_on_to_the_same_numbers(hyperparameters, stop):
    unbroken = TrainingRun("lenet5", hyperparameters, seed=3)
    expected = _train(unbroken, epochs=4)

    # Cut as a caller cuts: it does not ask for the next epoch.
    broken = TrainingRun("lenet5", hyperparameters, seed=3)
    epochs = train_epochs(broken, TRAIN, VALIDATION, epochs=4)
    for _ in range(stop):
        next(epochs)
    state = broken.state_dict()
    list(train_epochs(broken, TRAIN, VALIDATION, epochs=4))  # the state is a copy
    state = _through_a_file(state)

    resumed = TrainingRun("lenet5", hyperparameters, seed=99)
    resumed.load_state_dict(state)
    assert _train(resumed, epochs=4) == expected[stop:]
    assert timeless(resumed.history) == expected
    assert torch.equal(resumed.generator.get_state(), unbroken.generator.get_state())
    assert _train(resumed, epochs=4) == [], "it has all its epochs"
    assert torch.equal(_parameters(resumed), _parameters(unbroken))


@pytest.mark.parametrize("hyperparameters", [PLAIN, dict(PLAIN, nesterov=True)])
def test_train_epochs_steps_as_plain_sgd_does(hyperparameters):
    hyperparameters = dict(hyperparameters, batch_size=len(TRAIN), learning_rate=0.1)
    run = TrainingRun("mlp", hyperparameters, seed=1)
    reference = build_model("mlp", dropout=0.0, generator=Generator().manual_seed(1))
    optimizer = torch.optim.SGD(
        reference.parameters(),
        lr=0.1,
        momentum=0.9,
        nesterov=hyperparameters["nesterov"],
        weight_decay=1e-3,
    )
    metrics = _train(run, epochs=3)
    images = (torch.from_numpy(TRAIN.images).unsqueeze(1) / 255 - 0.1307) / 0.3081
    labels = torch.from_numpy(TRAIN.labels).long()
    for epoch in range(3):
        logits = reference(images)
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert metrics[epoch].train_loss == pytest.approx(loss.item(), rel=1e-5)
        assert metrics[epoch].train_accuracy == (logits.argmax(1) == labels).float().mean()
    expected = nn.utils.parameters_to_vector(reference.parameters())
    torch.testing.assert_close(_parameters(run), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("which", "batch_size"),
    [("training", 16), ("validation", len(TRAIN))],  # the loss of one step is of fresh weights
)
def test_train_epochs_raises_where_a_loss_is_not_finite(which, batch_size):
    run = TrainingRun("mlp", dict(PLAIN, batch_size=batch_size), seed=0)
    run.hyperparameters["learning_rate"] = 1e30  # higher than allowed, to diverge at once
    epochs = train_epochs(run, TRAIN, VALIDATION, epochs=2)
    with pytest.raises(DivergenceError, match=rf"^{which} loss became (nan|inf) in epoch 1$"):
        next(epochs)
    assert run.history == []


@pytest.mark.parametrize(
    ("schedule", "n_warmup_steps", "factors"),
    [
        ("constant", 0, [1, 1, 1, 1, 1, 1]),
        ("constant", 2, [1 / 2, 1, 1, 1, 1, 1]),
        ("linear", 0, [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ("linear", 2, [1 / 2, 1, 1, 3 / 4, 2 / 4, 1 / 4]),
        ("linear", 6, [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]),
        ("linear", 12, [1 / 12, 2 / 12, 3 / 12, 4 / 12, 5 / 12, 6 / 12]),
    ],
)
def test_schedule_factor_climbs_then_falls(schedule, n_warmup_steps, factors):
    assert factors == [
        schedule_factor(schedule, step, n_steps=6, n_warmup_steps=n_warmup_steps)
        for step in range(6)
    ]


def test_schedule_factor_falls_as_a_cosine():
    found = [schedule_factor("cosine", step, n_steps=6, n_warmup_steps=3) for step in range(6)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1, 1, 3 / 4, 1 / 4], rel=1e-15)


def test_train_epochs_ends_a_linear_schedule_with_its_last_epoch():
    run = TrainingRun("mlp", dict(LINEAR, warmup_epochs=0), seed=0)
    rates = []

    class Recorded(SGD):
        def step(self, gradients: Sequence[torch.Tensor], learning_rate: float) -> None:
            rates.append(learning_rate)

    run.optimizer = Recorded(run.model.parameters(), momentum=0, nesterov=False, weight_decay=0)
    _train(run, epochs=3)
    n_steps = 3 * math.ceil(len(TRAIN) / LINEAR["batch_size"])
    assert len(rates) == n_steps
    assert rates[-1] == pytest.approx(LINEAR["learning_rate"] / n_steps, rel=1e-12)


NORMED = """
import math, torch
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10))
        self.register_buffer("mask", torch.tensor([0.3, -math.inf]))
"""
_BUFFERS = ["2.running_mean", "2.running_var", "mask"]


def _normed(seed: int) -> TrainingRun:
    model = f"model.py:Net@{own.register(NORMED.encode())}"
    return TrainingRun(model, dict(PLAIN, ema_decay=0.6), seed=seed)


def _floats(run: TrainingRun) -> dict[str, torch.Tensor]:
    """Copies of the parameters and of the buffers of floats."""
    state = run.model.state_dict().items()
    return {name: value.clone() for name, value in state if value.is_floating_point()}


def test_average_of_weights_and_buffers_is_measured_and_kept():
    run = _normed(seed=0)
    averages = [_floats(run)]

    class Recorded(SGD):
        def step(self, gradients: Sequence[torch.Tensor], learning_rate: float) -> None:
            super().step(gradients, learning_rate)
            n = len(averages)
            decay, old = min(0.6, n / (9 + n)), averages[-1]
            new = _floats(run).items()
            averages.append({k: decay * old[k] + (1 - decay) * value for k, value in new})

    run.optimizer = Recorded(
        run.optimizer.parameters, momentum=0.9, nesterov=False, weight_decay=0.0
    )
    _train(run, epochs=2)
    last = _floats(run)
    with run.averaged():
        torch.testing.assert_close(_floats(run), averages[-1])
    torch.testing.assert_close(_floats(run), last, rtol=0, atol=0)
    same = {name for name in last if torch.allclose(last[name], averages[-1][name])}
    assert same == {"1.bias", "mask"}, "the layer after it cancels the bias, which is not trained"
    kept = _normed(seed=1).model
    kept.load_state_dict(run.state_dict()["model"])
    measured = evaluate(kept, evaluation_batches(to_device(VALIDATION, "cpu")))
    assert measured == (run.history[-1].val_loss, run.history[-1].val_accuracy)


@pytest.mark.parametrize("has_buffers", [True, False])
def test_average_of_buffers_goes_on_from_a_file(has_buffers):
    unbroken, broken, resumed = _normed(seed=3), _normed(seed=3), _normed(seed=4)
    expected = _train(unbroken, epochs=3)
    _train(broken, epochs=2)
    state = broken.state_dict()
    if not has_buffers:  # as earlier versions wrote it
        state["weights"] = state["weights"][: -len(_BUFFERS)]
        state["model"] |= {name: _floats(broken)[name] for name in _BUFFERS}
    resumed.load_state_dict(_through_a_file(state))
    (epoch,) = _train(resumed, epochs=3)
    torch.testing.assert_close(_floats(resumed), _floats(unbroken), rtol=0, atol=0)
    assert (epoch == expected[-1]) == has_buffers


def test_smoothed_labels_change_the_training_loss_alone():
    plain, smoothed = (
        TrainingRun("mlp", dict(PLAIN, learning_rate=1e-9, label_smoothing=value), seed=0)
        for value in (0.0, 0.5)
    )
    (first,), (second,) = _train(plain, epochs=1), _train(smoothed, epochs=1)
    assert second.val_loss == pytest.approx(first.val_loss, rel=1e-5)
    assert second.train_loss != pytest.approx(first.train_loss, rel=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model", ["lenet5", "mlp"])
def test_train_epochs_learns_and_resumes_on_cuda(model):
    run = TrainingRun(model, dict(CONSTANT, dropout=0.0), seed=0, device="cuda")
    _train(run, epochs=6)
    resumed = TrainingRun(model, run.hyperparameters, seed=1, device="cuda")
    resumed.load_state_dict(_through_a_file(run.state_dict()))
    _train(resumed, epochs=8)
    assert [metrics.epoch for metrics in resumed.history] == list(range(1, 9))
    assert resumed.history[-1].val_accuracy > 0.9
    assert all(tensor.device.type == "cpu" for tensor in run.state_dict()["model"].values())


@pytest.mark.long
def test_training_loads_neither_the_compiler_nor_sympy():
    code = f"""
import sys, numpy as np
from data_utils.dataset import ImageDataset
from sweep.training.loop import TrainingRun, train_epochs
data = ImageDataset(np.zeros((8, 28, 28), np.uint8), np.zeros(8, np.uint8))
(epoch,) = train_epochs(TrainingRun("lenet5", {EXTRA}, seed=0), data, data, epochs=1)
assert epoch.train_loss > 0
sys.exit(bool({{"torch._dynamo", "sympy"}} & {{*sys.modules}}))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
