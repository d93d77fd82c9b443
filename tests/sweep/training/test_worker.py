from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name
from analysis.records.ledger import DIVERGED
from analysis.storage.folder import Folder, LocalFolder
from data_utils.dataset import TrainTest
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Assignment, Report
from sweep.training.checkpoints import save_checkpoint, unpack_checkpoint
from sweep.training.loop import TrainingRun
from sweep.training.worker import Worker

MakeWorker = Callable[..., Worker]

ASSIGNMENT = Assignment(
    name="trial-0001",
    seed=3,
    model="lenet5",
    epochs=3,
    hyperparameters={
        "dropout": 0.2,
        "rotation": 10.0,
        "learning_rate": 0.05,
        "schedule": "linear",
        "warmup_epochs": 1.0,
        "nesterov": True,
    },
)
CHECKPOINT = checkpoint_name(ASSIGNMENT.name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return LocalFolder(tmp_path)


@pytest.fixture
def make_worker(tiny: TrainTest, folder: Folder) -> MakeWorker:
    """Makes a worker with an assignment."""

    def make(assignment: Assignment = ASSIGNMENT, *, predict: bool = False) -> Worker:
        worker = Worker(tiny.train, tiny.test, folder, device="cpu", predict=predict)
        worker.assign(assignment)
        return worker

    return make


@pytest.fixture(scope="module")
def uninterrupted(tiny: TrainTest, tmp_path_factory: pytest.TempPathFactory) -> list[Epoch]:
    """The epochs of the assignment, trained in one go."""
    folder = LocalFolder(tmp_path_factory.mktemp("uninterrupted"))
    worker = Worker(tiny.train, tiny.test, folder, device="cpu", predict=False)
    worker.assign(ASSIGNMENT)
    return _timeless(_steps(worker, 3))


def _steps(worker: Worker, n: int) -> list[Report]:
    return [worker.step() for _ in range(n)]


def _timeless(reports: list[Report]) -> list[Epoch]:
    """The reported epochs without what depends on the clock."""
    epochs = [report.epoch for report in reports if report.epoch is not None]
    return [msgspec.structs.replace(epoch, seconds=0.0, images_per_s=0.0) for epoch in epochs]


def _history(folder: Folder, assignment: Assignment = ASSIGNMENT) -> list[Epoch]:
    content = unpack_checkpoint(folder.read(checkpoint_name(assignment.name)))
    return [Epoch(**epoch) for epoch in content["run"]["history"]]


def test_steps_are_epochs_and_the_last_one_says_so(make_worker: MakeWorker) -> None:
    torch.set_num_threads(2)
    worker = make_worker()
    assert torch.get_num_threads() == 1
    reports = _steps(worker, 3)
    assert [report.outcome() for report in reports] == ["STOPPED", "STOPPED", "COMPLETE"]
    for number, report in enumerate(reports, start=1):
        assert report.epoch is not None
        result = report.to_result()
        assert (result[TIME_ATTRIBUTE], result["done"]) == (number, number == 3)
        assert result[METRIC] == report.epoch.val_accuracy
        assert Report.from_result(result) is report
        assert (report.past, report.notice, report.failure) == ((), None, None)
        assert report.predictions is None


def test_epoch_is_in_the_checkpoint_when_it_is_reported(
    make_worker: MakeWorker, folder: Folder
) -> None:
    worker = make_worker()
    assert not folder.exists(CHECKPOINT)
    for n_epochs in (1, 2, 3):
        report = worker.step()
        history = _history(folder)
        assert len(history) == n_epochs
        assert history[-1] == report.epoch


@pytest.mark.parametrize("n_done", [0, 1])
def test_storage_error_ends_the_training_without_an_epoch(
    n_done: int, make_worker: MakeWorker, folder: Folder
) -> None:
    worker = make_worker()
    _steps(worker, n_done)
    folder.delete(CHECKPOINT)
    assert isinstance(folder, LocalFolder)
    (folder.path / CHECKPOINT).mkdir(parents=True)  # can neither be read nor replaced
    report = worker.step()
    assert report.epochs == ()
    assert report.to_result().keys() == {"report", "done"}
    assert report.failure is not None
    assert report.failure.is_storage
    assert report.failure.reason == f"storage {folder}/{CHECKPOINT}: Is a directory"
    assert report.failure.traceback is None


def test_retried_training_goes_on_from_its_checkpoint(
    make_worker: MakeWorker, uninterrupted: list[Epoch]
) -> None:
    before = _steps(make_worker(), 2)
    again, *after = _steps(make_worker(), 2)
    assert again.epoch == before[-1].epoch  # with its times, so it was not trained again
    assert list(again.past) == [report.epoch for report in before[:-1]]
    assert [epoch.epoch for epoch in again.epochs] == [1, 2]
    assert not again.is_last
    assert [report.past for report in after] == [()] * len(after)
    assert _timeless([*before, *after]) == uninterrupted
    assert after[-1].is_last


def test_damaged_checkpoint_starts_over(
    make_worker: MakeWorker, folder: Folder, uninterrupted: list[Epoch]
) -> None:
    _steps(make_worker(), 2)
    data = folder.read(CHECKPOINT)
    folder.write(CHECKPOINT, data[: len(data) // 2])
    reports = _steps(make_worker(), 3)
    assert [report.notice for report in reports] == [
        f"its checkpoint {CHECKPOINT} is damaged: it starts over",
        None,
        None,
    ]
    assert _timeless(reports) == uninterrupted
    assert all(report.past == () for report in reports)
    assert len(_history(folder)) == 3


def test_divergence_is_an_end_without_traceback(make_worker: MakeWorker, folder: Folder) -> None:
    run = TrainingRun(ASSIGNMENT.model, ASSIGNMENT.hyperparameters, seed=ASSIGNMENT.seed)
    epoch = Epoch(1, 0.1, 0.9, 0.1, 0.9, 1.0, 1e4)
    run.history.append(epoch)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.fill_(torch.nan)
    save_checkpoint(folder, ASSIGNMENT, run)
    first, report = _steps(make_worker(), 2)
    assert first.epoch == epoch
    assert report.outcome() == "FAILED"
    assert report.failure is not None
    assert report.failure.reason == f"{DIVERGED}: training loss became nan in epoch 2"
    assert report.failure.traceback is None
    assert not report.failure.is_storage


def test_assignment_that_cannot_be_trained_is_an_end_with_traceback(
    make_worker: MakeWorker, uninterrupted: list[Epoch]
) -> None:
    worker = make_worker(replace(ASSIGNMENT, model="resnet"))
    report = worker.step()
    assert report.outcome() == "FAILED"
    assert report.to_result()["done"]
    assert report.failure is not None
    assert (
        report.failure.reason == "ValueError: `model` must be one of lenet5, mlp, but got resnet"
    )
    assert report.failure.traceback is not None
    assert report.failure.traceback.startswith("Traceback (most recent call last)")
    worker.assign(ASSIGNMENT)  # the worker can go on
    assert _timeless(_steps(worker, 1)) == uninterrupted[:1]


def test_worker_is_reused_for_the_next_assignment(
    make_worker: MakeWorker, folder: Folder, uninterrupted: list[Epoch]
) -> None:
    other = replace(ASSIGNMENT, name="trial-0002", seed=9, model="mlp")
    worker = make_worker(other)
    _steps(worker, 2)
    worker.assign(ASSIGNMENT)
    assert _timeless(_steps(worker, 3)) == uninterrupted
    assert len(_history(folder, other)) == 2


def test_predictions_come_with_the_last_epoch_and_agree_with_it(
    make_worker: MakeWorker, tiny: TrainTest, uninterrupted: list[Epoch]
) -> None:
    reports = _steps(make_worker(predict=True), 3)
    assert _timeless(reports) == uninterrupted
    assert [report.predictions is None for report in reports] == [True, True, False]
    predictions = reports[-1].predictions
    assert predictions is not None
    np.testing.assert_array_equal(predictions.labels, tiny.test.labels)
    assert predictions.correct.mean() == uninterrupted[-1].val_accuracy
    # The likeliest of ten digits has at least a tenth of the probability.
    assert 0.1 <= predictions.confidence.min() <= predictions.confidence.max() <= 1

    again = make_worker(predict=True).step()  # complete, so it says so at once
    assert again.to_result()["done"]
    assert list(again.epochs) == [report.epoch for report in reports]
    assert again.predictions is not None
    np.testing.assert_array_equal(again.predictions.predicted, predictions.predicted)
