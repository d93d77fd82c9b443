import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import asdict

from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name
from analysis.records.ledger import DIVERGED
from analysis.storage.folder import Folder, LocalFolder
from data_utils.mnist import Mnist
from sweep.training import worker as worker_module
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Assignment, Report, WorkerSettings
from sweep.training.checkpoints import load_checkpoint, save_checkpoint, unpack_checkpoint
from sweep.training.loop import TrainingRun
from sweep.tuning.trainable import SweepTrainable

MakeWorker = Callable[..., SweepTrainable]

ASSIGNMENT = Assignment(
    name="trial-0001",
    seed=3,
    model="lenet5",
    epochs=3,
    hyperparameters={
        "dropout": 0.2,
        "rotation": 10.0,
        "shift": 0.05,
        "weight_decay": 1e-3,
        "batch_size": 64,
        "learning_rate": 0.05,
        "schedule": "linear",
        "warmup_epochs": 1.0,
        "momentum": 0.9,
        "nesterov": True,
    },
)
CHECKPOINT = checkpoint_name(ASSIGNMENT.name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return LocalFolder(tmp_path)


@pytest.fixture
def make_worker(tiny: Mnist, folder: Folder) -> MakeWorker:
    """Makes what Ray would run in a process of its own."""

    def make(assignment: Assignment = ASSIGNMENT, *, predict: bool = False) -> SweepTrainable:
        settings = WorkerSettings(device="cpu", folder=folder, predict=predict)
        # Ray's own constructor needs Ray; all it does with ours is to call `setup`.
        worker = object.__new__(SweepTrainable)
        worker.setup(
            assignment.to_config(), train=tiny.train, evaluation=tiny.test, settings=settings
        )
        return worker

    return make


@pytest.fixture(scope="module")
def uninterrupted(tiny: Mnist, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The metrics of the assignment, trained in one go."""
    folder = LocalFolder(tmp_path_factory.mktemp("uninterrupted"))
    worker = object.__new__(SweepTrainable)
    settings = WorkerSettings(device="cpu", folder=folder, predict=False)
    worker.setup(ASSIGNMENT.to_config(), train=tiny.train, evaluation=tiny.test, settings=settings)
    return [_timeless(report.epoch) for report in _steps(worker, 3)]


def _steps(worker: SweepTrainable, n: int) -> list[Report]:
    return [Report.from_result(worker.step()) for _ in range(n)]


def _timeless(metrics: Epoch | None) -> dict[str, Any]:
    """An epoch's metrics that do not depend on the clock."""
    assert metrics is not None
    clocked = ("seconds", "images_per_s")
    return {name: value for name, value in asdict(metrics).items() if name not in clocked}


def _history(folder: Folder, assignment: Assignment = ASSIGNMENT) -> list[dict[str, Any]]:
    state = load_checkpoint(folder, assignment)
    return [] if state is None else state["history"]


def test_steps_are_epochs_and_the_last_says_so(make_worker: MakeWorker) -> None:
    worker = make_worker()
    results = [worker.step() for _ in range(3)]
    assert [result["done"] for result in results] == [False, False, True]
    assert [result[TIME_ATTRIBUTE] for result in results] == [1, 2, 3]
    reports = [Report.from_result(result) for result in results]
    assert [report.outcome() for report in reports] == ["STOPPED", "STOPPED", "COMPLETE"]
    for result, report in zip(results, reports, strict=True):
        assert report.epoch is not None
        assert result[METRIC] == report.epoch.val_accuracy
        assert (report.past, report.notice, report.failure) == ((), None, None)
        assert report.predictions is None


def test_training_computes_with_one_thread(make_worker: MakeWorker) -> None:
    torch.set_num_threads(2)
    make_worker()
    assert torch.get_num_threads() == 1


def test_epoch_is_in_the_checkpoint_when_it_is_reported(
    make_worker: MakeWorker, folder: Folder
) -> None:
    worker = make_worker()
    assert not folder.exists(CHECKPOINT)
    for n_epochs in (1, 2, 3):
        (report,) = _steps(worker, 1)
        assert report.epoch is not None
        history = _history(folder)
        assert len(history) == n_epochs
        assert history[-1] == asdict(report.epoch)


def test_epoch_that_the_storage_does_not_take_is_not_reported(
    make_worker: MakeWorker, folder: Folder
) -> None:
    worker = make_worker()
    _steps(worker, 1)
    folder.delete(CHECKPOINT)
    (folder.path / CHECKPOINT).mkdir()  # nothing can be written in its place
    result = worker.step()
    report = Report.from_result(result)
    assert METRIC not in result
    assert result["done"]
    assert report.epochs == ()
    assert report.failure is not None
    assert report.failure.is_storage
    assert report.failure.reason == f"cannot write {folder}/{CHECKPOINT}: Is a directory"
    assert report.failure.traceback is None


@pytest.mark.parametrize("n_done", [1, 2])
def test_retried_training_goes_on_from_its_checkpoint(
    n_done: int, make_worker: MakeWorker, uninterrupted: list[dict[str, Any]]
) -> None:
    before = _steps(make_worker(), n_done)
    again, *after = _steps(make_worker(), 4 - n_done)
    assert again.epoch == before[-1].epoch  # to the second: it was not trained again
    assert list(again.past) == [report.epoch for report in before[:-1]]
    assert not again.is_last
    assert [report.past for report in after] == [()] * len(after)
    told = [*(report.epoch for report in before), *(report.epoch for report in after)]
    assert [_timeless(metrics) for metrics in told] == uninterrupted
    assert after[-1].is_last


def test_retried_training_that_was_through_says_so_at_once(make_worker: MakeWorker) -> None:
    before = _steps(make_worker(), 3)
    result = make_worker().step()
    again = Report.from_result(result)
    assert result["done"]
    assert again.outcome() == "COMPLETE"
    assert list(again.epochs) == [report.epoch for report in before]


def _truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip_in_the_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [_truncate, _flip_in_the_middle, lambda data: b""])
def test_damaged_checkpoint_starts_over(
    damage: Callable[[bytes], bytes],
    make_worker: MakeWorker,
    folder: Folder,
    uninterrupted: list[dict[str, Any]],
) -> None:
    _steps(make_worker(), 2)
    folder.write(CHECKPOINT, damage(folder.read(CHECKPOINT)))
    reports = _steps(make_worker(), 3)
    assert [report.notice for report in reports] == [
        f"its checkpoint {CHECKPOINT} is damaged: it starts over",
        None,
        None,
    ]
    assert [_timeless(report.epoch) for report in reports] == uninterrupted
    assert all(report.past == () for report in reports)
    assert len(_history(folder)) == 3


def test_checkpoint_of_another_device_starts_over(make_worker: MakeWorker, folder: Folder) -> None:
    _steps(make_worker(), 1)
    content = unpack_checkpoint(folder.read(CHECKPOINT))
    content["run"]["device"] = "cuda"
    buffer = io.BytesIO()
    torch.save(content, buffer)
    folder.write(CHECKPOINT, buffer.getvalue())
    (report,) = _steps(make_worker(), 1)
    assert report.notice == "the state's `device` must be cpu, but is cuda: it starts over"
    assert report.epoch is not None


@pytest.mark.parametrize(
    "other",
    [
        replace(ASSIGNMENT, seed=4),
        replace(ASSIGNMENT, epochs=4),
        replace(ASSIGNMENT, model="mlp"),
        replace(ASSIGNMENT, hyperparameters=ASSIGNMENT.hyperparameters | {"dropout": 0.21}),
    ],
    ids=["seed", "epochs", "model", "hyperparameters"],
)
def test_checkpoint_of_another_assignment_starts_over(
    other: Assignment, make_worker: MakeWorker, folder: Folder
) -> None:
    _steps(make_worker(other), 1)
    (report,) = _steps(make_worker(), 1)
    assert report.notice == (
        f"its checkpoint {CHECKPOINT} was written for another assignment, "
        "or by another version: it starts over"
    )
    assert report.epoch is not None
    assert report.epoch.epoch == 1
    assert len(_history(folder)) == 1


def test_divergence_is_an_end_without_traceback(make_worker: MakeWorker, folder: Folder) -> None:
    run = TrainingRun.start(ASSIGNMENT.model, ASSIGNMENT.hyperparameters, seed=ASSIGNMENT.seed)
    metrics = Epoch(
        epoch=1,
        train_loss=0.1,
        train_accuracy=0.9,
        val_loss=0.1,
        val_accuracy=0.9,
        seconds=1.0,
        images_per_s=1e4,
    )
    run.history.append(metrics)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.fill_(torch.nan)
    save_checkpoint(folder, ASSIGNMENT, run)
    worker = make_worker()
    (first,) = _steps(worker, 1)
    assert first.epoch == metrics
    result = worker.step()
    report = Report.from_result(result)
    assert METRIC not in result
    assert result["done"]
    assert report.outcome() == "FAILED"
    assert report.failure is not None
    assert report.failure.reason == f"{DIVERGED}: training loss became nan in epoch 2"
    assert report.failure.traceback is None
    assert not report.failure.is_storage


def test_exception_is_an_end_with_traceback(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise RuntimeError("the first line\nand a second one")

    monkeypatch.setattr(worker_module, "train_epochs", explode)
    result = make_worker().step()
    report = Report.from_result(result)
    assert result["done"]
    assert report.outcome() == "FAILED"
    assert report.failure is not None
    assert report.failure.reason == "RuntimeError: the first line"
    assert report.failure.traceback is not None
    assert report.failure.traceback.startswith("Traceback (most recent call last)")
    assert "and a second one" in report.failure.traceback


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "resnet"}, "ValueError: "),
        ({"hyperparameters": {"dropout": 0.1}}, "TypeError: "),
        (
            {"hyperparameters": ASSIGNMENT.hyperparameters | {"batch_size": 0}},
            "ValueError: `batch_size` must be at least 1, but got 0",
        ),
    ],
)
def test_assignment_that_cannot_be_trained_is_reported_and_not_raised(
    change: dict[str, Any], reason: str, make_worker: MakeWorker
) -> None:
    (report,) = _steps(make_worker(replace(ASSIGNMENT, **change)), 1)
    assert report.failure is not None
    assert report.failure.reason.startswith(reason)


def test_worker_is_reused_for_the_next_assignment(
    make_worker: MakeWorker, folder: Folder, uninterrupted: list[dict[str, Any]]
) -> None:
    other = replace(ASSIGNMENT, name="trial-0002", seed=9, model="mlp")
    worker = make_worker(other)
    _steps(worker, 2)
    assert worker.reset_config(ASSIGNMENT.to_config()) is True
    reports = _steps(worker, 3)
    assert [_timeless(report.epoch) for report in reports] == uninterrupted
    assert len(_history(folder, other)) == 2


def test_worker_is_reused_after_a_failure(
    make_worker: MakeWorker, uninterrupted: list[dict[str, Any]]
) -> None:
    worker = make_worker(replace(ASSIGNMENT, model="resnet"))
    (failed,) = _steps(worker, 1)
    assert failed.outcome() == "FAILED"
    worker.reset_config(ASSIGNMENT.to_config())
    assert [_timeless(report.epoch) for report in _steps(worker, 3)] == uninterrupted


def test_predictions_come_with_the_last_epoch_and_agree_with_it(
    make_worker: MakeWorker, tiny: Mnist, uninterrupted: list[dict[str, Any]]
) -> None:
    reports = _steps(make_worker(predict=True), 3)
    assert [_timeless(report.epoch) for report in reports] == uninterrupted
    assert [report.predictions is None for report in reports] == [True, True, False]
    predictions = reports[-1].predictions
    assert predictions is not None
    assert predictions.are_valid()
    np.testing.assert_array_equal(predictions.labels, tiny.test.labels)
    assert predictions.correct.mean() == uninterrupted[-1]["val_accuracy"]
    # The likeliest of ten digits has a tenth of the probability at least.
    assert 0.1 <= predictions.confidence.min() <= predictions.confidence.max() <= 1

    again = Report.from_result(make_worker(predict=True).step()).predictions
    assert again is not None
    np.testing.assert_array_equal(again.predicted, predictions.predicted)
