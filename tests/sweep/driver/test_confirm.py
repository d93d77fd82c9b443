import errno
import gc
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.tune.search import Searcher

import sweep.driver.confirm
from analysis.records.confirmation import (
    Arm,
    Confirmation,
    ConfirmationBegun,
    ConfirmationWriter,
    read_confirmation,
)
from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name, run_name
from analysis.records.ledger import Ledger
from analysis.records.predictions import Predictions, load_images, load_predictions
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder, LocalFolder
from data_utils.dataset import ImageDataset, TrainTest
from sweep.config import Confirm, Recipe, SweepConfig
from sweep.driver.confirm import RunRecorder, run_confirmation
from sweep.driver.missing import missing_runs
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.training.assignment import Assignment, Failure, Report
from sweep.training.loop import TrainingRun, train_epochs

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


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[RunRecorder]:
    with _open(LocalFolder(tmp_path)) as writer:
        pixels = np.arange(4, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
        test = ImageDataset(pixels, np.arange(1, 5, dtype=np.uint8))
        yield RunRecorder(LocalFolder(tmp_path), writer, SEEDS[0], test, lambda: None)


def _metrics(epoch: int) -> Epoch:
    return Epoch(
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


def _config_of(arm: str, seed: int) -> dict[str, Any]:
    return Assignment(run_name(arm, seed), seed, "lenet5", EPOCHS, VALUES).to_config()


def test_recorder_writes_a_run_with_its_predictions(recorder: RunRecorder, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    config = _config_of("mlp", 102)
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
    assert (run.epochs[0].val_loss, run.epochs[0].val_accuracy) == (0.4, 0.75)
    (notice,) = confirmation.notices
    assert notice.text == "mlp, seed 102: its process died after epoch 1; another goes on"
    predictions = load_predictions(folder, "mlp", 102)
    assert predictions is not None
    assert predictions.predicted.tolist() == [1, 2, 3, 4]


def test_recorder_writes_why_a_run_failed(recorder: RunRecorder, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for arm, report in (("mlp", None), ("lenet5", Report(None, failure=Failure("why")))):
        recorder.end(_config_of(arm, 101), report, "why")
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
            recorder.end(_config_of(arm, seed), _last_report(), None)
    assert folder.child("checkpoints").files() == ["trial-7-seed-101.pt"]


def test_recorder_keeps_the_images_that_any_finalist_got_wrong(
    recorder: RunRecorder, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)
    recorder.end(_config_of("trial-7", 101), _last_report(1, 2, 3, 5), None)
    recorder.end(_config_of("mlp", 101), _last_report(9, 2, 3, 4), None)
    recorder.end(_config_of("trial-7", 102), _last_report(1, 7, 3, 5), None)
    shown = load_images(folder)
    assert shown.indices.tolist() == [1, 3]
    assert shown.images[:, 14, 14].tolist() == [1, 3]


def test_run_is_not_done_before_all_that_pictures_need_is_written(
    recorder: RunRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    folder = LocalFolder(tmp_path)
    config = _config_of("trial-7", 101)
    monkeypatch.setattr(sweep.driver.confirm, "save_images", fail)
    with pytest.raises(OSError, match="no room"):
        recorder.end(config, _last_report(1, 2, 3, 5), None)
    confirmation = read_confirmation(folder)
    assert ("trial-7", 101) in missing_runs(confirmation, ARMS, SEEDS)


def _config(**given: Any) -> SweepConfig:
    recipe = {"learning_rate": 0.05, "batch_size": 32}
    return SweepConfig.model_validate(
        {"model": "mlp", "trials": 4, "epochs": EPOCHS, "recipe": recipe, **given}
    )


@pytest.fixture(scope="module")
def ledger(make_ledger: Callable[..., Ledger]) -> Ledger:
    """A finished search, in which each trial is better than those before it."""
    return make_ledger(_config(), *["COMPLETE"] * 4)


def _configs(searcher: Searcher, n_trainings: int) -> list[dict[str, Any]]:
    return [searcher.suggest(str(n)) for n in range(n_trainings)]


def _complete_all(recorder: Any, searcher: Searcher, n_trainings: int, **given: Any) -> bool:
    """Ends every run at once, instead of training it."""
    assert given["predict"]
    for config in _configs(searcher, n_trainings):
        recorder.end(config, _last_report(), None)
    return True


def test_confirmation_trains_the_best_and_the_baselines(
    make_session: Callable[..., Session], ledger: Ledger, blank: TrainTest, tmp_path: Path
) -> None:
    config = _config()
    asked: list[Assignment] = []

    def run(recorder: Any, searcher: Searcher, n_trainings: int, **given: Any) -> bool:
        assert given["train"] is blank.train
        assert given["evaluation"] is blank.test
        for config in _configs(searcher, n_trainings):
            asked.append(Assignment.from_config(config))
            recorder.end(config, _last_report(), None)
        return True

    session = make_session(LocalFolder(tmp_path), run=run)
    plan = Confirm(top_k=2, seeds=3)
    confirmation = run_confirmation(session, config, ledger, plan=plan, data=blank)
    arms, seeds = list(confirmation.arms), confirmation_seeds(0, 3)
    assert arms[:3] == ["trial-4", "trial-3", "hand-tuned-recipe-of-trial-4"]
    assert [(a.name, a.seed) for a in asked] == [
        (run_name(arm, seed), seed) for seed in seeds for arm in arms
    ]
    best = asked[0]
    assert (best.model, best.epochs) == ("mlp", EPOCHS)
    assert best.hyperparameters == config.hyperparameters(ledger.trials[4].hyperparameters)
    assert read_confirmation(LocalFolder(tmp_path)) == confirmation
    screen: Any = session.screen
    assert screen.opened == [("confirmation", (confirmation, arms, seeds, 2))]


def test_confirmation_that_is_extended_trains_only_what_is_new(
    make_session: Callable[..., Session], ledger: Ledger, blank: TrainTest, tmp_path: Path
) -> None:
    config = _config()
    n_trained = []

    def run(n_trainings: int, **given: Any) -> bool:
        n_trained.append(n_trainings)
        return _complete_all(n_trainings=n_trainings, **given)

    session = make_session(LocalFolder(tmp_path), run=run)
    for plan in (Confirm(top_k=1, seeds=2), Confirm(top_k=2, seeds=3), Confirm(seeds=1)):
        confirmation = run_confirmation(session, config, ledger, plan=plan, data=blank)
    assert list(confirmation.arms)[-1] == "trial-3"
    assert n_trained == [5 * 2, 6 * 3 - 5 * 2]


def test_confirmation_over_other_epochs_is_set_aside_under_a_name_of_its_own(
    make_session: Callable[..., Session], ledger: Ledger, blank: TrainTest, tmp_path: Path
) -> None:
    config = _config()
    folder, plan = LocalFolder(tmp_path), Confirm(top_k=1, seeds=1)
    session = make_session(folder, run=_complete_all)
    written = []
    for epochs in (2, 3, 2, 3):
        changed = config.model_copy(update={"epochs": epochs})
        run_confirmation(session, changed, ledger, plan=plan, data=blank)
        written.append(folder.read("confirm.jsonl"))
    assert [folder.read(f"confirm-{name}.jsonl") for name in SET_ASIDE] == written[:3]


SET_ASIDE = ("2-epochs", "3-epochs", "2-epochs-2")


def test_confirmation_takes_up_what_tune_has_given_up(
    make_session: Callable[..., Session], ledger: Ledger, blank: TrainTest, tmp_path: Path
) -> None:
    asked: list[list[str]] = []

    def run(recorder: Any, searcher: Searcher, n_trainings: int, **_: Any) -> bool:
        """The first time, a process dies as it is handed on to the second run."""
        configs = _configs(searcher, n_trainings)
        asked.append([Assignment.from_config(config).name for config in configs])
        is_first = len(asked) == 1
        for n, config in enumerate(configs):
            if not (is_first and n == 1):
                recorder.end(config, _last_report(), None)
        return not is_first

    session = make_session(LocalFolder(tmp_path), run=run)
    confirmation = run_confirmation(
        session, _config(), ledger, plan=Confirm(top_k=1, seeds=1), data=blank
    )
    first, second = asked
    assert second == [first[1]]
    assert {run.state for run in confirmation.runs.values()} == {"COMPLETE"}


@dataclass(frozen=True)
class Confirmed:
    """A real confirmation, and what it was when it was interrupted."""

    folder: Folder
    confirmation: Confirmation
    cut: Confirmation


@pytest.fixture(scope="module")
def confirmed(
    make_session: Callable[..., Session],
    ledger: Ledger,
    tiny: TrainTest,
    ray_scratch: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Confirmed:
    """A confirmation that was begun with two seeds, interrupted, and continued with three."""
    folder = LocalFolder(tmp_path_factory.mktemp("confirmed"))

    def work(n_seeds: int, watch: Callable[[], None]) -> Confirmation:
        session = make_session(folder, scratch=ray_scratch, watch=watch)
        plan = Confirm(top_k=1, seeds=n_seeds)
        return run_confirmation(session, _config(), ledger, plan=plan, data=tiny)

    def interrupt() -> None:
        confirmation = read_confirmation(folder)
        assert confirmation is not None
        if sum(run.state == "COMPLETE" for run in confirmation.runs.values()) >= 3:
            raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        work(2, interrupt)
    gc.collect()  # Tune's workers end with the last reference to them
    cut = read_confirmation(folder)
    assert cut is not None
    return Confirmed(folder, work(3, lambda: None), cut)


def test_interrupted_confirmation_trains_only_what_is_missing(confirmed: Confirmed) -> None:
    runs, cut = confirmed.confirmation.runs, confirmed.cut.runs
    assert set(runs) == set(product(confirmed.confirmation.arms, confirmation_seeds(0, 3)))
    assert {(run.state, run.reason, len(run.epochs)) for run in runs.values()} == {
        ("COMPLETE", None, EPOCHS)
    }
    assert 3 <= sum(run.state == "COMPLETE" for run in cut.values()) < len(runs) * 2 // 3
    for key, run in cut.items():  # to the second: nothing was trained again
        assert runs[key].epochs[: len(run.epochs)] == run.epochs
    assert confirmed.folder.child("checkpoints").files() == [
        f"{run_name('trial-4', confirmation_seeds(0, 1)[0])}.pt"
    ]


def test_confirmation_gives_what_an_undisturbed_training_gives(
    confirmed: Confirmed, tiny: TrainTest
) -> None:
    for (name, seed), run in confirmed.confirmation.runs.items():
        arm = confirmed.confirmation.arms[name]
        undisturbed = TrainingRun.start(arm.model, arm.hyperparameters, seed=seed)
        epochs = train_epochs(undisturbed, tiny.train, tiny.test, epochs=EPOCHS)
        assert [(e.train_loss, e.val_accuracy) for e in run.epochs] == [
            (metrics.train_loss, metrics.val_accuracy) for metrics in epochs
        ]


def test_confirmation_has_the_predictions_of_every_run(
    confirmed: Confirmed, tiny: TrainTest
) -> None:
    wrong: set[int] = set()
    for (arm, seed), run in confirmed.confirmation.runs.items():
        predictions = load_predictions(confirmed.folder, arm, seed)
        assert predictions is not None
        np.testing.assert_array_equal(predictions.labels, tiny.test.labels)
        assert predictions.correct.mean() == run.epochs[-1].val_accuracy
        if arm == "trial-4":
            wrong.update(np.flatnonzero(~predictions.correct).tolist())
    shown = load_images(confirmed.folder)
    assert shown.indices.tolist() == sorted(wrong)
    np.testing.assert_array_equal(shown.images, tiny.test.images[shown.indices])
