import gc
import signal
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import sweep.driver.confirm
from analysis.errors import StorageError
from analysis.records.confirmation import Confirmation
from analysis.records.files import checkpoint_name, run_name
from analysis.records.ledger import Ledger
from analysis.records.predictions import Predictions, load_images, load_predictions
from analysis.records.seeds import confirmation_seeds
from analysis.results.verdict import decisive_comparison
from analysis.storage.local_folder import LocalFolder
from config_ledgers import make_ledger
from data_utils.dataset import TrainTest
from in_memory import measured
from sweep.config import Confirm, SweepConfig
from sweep.driver.confirm import run_confirmation
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.training.assignment import Assignment, Report
from sweep.training.loop import TrainingRun, train_epochs
from sweep.tuning.engine import Recorder

EPOCHS = 2
RECIPE = {"learning_rate": 0.05, "batch_size": 32}
CONFIG = SweepConfig.model_validate({"model": "mlp", "epochs": EPOCHS, "recipe": RECIPE})
ONE_SEED, TWO_SEEDS = Confirm(top_k=1, seeds=1), Confirm(top_k=1, seeds=2)
SEEDS = confirmation_seeds(0, 3)

MakeSession = Callable[..., Session]
Confirming = Callable[..., Confirmation]


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """A finished search, in which each trial is better than those before it."""
    return make_ledger(CONFIG, *["COMPLETE"] * 4)


def _end(recorder: Recorder, assignment: Assignment, *wrong: int) -> None:
    """End a run instead of training it; it misclassifies these of ten test images."""
    digits = np.zeros(10, dtype=np.uint8)
    digits[list(wrong)] = 9
    predictions = Predictions(digits, np.full(10, 0.9, np.float32), np.zeros(10, np.uint8))
    report = Report((measured(EPOCHS),), is_last=True, predictions=predictions)
    recorder.end(assignment, report, None)


@pytest.fixture
def confirming(
    make_session: MakeSession, ledger: Ledger, blank: TrainTest, tmp_path: Path
) -> Confirming:
    """Confirms the search; `train` replaces Ray."""

    def confirm(
        train: Callable[[Recorder, Assignment], None] = _end,
        plan: Confirm = ONE_SEED,
        epochs: int = EPOCHS,
    ) -> Confirmation:
        session: Any = make_session(LocalFolder(tmp_path), train=train)
        config = CONFIG.model_copy(update={"confirm": plan, "epochs": epochs})
        confirmation = run_confirmation(session, config, ledger, blank)
        for asked in session.engine.asked:
            assert asked["train"] is blank.train
            assert asked["evaluation"] is blank.test
            assert asked["predict"]
        return confirmation

    return confirm


def test_confirmation_trains_the_best_and_the_baselines_with_the_same_seeds(
    confirming, ledger, tmp_path
):
    trained: list[Assignment] = []

    def train(recorder: Recorder, assignment: Assignment) -> None:
        trained.append(assignment)
        _end(recorder, assignment)

    confirmation = confirming(train, Confirm(top_k=2, seeds=3))
    arms = list(confirmation.arms)
    assert arms[:3] == ["trial-4", "trial-3", "hand-tuned-recipe-of-trial-4"]
    assert [(a.name, a.seed) for a in trained] == [
        (run_name(arm, seed), seed) for seed in SEEDS for arm in arms
    ]
    best = trained[0]
    assert (best.model, best.epochs) == ("mlp", EPOCHS)
    assert best.hyperparameters == CONFIG.hyperparameters(ledger.trials[4].hyperparameters)
    assert Confirmation.read(LocalFolder(tmp_path)) == confirmation

    trained.clear()
    again = confirming(train, ONE_SEED)
    assert (again.runs, again.looks) == (confirmation.runs, confirmation.looks)
    assert trained == []
    extended = confirming(train, Confirm(top_k=3, seeds=3))
    assert list(extended.arms)[-1] == "trial-2"
    assert [assignment.name for assignment in trained] == [
        run_name("trial-2", seed) for seed in SEEDS
    ]


def test_confirmation_over_other_epochs_is_set_aside_under_a_name_of_its_own(confirming, tmp_path):
    written = []
    for epochs in (2, 3, 2, 3):
        confirming(epochs=epochs)
        written.append((tmp_path / "confirm.jsonl").read_bytes())
    names = ("confirm-2-epochs", "confirm-3-epochs", "confirm-2-epochs-2")
    assert [(tmp_path / f"{name}.jsonl").read_bytes() for name in names] == written[:3]


def test_confirmation_takes_up_what_tune_has_given_up(confirming):
    proposed: list[str] = []

    def train(recorder: Recorder, assignment: Assignment) -> None:
        """A process dies as it is handed on to the second run."""
        proposed.append(assignment.name)
        if len(proposed) != 2:
            _end(recorder, assignment)

    confirmation = confirming(train)
    *each, again = proposed
    assert len(each) == len(confirmation.runs)
    assert again == each[1]
    assert {run.state for run in confirmation.runs.values()} == {"COMPLETE"}


@pytest.mark.parametrize(("gain", "looks"), [(0.05, [4, 8]), (0.0, [4, 8, 12, 16, 20, 24])])
def test_seeds_are_added_until_the_verdict_is_clear(gain, looks, confirming, tmp_path):
    plan, trained = Confirm(top_k=1, max_seeds=24), list[str]()
    is_disturbed = True

    def train(recorder: Recorder, assignment: Assignment) -> None:
        if is_disturbed and len(looks_taken()) == 1:
            raise Interrupted(signal.SIGTERM)
        trained.append(assignment.name)
        chance = np.random.default_rng(assignment.seed + len(assignment.key)).normal(0, 0.001)
        accuracy = 0.9 + float(chance) + gain * (assignment.key == "trial-4")
        for epoch in (1, EPOCHS):
            recorder.epoch(assignment, measured(epoch, accuracy))
        _end(recorder, assignment)

    def looks_taken() -> list[int]:
        confirmation = Confirmation.read(LocalFolder(tmp_path))
        return [look.n_seeds for look in confirmation.taken_looks] if confirmation else []

    with pytest.raises(Interrupted):
        confirming(train, plan)
    is_disturbed = False
    confirmation = confirming(train, plan)
    assert looks_taken() == looks
    assert len(confirmation.seeds) == looks[-1]
    assert len(trained) == len(set(trained)) == looks[-1] * len(confirmation.arms)
    comparison = decisive_comparison(confirmation, confirmation.finalist(4))
    assert comparison
    assert comparison.outcome == ("better" if gain else "open")
    confirming(train, plan)
    assert (looks_taken(), len(trained)) == (looks, len(set(trained)))


def test_confirmation_records_epochs_notices_failures_and_predictions(confirming, tmp_path):
    notice = "its process died after epoch 1; another process continues"

    def train(recorder: Recorder, assignment: Assignment) -> None:
        if assignment.key == "mlp":
            recorder.end(assignment, None, "its process died 3 times")
        elif assignment.key != "trial-4":
            recorder.end(assignment, Report(failure="why"), "why")
        else:
            recorder.start(assignment)
            for epoch in (1, 2):
                assert recorder.n_epochs(assignment) == epoch - 1
                recorder.epoch(assignment, measured(epoch, 0.75))
            recorder.notice(assignment, notice)
            _end(recorder, assignment, 3)

    confirmation = confirming(train)
    complete, *failed = confirmation.runs.values()
    assert (complete.arm, complete.seed, complete.state) == ("trial-4", SEEDS[0], "COMPLETE")
    assert complete.epochs == [measured(1, 0.75), measured(2, 0.75)]
    assert confirmation.test_accuracies("trial-4") == {SEEDS[0]: 0.75}
    assert {run.state for run in failed} == {"FAILED"}
    assert [run.reason for run in failed] == ["why"] * 3 + ["its process died 3 times"]
    assert [said.text for said in confirmation.notices] == [f"trial-4, seed {SEEDS[0]}: {notice}"]
    predictions = load_predictions(LocalFolder(tmp_path), "trial-4", SEEDS[0], 0.9)
    assert predictions is not None
    assert predictions.predicted.tolist() == [0, 0, 0, 9, 0, 0, 0, 0, 0, 0]

    again = confirming()  # the failed runs, as only they are missing
    assert {run.state for run in again.runs.values()} == {"COMPLETE"}


def test_confirmation_keeps_what_the_export_and_the_pictures_need(confirming, blank, tmp_path):
    folder = LocalFolder(tmp_path)
    wrong = {("trial-4", SEEDS[0]): (1, 3), ("trial-4", SEEDS[1]): (3, 4)}

    def train(recorder: Recorder, assignment: Assignment) -> None:
        folder.write(checkpoint_name(assignment.name), b"weights")
        _end(recorder, assignment, *wrong.get((assignment.key, assignment.seed), (9,)))
        if assignment.key == "mlp":  # by a worker of a driver that was killed
            folder.write(checkpoint_name(assignment.name), b"weights")

    confirming(train, TWO_SEEDS)
    exported = run_name("trial-4", SEEDS[0])
    assert folder.child("checkpoints").files() == [f"{exported}.pt"]
    shown = load_images(folder)
    assert shown.indices.tolist() == [1, 3, 4]  # the finalist's, with both seeds
    np.testing.assert_array_equal(shown.images, blank.test.images[shown.indices])


def test_run_is_not_complete_before_its_predictions_are_saved(confirming, tmp_path, monkeypatch):
    full = Mock(side_effect=StorageError("no space"))
    monkeypatch.setattr(sweep.driver.confirm, "save_predictions", full)
    with pytest.raises(StorageError, match="no space"):
        confirming()
    confirmation = Confirmation.read(LocalFolder(tmp_path))
    assert confirmation is not None
    assert confirmation.runs == {}


def test_interrupted_confirmation_goes_on_and_gives_what_an_undisturbed_training_gives(
    make_session, ledger, tiny, ray_scratch, tmp_path
):
    """A confirmation is begun with one seed, interrupted, and continued with two."""
    folder = LocalFolder(tmp_path)

    def work(plan: Confirm, **given: Any) -> Confirmation:
        session = make_session(folder, scratch=ray_scratch, n_slots=1, **given)
        config = CONFIG.model_copy(update={"confirm": plan})
        return run_confirmation(session, config, ledger, tiny)

    def interrupt() -> None:
        confirmation = Confirmation.read(folder)
        assert confirmation is not None
        if sum(run.state == "COMPLETE" for run in confirmation.runs.values()) >= 2:
            raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        work(ONE_SEED, watch=interrupt)
    gc.collect()  # Tune's workers end with the last reference to them
    cut = Confirmation.read(folder)
    assert cut is not None
    confirmation = work(TWO_SEEDS)

    runs = confirmation.runs
    assert set(runs) == set(product(confirmation.arms, SEEDS[:2]))
    assert 2 <= sum(run.state == "COMPLETE" for run in cut.runs.values()) < len(runs) // 2
    for key, run in cut.runs.items():  # to the second: nothing was trained again
        assert runs[key].epochs[: len(run.epochs)] == run.epochs
    assert folder.child("checkpoints").files() == [f"{run_name('trial-4', SEEDS[0])}.pt"]

    wrong: set[int] = set()
    for (name, seed), run in runs.items():
        assert (run.state, run.reason, len(run.epochs)) == ("COMPLETE", None, EPOCHS)
        arm = confirmation.arms[name]
        undisturbed = TrainingRun(arm.model, arm.hyperparameters, seed=seed)
        epochs = train_epochs(undisturbed, tiny.train, tiny.test, epochs=EPOCHS)
        assert [(e.train_loss, e.val_accuracy) for e in run.epochs] == [
            (metrics.train_loss, metrics.val_accuracy) for metrics in epochs
        ]
        predictions = load_predictions(folder, name, seed, run.epochs[-1].val_accuracy)
        assert predictions is not None
        np.testing.assert_array_equal(predictions.labels, tiny.test.labels)
        assert predictions.correct.mean() == run.epochs[-1].val_accuracy
        if name == "trial-4":
            wrong.update(np.flatnonzero(~predictions.correct).tolist())
    shown = load_images(folder)
    assert shown.indices.tolist() == sorted(wrong)
    np.testing.assert_array_equal(shown.images, tiny.test.images[shown.indices])
