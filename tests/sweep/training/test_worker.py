from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name
from analysis.records.ledger import DIVERGED
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import TrainTest
from retraining import timeless
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Assignment, Report
from sweep.training.checkpoints import Checkpoint, unpack_checkpoint
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
    """The last epoch of each report, without what depends on the clock."""
    return timeless([report.epochs[-1] for report in reports])


def _history(folder: Folder, assignment: Assignment = ASSIGNMENT) -> list[Epoch]:
    content = unpack_checkpoint(folder.read(checkpoint_name(assignment.name)))
    return [Epoch(**epoch) for epoch in content["run"]["history"]]


def test_steps_are_epochs_each_in_the_checkpoint_and_the_last_one_says_so(make_worker, folder):
    torch.set_num_threads(2)
    worker = make_worker()
    assert torch.get_num_threads() == 1
    assert not folder.exists(CHECKPOINT)
    for number, outcome in enumerate(["STOPPED", "STOPPED", "COMPLETE"], start=1):
        report = worker.step()
        (epoch,) = report.epochs
        assert _history(folder)[number - 1 :] == [epoch]
        assert report.outcome() == outcome
        assert report.to_result() == {
            "report": report,
            "done": number == 3,
            TIME_ATTRIBUTE: number,
            METRIC: epoch.val_accuracy,
        }
        assert (report.notice, report.failure, report.predictions) == (None, None, None)


@pytest.mark.parametrize("n_done", [0, 1])
def test_storage_error_ends_the_training_without_an_epoch(n_done, make_worker, folder):
    worker = make_worker()
    _steps(worker, n_done)
    folder.delete(CHECKPOINT)
    (folder.path / CHECKPOINT).mkdir(parents=True)  # can neither be read nor replaced
    report = worker.step()
    failure = f"storage {folder}/{CHECKPOINT}: Is a directory"
    assert report == Report(failure=failure, is_storage_failure=True)
    assert report.to_result() == {"report": report, "done": True}


def test_retried_training_goes_on_from_its_checkpoint(make_worker, uninterrupted):
    before = _steps(make_worker(), 2)
    again, last = _steps(make_worker(), 2)
    # With their times, so they were not trained again.
    assert again.epochs == before[0].epochs + before[1].epochs
    assert len(last.epochs) == 1
    assert [report.is_last for report in (again, last)] == [False, True]
    assert _timeless([*before, last]) == uninterrupted


def test_damaged_checkpoint_starts_over(make_worker, folder, uninterrupted):
    _steps(make_worker(), 2)
    data = folder.read(CHECKPOINT)
    folder.write(CHECKPOINT, data[: len(data) // 2])
    reports = _steps(make_worker(), 3)
    notice = f"its checkpoint {CHECKPOINT} is damaged; the training starts over"
    assert [report.notice for report in reports] == [notice, None, None]
    assert [len(report.epochs) for report in reports] == [1, 1, 1]
    assert _timeless(reports) == uninterrupted
    assert len(_history(folder)) == 3


def test_divergence_is_an_end_without_traceback(make_worker, folder):
    run = TrainingRun(ASSIGNMENT.model, ASSIGNMENT.hyperparameters, seed=ASSIGNMENT.seed)
    epoch = Epoch(1, 0.1, 0.9, 0.1, 0.9, 1.0, 1e4)
    run.history.append(epoch)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.fill_(torch.nan)
    Checkpoint(folder, ASSIGNMENT).save(run)
    first, report = _steps(make_worker(), 2)
    assert first.epochs == (epoch,)
    assert report == Report(failure=f"{DIVERGED}: training loss became nan in epoch 2")


def test_assignment_that_cannot_be_trained_is_an_end_with_traceback(make_worker, uninterrupted):
    worker = make_worker(replace(ASSIGNMENT, model="resnet"))
    report = worker.step()
    assert report.outcome() == "FAILED"
    assert report.failure == "ValueError: `model` must be one of lenet5, mlp, but got resnet"
    assert report.traceback is not None
    assert report.traceback.startswith("Traceback (most recent call last)")
    assert not report.is_storage_failure
    worker.assign(ASSIGNMENT)  # the worker can go on
    assert _timeless(_steps(worker, 1)) == uninterrupted[:1]


def test_worker_is_reused_for_the_next_assignment(make_worker, folder, uninterrupted):
    other = replace(ASSIGNMENT, name="trial-0002", seed=9, model="mlp")
    worker = make_worker(other)
    _steps(worker, 2)
    worker.assign(ASSIGNMENT)
    assert _timeless(_steps(worker, 3)) == uninterrupted
    assert len(_history(folder, other)) == 2


def test_predictions_come_with_the_last_epoch_and_agree_with_it(make_worker, tiny, uninterrupted):
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
    assert again.is_last
    assert [(epoch,) for epoch in again.epochs] == [report.epochs for report in reports]
    assert again.predictions is not None
    np.testing.assert_array_equal(again.predictions.predicted, predictions.predicted)
