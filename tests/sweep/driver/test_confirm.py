import errno
import gc
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweep.driver.confirm
from analysis.records.confirmation import (
    Arm,
    Confirmation,
    ConfirmationBegun,
    ConfirmationWriter,
    RunEnded,
    RunEpoch,
    read_confirmation,
)
from analysis.records.files import checkpoint_name, run_name
from analysis.records.predictions import Predictions, load_images, load_predictions
from analysis.storage.folder import Folder, LocalFolder
from data_utils.dataset import ImageDataset
from data_utils.mnist import Mnist
from sweep.config import Recipe, Resources
from sweep.driver.confirm import RunRecorder, missing_runs, run_confirmation
from sweep.driver.signals import Interrupted
from sweep.training.assignment import Failure, Report
from sweep.training.loop import TrainingRun, train_epochs
from sweep.training.metrics import EpochMetrics
from sweep.tuning.engine import Engine

EPOCHS = 2
ARMS = ["trial-7", "hand-tuned", "lenet5", "mlp"]
SEEDS = [101, 102, 103]
VALUES = Recipe(learning_rate=0.05, batch_size=32).model_dump()


def _arm(name: str) -> Arm:
    is_finalist = name.startswith("trial")
    return Arm(
        time=0.0,
        arm=name,
        title=name,
        role="finalist" if is_finalist else "baseline",
        model="mlp" if name == "mlp" else "lenet5",
        trial_id=7 if is_finalist else None,
        hyperparameters=VALUES | {"dropout": 0.1 if is_finalist else 0.0},
        epochs=EPOCHS,
        reference=name == "hand-tuned",
    )


def _open(folder: Folder) -> ConfirmationWriter:
    writer = ConfirmationWriter.open(folder, ConfirmationBegun(0.0, 1, "made", EPOCHS))
    for name in ARMS:
        if name not in writer.confirmation.arms:
            writer.append(_arm(name))
    return writer


def _end(confirmation: Confirmation, arm: str, seed: int, state: Any) -> None:
    confirmation.apply(RunEnded(1.0, arm, seed, state, None))


def test_missing_runs_are_all_at_first_seed_by_seed(tmp_path: Path) -> None:
    with _open(LocalFolder(tmp_path)) as writer:
        assignments = missing_runs(writer.confirmation, ARMS, SEEDS[:2])
    assert [assignment.name for assignment in assignments] == [
        f"{arm}-seed-{seed}" for seed in SEEDS[:2] for arm in ARMS
    ]
    assert [assignment.seed for assignment in assignments] == [101] * 4 + [102] * 4
    assert [assignment.model for assignment in assignments[:4]] == ["lenet5"] * 3 + ["mlp"]
    assert {assignment.epochs for assignment in assignments} == {EPOCHS}
    assert assignments[0].hyperparameters == VALUES | {"dropout": 0.1}


def test_missing_runs_are_those_that_are_not_complete(tmp_path: Path) -> None:
    with _open(LocalFolder(tmp_path)) as writer:
        confirmation = writer.confirmation
        _end(confirmation, "trial-7", 101, "COMPLETE")
        _end(confirmation, "mlp", 101, "FAILED")
        confirmation.apply(RunEpoch(1.0, "lenet5", 101, 1, 0.1, 0.9, 0.1, 0.9, 1.0, 1e4))
        names = [a.name for a in missing_runs(confirmation, ARMS, SEEDS[:1])]
        assert names == ["hand-tuned-seed-101", "lenet5-seed-101", "mlp-seed-101"]
        assert missing_runs(confirmation, ["trial-7"], SEEDS[:1]) == []


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[RunRecorder]:
    with _open(LocalFolder(tmp_path)) as writer:
        pixels = np.arange(4, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
        test = ImageDataset(pixels, np.arange(1, 5, dtype=np.uint8))
        yield RunRecorder(LocalFolder(tmp_path), writer, ARMS, SEEDS, test, lambda: None)


def _metrics(epoch: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        train_loss=0.5,
        train_accuracy=0.8,
        val_loss=0.4,
        val_accuracy=0.75,
        seconds=1.5,
        images_per_s=1e4,
    )


def _last_report(*predicted: int) -> Report:
    labels = np.array([1, 2, 3, 4], dtype=np.uint8)
    digits = np.array(predicted or labels, dtype=np.uint8)
    predictions = Predictions(digits, np.full(4, 0.9, np.float32), labels)
    return Report(_metrics(EPOCHS), is_last=True, predictions=predictions)


def _config_of(folder: Folder, arm: str, seed: int) -> dict[str, Any]:
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    (assignment,) = missing_runs(confirmation, [arm], [seed])
    return assignment.to_config()


def test_recorder_writes_a_run_with_its_predictions(recorder: RunRecorder, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    config = _config_of(folder, "mlp", 102)
    recorder.start(config)
    for epoch in (1, 2):
        assert recorder.n_epochs(config) == epoch - 1
        recorder.epoch(config, _metrics(epoch))
    recorder.notice(config, "its process died after epoch 1; another goes on")
    recorder.end(config, _last_report(), None)
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    (run,) = confirmation.runs.values()
    assert (run.arm, run.seed, run.state, run.reason) == ("mlp", 102, "COMPLETE", None)
    assert [epoch.epoch for epoch in run.epochs] == [1, 2]
    assert (run.epochs[0].test_loss, run.epochs[0].test_accuracy) == (0.4, 0.75)
    (notice,) = confirmation.notices
    assert notice.text == "mlp, seed 102: its process died after epoch 1; another goes on"
    predictions = load_predictions(folder, "mlp", 102)
    assert predictions is not None
    assert predictions.predicted.tolist() == [1, 2, 3, 4]


def test_recorder_writes_why_a_run_failed(recorder: RunRecorder, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for arm, report in (("mlp", None), ("lenet5", Report(None, failure=Failure("why")))):
        recorder.end(_config_of(folder, arm, 101), report, "why")
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    assert [(run.state, run.reason) for run in confirmation.runs.values()] == [
        ("FAILED", "why"),
        ("FAILED", "why"),
    ]
    assert load_predictions(folder, "mlp", 101) is None


def test_recorder_keeps_only_the_checkpoints_that_are_for_export(
    recorder: RunRecorder, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)
    for arm in ("trial-7", "mlp"):
        for seed in SEEDS[:2]:
            folder.write(checkpoint_name(run_name(arm, seed)), b"weights")
            recorder.end(_config_of(folder, arm, seed), _last_report(), None)
    assert folder.child("checkpoints").files() == ["trial-7-seed-101.pt"]


def test_recorder_keeps_the_images_that_any_finalist_got_wrong(
    recorder: RunRecorder, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)
    recorder.end(_config_of(folder, "trial-7", 101), _last_report(1, 2, 3, 5), None)
    recorder.end(_config_of(folder, "mlp", 101), _last_report(9, 2, 3, 4), None)
    recorder.end(_config_of(folder, "trial-7", 102), _last_report(1, 7, 3, 5), None)
    shown = load_images(folder)
    assert shown.indices.tolist() == [1, 3]
    assert shown.images[:, 14, 14].tolist() == [1, 3]


def test_run_is_not_done_before_all_that_pictures_need_is_written(
    recorder: RunRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    folder = LocalFolder(tmp_path)
    config = _config_of(folder, "trial-7", 101)
    monkeypatch.setattr(sweep.driver.confirm, "save_images", fail)
    with pytest.raises(OSError, match="no room"):
        recorder.end(config, _last_report(1, 2, 3, 5), None)
    assert _config_of(folder, "trial-7", 101) == config, "it is still missing"


@pytest.fixture(scope="module")
def confirmed(
    tiny: Mnist, ray_scratch: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Folder, Confirmation]:
    """A confirmation on next to no images, and what it was when it was interrupted.

    It was begun with two seeds, interrupted, and continued with three.
    """
    folder = LocalFolder(tmp_path_factory.mktemp("confirmed"))
    engine = Engine(Resources(), lambda: 2, folder, ray_scratch)

    def interrupt() -> None:
        confirmation = read_confirmation(folder)
        assert confirmation is not None
        if sum(run.state == "COMPLETE" for run in confirmation.runs.values()) >= 3:
            raise Interrupted(signal.SIGINT)

    def work(n_seeds: int, on_step: Callable[[], None]) -> None:
        with _open(folder) as writer:
            run_confirmation(
                engine, writer, arms=ARMS, seeds=SEEDS[:n_seeds], mnist=tiny, on_step=on_step
            )

    with pytest.raises(Interrupted):
        work(2, interrupt)
    gc.collect()  # Tune's workers end with the last reference to them
    cut = read_confirmation(folder)
    assert cut is not None
    work(3, lambda: None)
    return folder, cut


def test_confirmation_trains_every_arm_with_every_seed(
    confirmed: tuple[Folder, Confirmation],
) -> None:
    confirmation = read_confirmation(confirmed[0])
    assert confirmation is not None
    assert set(confirmation.runs) == {(arm, seed) for arm in ARMS for seed in SEEDS}
    for run in confirmation.runs.values():
        assert (run.state, run.reason) == ("COMPLETE", None)
        assert [epoch.epoch for epoch in run.epochs] == [1, 2]
    assert confirmation.notices == []


def test_confirmation_that_was_interrupted_trains_only_what_is_missing(
    confirmed: tuple[Folder, Confirmation],
) -> None:
    folder, cut = confirmed
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    finished = {key for key, run in cut.runs.items() if run.state == "COMPLETE"}
    assert 3 <= len(finished) < 8
    assert {seed for _, seed in cut.runs} <= {101, 102}
    for key, run in cut.runs.items():  # to the second: nothing was trained again
        assert confirmation.runs[key].epochs[: len(run.epochs)] == run.epochs


def test_confirmation_is_what_an_undisturbed_training_gives(
    confirmed: tuple[Folder, Confirmation], tiny: Mnist
) -> None:
    confirmation = read_confirmation(confirmed[0])
    assert confirmation is not None
    for (name, seed), run in confirmation.runs.items():
        arm = confirmation.arms[name]
        undisturbed = TrainingRun.start(arm.model, arm.hyperparameters, seed=seed)
        epochs = train_epochs(undisturbed, tiny.train, tiny.test, epochs=EPOCHS)
        assert [(e.train_loss, e.test_accuracy) for e in run.epochs] == [
            (metrics.train_loss, metrics.val_accuracy) for metrics in epochs
        ]


def test_confirmation_has_the_predictions_of_every_run(
    confirmed: tuple[Folder, Confirmation], tiny: Mnist
) -> None:
    folder = confirmed[0]
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    wrong: set[int] = set()
    for (arm, seed), run in confirmation.runs.items():
        predictions = load_predictions(folder, arm, seed)
        assert predictions is not None
        np.testing.assert_array_equal(predictions.labels, tiny.test.labels)
        assert predictions.correct.mean() == run.epochs[-1].test_accuracy
        if arm == "trial-7":
            wrong.update(np.flatnonzero(~predictions.correct).tolist())
    shown = load_images(folder)
    assert shown.indices.tolist() == sorted(wrong)
    np.testing.assert_array_equal(shown.images, tiny.test.images[shown.indices])


def test_confirmation_leaves_the_checkpoint_for_export_alone(
    confirmed: tuple[Folder, Confirmation],
) -> None:
    assert confirmed[0].child("checkpoints").files() == ["trial-7-seed-101.pt"]


def test_confirmation_takes_up_what_tune_has_given_up(tmp_path: Path, tiny: Mnist) -> None:
    asked: list[list[str]] = []

    class GivingUp:
        """An engine of which the first process dies as it is handed on to the second run."""

        folder = LocalFolder(tmp_path)

        def run(self, *, recorder: Any, searcher: Any, n_trainings: int, **_: Any) -> bool:
            asked.append([assignment.name for assignment in searcher])
            assert n_trainings == len(searcher)
            done = [*searcher[:1], *searcher[2:]] if len(asked) == 1 else searcher
            for assignment in done:
                recorder.end(assignment.to_config(), _last_report(), None)
            return done == searcher

    with _open(GivingUp.folder) as writer:
        run_confirmation(
            GivingUp(),  # type: ignore[arg-type]
            writer,
            arms=ARMS,
            seeds=SEEDS[:1],
            mnist=tiny,
            on_step=lambda: None,
        )
    assert asked == [[f"{arm}-seed-101" for arm in ARMS], ["hand-tuned-seed-101"]]


def test_confirmation_that_is_finished_needs_no_engine(
    confirmed: tuple[Folder, Confirmation], tiny: Mnist, tmp_path: Path
) -> None:
    folder = confirmed[0]
    nothing: Any = None
    engine = Engine(nothing, nothing, folder, tmp_path)
    before = folder.read("confirm.jsonl")
    with _open(folder) as writer:
        run_confirmation(engine, writer, arms=ARMS, seeds=SEEDS, mnist=tiny, on_step=lambda: None)
    assert folder.read("confirm.jsonl") == before
