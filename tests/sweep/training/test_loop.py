import io
import math
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import Generator, nn

from data_utils.dataset import ImageDataset
from models import build_model
from sweep.training.loop import (
    DivergenceError,
    Epoch,
    TrainingRun,
    train_epochs,
)

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


def _squares(n: int, seed: int) -> ImageDataset:
    """Digits of a kind: a bright square, at one of ten places."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n).astype(np.uint8)
    images = rng.integers(0, 60, (n, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[3 + 7 * row : 9 + 7 * row, 1 + 7 * column : 7 + 7 * column] += 180
    return ImageDataset(images, labels)


TRAIN, VALIDATION = _squares(200, seed=0), _squares(90, seed=1)


def _train(run: TrainingRun, epochs: int) -> list[dict[str, Any]]:
    """Train on; return the metrics that do not depend on the clock."""
    return [_timeless(metrics) for metrics in train_epochs(run, TRAIN, VALIDATION, epochs=epochs)]


def _timeless(metrics: Epoch) -> dict[str, Any]:
    clocked = ("seconds", "images_per_s")
    return {
        name: value
        for name, value in msgspec.structs.asdict(metrics).items()
        if name not in clocked
    }


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def _parameters(run: TrainingRun) -> torch.Tensor:
    return nn.utils.parameters_to_vector(run.model.parameters()).detach().clone()


@pytest.mark.parametrize("model", ["lenet5", "mlp"])
def test_train_epochs_learns_and_numbers_its_epochs(model: str):
    run = TrainingRun.start(model, dict(CONSTANT, dropout=0.0), seed=0)
    yielded = list(train_epochs(run, TRAIN, VALIDATION, epochs=8))
    assert [metrics.epoch for metrics in yielded] == list(range(1, 9))
    assert run.history == yielded
    assert yielded[-1].val_accuracy > 0.9
    assert yielded[-1].train_accuracy > 0.8
    assert all(metrics.images_per_s * metrics.seconds >= len(TRAIN) for metrics in yielded)


@pytest.mark.parametrize("hyperparameters", [CONSTANT, LINEAR], ids=["constant", "linear"])
@pytest.mark.parametrize("model", ["lenet5", "mlp"])
def test_train_epochs_repeats_a_seed_to_the_bit(model: str, hyperparameters: dict[str, Any]):
    runs = [TrainingRun.start(model, hyperparameters, seed=seed) for seed in (5, 5, 6)]
    first, second, other = (_train(run, epochs=2) for run in runs)
    assert first == second
    assert torch.equal(_parameters(runs[0]), _parameters(runs[1]))
    assert first != other


@pytest.mark.parametrize("hyperparameters", [CONSTANT, LINEAR], ids=["constant", "linear"])
@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_train_epochs_resumed_from_a_file_goes_on_to_the_same_numbers(
    hyperparameters: dict[str, Any], stop: int
):
    unbroken = TrainingRun.start("lenet5", hyperparameters, seed=3)
    expected = _train(unbroken, epochs=4)

    # Cut as a caller cuts: it does not ask for the next epoch.
    broken = TrainingRun.start("lenet5", hyperparameters, seed=3)
    epochs = train_epochs(broken, TRAIN, VALIDATION, epochs=4)
    for _ in range(stop):
        next(epochs)
    state = _through_a_file(broken.state_dict())

    resumed = TrainingRun.start("lenet5", hyperparameters, seed=99)
    resumed.load_state_dict(state)
    assert _train(resumed, epochs=4) == expected[stop:]
    assert [_timeless(metrics) for metrics in resumed.history] == expected
    assert torch.equal(_parameters(resumed), _parameters(unbroken))
    assert torch.equal(resumed.generator.get_state(), unbroken.generator.get_state())


def test_train_epochs_goes_no_further_than_its_last_epoch():
    run = TrainingRun.start("mlp", CONSTANT, seed=0)
    _train(run, epochs=1)
    before = _parameters(run)
    assert _train(run, epochs=1) == []
    assert torch.equal(_parameters(run), before)


@pytest.mark.parametrize("hyperparameters", [PLAIN, dict(PLAIN, nesterov=True)])
def test_train_epochs_steps_as_plain_sgd_does(hyperparameters: dict[str, Any]):
    hyperparameters = dict(hyperparameters, batch_size=len(TRAIN), learning_rate=0.1)
    run = TrainingRun.start("mlp", hyperparameters, seed=1)
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
        assert metrics[epoch]["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert metrics[epoch]["train_accuracy"] == (logits.argmax(1) == labels).float().mean()
    expected = nn.utils.parameters_to_vector(reference.parameters())
    torch.testing.assert_close(_parameters(run), expected, rtol=1e-4, atol=1e-5)


def test_train_epochs_reports_a_training_loss_that_is_not_finite():
    run = TrainingRun.start("mlp", dict(PLAIN, learning_rate=100.0), seed=0)
    epochs = train_epochs(run, TRAIN, VALIDATION, epochs=2)
    with pytest.raises(DivergenceError, match=r"^training loss became (nan|inf) in epoch 1$"):
        next(epochs)
    assert run.history == []


def test_train_epochs_reports_a_validation_loss_that_is_not_finite():
    # One step an epoch: its training loss is that of the fresh weights.
    run = TrainingRun.start("mlp", dict(PLAIN, batch_size=len(TRAIN)), seed=0)
    run.hyperparameters["learning_rate"] = 1e30  # higher than allowed, to diverge at once
    epochs = train_epochs(run, TRAIN, VALIDATION, epochs=2)
    with pytest.raises(DivergenceError, match=r"^validation loss became (nan|inf) in epoch 1$"):
        next(epochs)
    assert run.history == []


def test_start_rejects_an_unknown_model():
    with pytest.raises(ValueError, match="lenet5, mlp, but got vgg"):
        TrainingRun.start("vgg", CONSTANT, seed=0)


def test_state_dict_is_not_changed_by_training_on():
    run = TrainingRun.start("mlp", CONSTANT, seed=0)
    _train(run, epochs=1)
    state = run.state_dict()
    before = _through_a_file(state)
    _train(run, epochs=2)
    after = _through_a_file(state)
    assert after["history"] == before["history"]
    assert torch.equal(after["generator"], before["generator"])
    for name, tensor in before["model"].items():
        assert torch.equal(after["model"][name], tensor)


def test_state_dict_holds_weights_that_a_bare_model_loads():
    run = TrainingRun.start("lenet5", CONSTANT, seed=0)
    model = build_model("lenet5", dropout=0.0, generator=Generator())
    model.load_state_dict(_through_a_file(run.state_dict())["model"])
    loaded = nn.utils.parameters_to_vector(model.parameters())
    assert torch.equal(loaded, _parameters(run))


@pytest.mark.parametrize(
    ("model", "hyperparameters", "name"),
    [("mlp", CONSTANT, "model_name"), ("lenet5", LINEAR, "hyperparameters")],
)
def test_load_state_dict_rejects_another_run(
    model: str, hyperparameters: dict[str, Any], name: str
):
    state = TrainingRun.start("lenet5", CONSTANT, seed=0).state_dict()
    run = TrainingRun.start(model, hyperparameters, seed=0)
    with pytest.raises(ValueError, match=f"the state's `{name}` must be .*, but is "):
        run.load_state_dict(state)


@pytest.mark.parametrize("epochs", [1, 3])
def test_train_epochs_ends_a_linear_schedule_with_its_last_epoch(
    epochs: int, monkeypatch: pytest.MonkeyPatch
):
    run = TrainingRun.start("mlp", dict(LINEAR, warmup_epochs=0), seed=0)
    rates = []
    monkeypatch.setattr(run.optimizer, "step", lambda _, rate: rates.append(rate))
    _train(run, epochs=epochs)
    n_steps = epochs * math.ceil(len(TRAIN) / LINEAR.batch_size)
    assert len(rates) == n_steps
    assert rates[-1] == pytest.approx(LINEAR.learning_rate / n_steps, rel=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model", ["lenet5", "mlp"])
def test_train_epochs_learns_and_resumes_on_cuda(model: str):
    run = TrainingRun.start(model, dict(CONSTANT, dropout=0.0), seed=0, device="cuda")
    _train(run, epochs=6)
    resumed = TrainingRun.start(model, run.hyperparameters, seed=1, device="cuda")
    resumed.load_state_dict(_through_a_file(run.state_dict()))
    _train(resumed, epochs=8)
    assert [metrics.epoch for metrics in resumed.history] == list(range(1, 9))
    assert resumed.history[-1].val_accuracy > 0.9
    assert all(tensor.device.type == "cpu" for tensor in run.state_dict()["model"].values())
