import gc
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.tune.search import Searcher

from analysis.errors import StorageError
from analysis.records.confirmation import Confirmation, read_confirmation
from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name, run_name
from analysis.records.ledger import Ledger
from analysis.records.predictions import Predictions, load_images, load_predictions
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder, LocalFolder
from data_utils.dataset import TrainTest
from sweep.config import Confirm, SweepConfig
from sweep.driver.confirm import run_confirmation
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.training.assignment import Assignment, Failure, Report
from sweep.training.loop import TrainingRun, train_epochs

EPOCHS = 2
RECIPE = {"learning_rate": 0.05, "batch_size": 32}
CONFIG = SweepConfig.model_validate({"model": "mlp", "epochs": EPOCHS, "recipe": RECIPE})
ONE_SEED, TWO_SEEDS = Confirm(top_k=1, seeds=1), Confirm(top_k=1, seeds=2)
SEEDS = confirmation_seeds(0, 3)

Confirming = Callable[..., Confirmation]


@pytest.fixture(scope="module")
def ledger(make_ledger: Callable[..., Ledger]) -> Ledger:
    """A finished search, in which each trial is better than those before it."""
    return make_ledger(CONFIG, *["COMPLETE"] * 4)


@pytest.fixture
def confirming(
    make_session: Callable[..., Session], ledger: Ledger, blank: TrainTest, tmp_path: Path
) -> Confirming:
    """Confirms the search by `run`, which takes what `Engine.run` takes."""

    def confirm(
        run: Callable[..., bool],
        plan: Confirm = ONE_SEED,
        config: SweepConfig = CONFIG,
        folder: Folder | None = None,
    ) -> Confirmation:
        session = make_session(folder or LocalFolder(tmp_path), run=run)
        return run_confirmation(session, config, ledger, plan=plan, data=blank)

    return confirm


def _epoch(epoch: int) -> Epoch:
    return Epoch(epoch, 0.5, 0.8, 0.4, 0.75, 1.5, 1e4)


def _last_report(*wrong: int) -> Report:
    """The last report of a run, which misclassifies the test images with these indices."""
    digits = np.zeros(10, dtype=np.uint8)
    digits[list(wrong)] = 9
    predictions = Predictions(digits, np.full(10, 0.9, np.float32), np.zeros(10, np.uint8))
    return Report(_epoch(EPOCHS), is_last=True, predictions=predictions)


def _configs(searcher: Searcher, n_trainings: int) -> list[dict[str, Any]]:
    return [searcher.suggest(str(n)) for n in range(n_trainings)]


def _complete_all(recorder: Any, searcher: Searcher, n_trainings: int, **given: Any) -> bool:
    """End every run at once, instead of training it."""
    assert given["predict"]
    for config in _configs(searcher, n_trainings):
        recorder.end(config, _last_report(), None)
    return True


def test_confirmation_trains_the_best_and_the_baselines_with_the_same_seeds(
    confirming: Confirming, ledger: Ledger, blank: TrainTest, tmp_path: Path
) -> None:
    asked: list[Assignment] = []

    def run(recorder: Any, searcher: Searcher, n_trainings: int, **given: Any) -> bool:
        assert given["train"] is blank.train
        assert given["evaluation"] is blank.test
        for config in _configs(searcher, n_trainings):
            asked.append(Assignment.from_config(config))
            recorder.end(config, _last_report(), None)
        return True

    confirmation = confirming(run, Confirm(top_k=2, seeds=3))
    arms = list(confirmation.arms)
    assert arms[:3] == ["trial-4", "trial-3", "hand-tuned-recipe-of-trial-4"]
    assert [(a.name, a.seed) for a in asked] == [
        (run_name(arm, seed), seed) for seed in SEEDS for arm in arms
    ]
    best = asked[0]
    assert (best.model, best.epochs) == ("mlp", EPOCHS)
    assert best.hyperparameters == CONFIG.hyperparameters(ledger.trials[4].hyperparameters)
    assert read_confirmation(LocalFolder(tmp_path)) == confirmation


def test_confirmation_that_is_extended_trains_only_what_is_new(confirming: Confirming) -> None:
    n_trained = []

    def run(n_trainings: int, **given: Any) -> bool:
        n_trained.append(n_trainings)
        return _complete_all(n_trainings=n_trainings, **given)

    for plan in (TWO_SEEDS, Confirm(top_k=2, seeds=3), ONE_SEED):
        confirmation = confirming(run, plan)
    assert list(confirmation.arms)[-1] == "trial-3"
    assert n_trained == [5 * 2, 6 * 3 - 5 * 2]


def test_confirmation_over_other_epochs_is_set_aside_under_a_name_of_its_own(
    confirming: Confirming, tmp_path: Path
) -> None:
    written = []
    for epochs in (2, 3, 2, 3):
        confirming(_complete_all, config=CONFIG.model_copy(update={"epochs": epochs}))
        written.append((tmp_path / "confirm.jsonl").read_bytes())
    names = ("confirm-2-epochs", "confirm-3-epochs", "confirm-2-epochs-2")
    assert [(tmp_path / f"{name}.jsonl").read_bytes() for name in names] == written[:3]


def test_confirmation_takes_up_what_tune_has_given_up(confirming: Confirming) -> None:
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

    confirmation = confirming(run)
    first, second = asked
    assert second == [first[1]]
    assert {run.state for run in confirmation.runs.values()} == {"COMPLETE"}


def test_confirmation_records_epochs_notices_failures_and_predictions(
    confirming: Confirming, tmp_path: Path
) -> None:
    def run(recorder: Any, searcher: Searcher, n_trainings: int, **_: Any) -> bool:
        complete, dead, failed, *_ = _configs(searcher, n_trainings)
        recorder.start(complete)
        for epoch in (1, 2):
            assert recorder.n_epochs(complete) == epoch - 1
            recorder.epoch(complete, _epoch(epoch))
        recorder.notice(complete, "its process died after epoch 1; another goes on")
        recorder.end(complete, _last_report(3), None)
        recorder.end(dead, None, "its process died 3 times")
        recorder.end(failed, Report(None, failure=Failure("why")), "why")
        return True

    confirmation = confirming(run)
    complete, *failed = confirmation.runs.values()
    assert (complete.arm, complete.seed, complete.state) == ("trial-4", SEEDS[0], "COMPLETE")
    assert complete.epochs == [_epoch(1), _epoch(2)]
    assert confirmation.test_accuracies("trial-4") == {SEEDS[0]: 0.75}
    assert [(run.state, run.reason) for run in failed] == [
        ("FAILED", "its process died 3 times"),
        ("FAILED", "why"),
    ]
    assert [notice.text for notice in confirmation.notices] == [
        f"trial-4, seed {SEEDS[0]}: its process died after epoch 1; another goes on"
    ]
    predictions = load_predictions(LocalFolder(tmp_path), "trial-4", SEEDS[0])
    assert predictions is not None
    assert predictions.predicted.tolist() == [0, 0, 0, 9, 0, 0, 0, 0, 0, 0]


def test_confirmation_keeps_what_the_export_and_the_pictures_need(
    confirming: Confirming, blank: TrainTest, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)
    wrong = iter([(1, 3), (7,), (5,), (9,), (9,), (3, 4), (9,), (9,), (9,), (9,)])

    def run(recorder: Any, searcher: Searcher, n_trainings: int, **_: Any) -> bool:
        configs = _configs(searcher, n_trainings)
        names = [checkpoint_name(Assignment.from_config(config).name) for config in configs]
        for name, config in zip(names, configs, strict=True):
            folder.write(name, b"weights")
            recorder.end(config, _last_report(*next(wrong)), None)
        folder.write(names[-1], b"weights")  # by a worker of a driver that was killed
        return True

    confirming(run, TWO_SEEDS)
    exported = run_name("trial-4", SEEDS[0])
    assert folder.child("checkpoints").files() == [f"{exported}.pt"]
    shown = load_images(folder)
    assert shown.indices.tolist() == [1, 3, 4]  # the finalist's, with both seeds
    np.testing.assert_array_equal(shown.images, blank.test.images[shown.indices])


@dataclass(frozen=True)
class FullFolder(LocalFolder):
    """A folder without space for predictions."""

    def write(self, name: str, data: bytes) -> None:
        if name.startswith("predictions/"):
            raise StorageError("no space")
        super().write(name, data)


def test_run_is_not_complete_before_its_predictions_are_saved(
    confirming: Confirming, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="no space"):
        confirming(_complete_all, folder=FullFolder(tmp_path))
    confirmation = read_confirmation(LocalFolder(tmp_path))
    assert confirmation is not None
    assert confirmation.runs == {}


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
    """A confirmation that was begun with one seed, interrupted, and continued with two."""
    folder = LocalFolder(tmp_path_factory.mktemp("confirmed"))

    def work(n_seeds: int, watch: Callable[[], None]) -> Confirmation:
        session = make_session(folder, scratch=ray_scratch, watch=watch, n_slots=1)
        plan = Confirm(top_k=1, seeds=n_seeds)
        return run_confirmation(session, CONFIG, ledger, plan=plan, data=tiny)

    def interrupt() -> None:
        confirmation = read_confirmation(folder)
        assert confirmation is not None
        if sum(run.state == "COMPLETE" for run in confirmation.runs.values()) >= 2:
            raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        work(1, interrupt)
    gc.collect()  # Tune's workers end with the last reference to them
    cut = read_confirmation(folder)
    assert cut is not None
    return Confirmed(folder, work(2, lambda: None), cut)


def test_interrupted_confirmation_trains_only_what_is_missing(confirmed: Confirmed) -> None:
    runs, cut = confirmed.confirmation.runs, confirmed.cut.runs
    assert set(runs) == set(product(confirmed.confirmation.arms, SEEDS[:2]))
    assert {(run.state, run.reason, len(run.epochs)) for run in runs.values()} == {
        ("COMPLETE", None, EPOCHS)
    }
    assert 2 <= sum(run.state == "COMPLETE" for run in cut.values()) < len(runs) // 2
    for key, run in cut.items():  # to the second: nothing was trained again
        assert runs[key].epochs[: len(run.epochs)] == run.epochs
    assert confirmed.folder.child("checkpoints").files() == [f"{run_name('trial-4', SEEDS[0])}.pt"]


def test_confirmation_gives_what_an_undisturbed_training_gives(
    confirmed: Confirmed, tiny: TrainTest
) -> None:
    for (name, seed), run in confirmed.confirmation.runs.items():
        arm = confirmed.confirmation.arms[name]
        undisturbed = TrainingRun(arm.model, arm.hyperparameters, seed=seed)
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
