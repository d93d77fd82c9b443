import gc
import itertools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import ray
import torch

from analysis.hyperparameters import HAND_TUNED
from analysis.records.files import checkpoint_name, trial_name
from analysis.records.ledger import DIVERGED, Ledger, LedgerWriter, SessionEnded, read_ledger
from analysis.results.budget import seconds_spent
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import ImageDataset, TrainTest
from in_memory import begin_ledger, measured
from retraining import retrain, timeless
from sweep.config import SweepConfig
from sweep.driver.resume import extend, find_missing
from sweep.driver.search import end_killed_search, run_search
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.errors import ClusterError
from sweep.training.assignment import Assignment, Report
from sweep.training.checkpoints import Checkpoint
from sweep.training.loop import TrainingRun, train_epochs
from sweep.tuning.engine import Recorder
from sweep.tuning.searcher import StudySearcher, objective

MakeSession = Callable[..., Session]
RunTiny = Callable[..., Ledger]


def _config(**given: Any) -> SweepConfig:
    recipe = {"learning_rate": 0.05, "batch_size": 32}
    return SweepConfig.model_validate({"model": "mlp", "recipe": recipe, **given})


def _kept(folder: Folder) -> list[int]:
    return [int(name[6:10]) for name in folder.child("checkpoints").files()]


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "mine")


@pytest.fixture
def run_tiny(make_session: MakeSession, tiny: TrainTest, ray_scratch: Path) -> RunTiny:
    """Runs a search with Ray to its end, and checks what holds for every finished search."""

    def run(config: SweepConfig, folder: Folder, **given: Any) -> Ledger:
        session = make_session(folder, scratch=ray_scratch, **given)
        ledger = run_search(session, config, tiny)
        engine: Any = session.engine
        study = engine.asked[-1]["searcher"].study
        assert read_ledger(folder) == ledger
        assert sorted(ledger.trials) == list(range(1, config.trials + 1))
        told = {trial.number + 1: trial for trial in study.trials}
        assert len(told) == config.trials
        states = {"COMPLETE": "COMPLETE", "STOPPED": "PRUNED", "FAILED": "FAIL"}
        for trial_id, trial in ledger.trials.items():
            curve = {epoch.epoch: epoch.val_accuracy for epoch in trial.epochs}
            assert list(curve) == list(range(1, len(curve) + 1))
            assert (len(curve) == config.epochs) == (trial.state == "COMPLETE")
            assert told[trial_id].state.name == states[trial.state]
            assert told[trial_id].intermediate_values == curve
            assert told[trial_id].params.items() <= trial.hyperparameters.items()
        ranking = rank_trials(ledger)
        assert study.best_trial.value == pytest.approx(objective(ranking[0].score))
        best = ranking[: config.confirm.top_k if config.confirm else 1]
        assert _kept(folder) == sorted(selection.trial.trial_id for selection in best)
        return ledger

    return run


@pytest.mark.long
def test_search_stops_bad_trials_early_and_runs_all_others(run_tiny, tiny, folder):
    config = _config(
        trials=12,  # the first ten are random ones with every searcher
        epochs=3,
        scheduler={"name": "asha", "grace_period": 1, "reduction_factor": 3},
        confirm={"top_k": 2, "seeds": 1},
        initial_points=[HAND_TUNED],
    )
    ledger = run_tiny(config, folder)
    assert ledger.in_state("FAILED") == []
    # The first trial at a rung continues. That the eleven others continue, too, takes
    # accuracies that never fall: once in 10 million by chance.
    assert ledger.in_state("STOPPED")
    assert ledger.trials[1].hyperparameters["dropout"] == 0.25
    for trial_id in (1, 12):
        trial = ledger.trials[trial_id]
        assert timeless(trial.epochs) == timeless(retrain(config, trial, tiny))


@dataclass(frozen=True)
class DeadlyFolder(LocalFolder):
    """A folder whose writer is killed at some of its attempts to replace some of its files.

    Attributes:
        deaths: For a file, at which attempts, from 1, and whether before or after the file
            is replaced.
    """

    deaths: tuple[tuple[str, tuple[int, ...], str], ...] = ()

    def replace(self, name: str, data: bytes, version: Any) -> None:
        tally = self.path / f"{Path(name).name}.tally"
        with tally.open("ab") as stream:
            stream.write(b".")
        due = [
            moment
            for file, attempts, moment in self.deaths
            if file == name and tally.stat().st_size in attempts
        ]
        if "before" in due:
            os.kill(os.getpid(), signal.SIGKILL)
        super().replace(name, data, version)
        if "after" in due:
            os.kill(os.getpid(), signal.SIGKILL)


def _save_diverging_checkpoint(config: SweepConfig, folder: Folder, data: TrainTest) -> None:
    """Lets trial 1 begin with a checkpoint of its first epoch from which only NaN can come."""
    assignment = StudySearcher(config, begin_ledger(config)).suggest("a")["assignment"]
    run = TrainingRun(assignment.model, assignment.hyperparameters, seed=assignment.seed)
    next(train_epochs(run, data.train, data.test, epochs=assignment.epochs))
    with torch.no_grad():
        next(run.model.parameters()).fill_(torch.nan)
    Checkpoint(folder, assignment).save(run)


@pytest.mark.long
def test_search_in_which_everything_goes_wrong_ends_consistently(run_tiny, tiny, tmp_path):
    """Trial 1 diverges in its second epoch, and nothing happens to trial 5.

    The process of trial 2 dies before its second epoch is in the checkpoint, that of trial 3
    after it and before the report, that of trial 4 always in its first epoch.
    """
    config = _config(trials=5, epochs=3, scheduler="none", confirm="none")
    deaths = (
        (checkpoint_name(trial_name(2)), (2,), "before"),
        (checkpoint_name(trial_name(3)), (2,), "after"),
        (checkpoint_name(trial_name(4)), (1, 2, 3), "before"),
    )
    folder = DeadlyFolder(tmp_path, deaths)
    _save_diverging_checkpoint(config, folder, tiny)
    # The workers cannot import this file, so the class has to travel as a whole.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        ledger = run_tiny(config, folder)
    finally:
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])

    for trial_id in (2, 3, 5):
        trial = ledger.trials[trial_id]
        assert (trial.state, trial.reason) == ("COMPLETE", None)
        assert timeless(trial.epochs) == timeless(retrain(config, trial, tiny))
    diverged, dead = ledger.trials[1], ledger.trials[4]
    assert (diverged.state, len(diverged.epochs)) == ("FAILED", 1)
    assert diverged.reason == f"{DIVERGED}: training loss became nan in epoch 2"
    assert not folder.exists(f"failures/{trial_name(1)}.txt")
    assert (dead.state, dead.reason) == ("FAILED", "its process died 3 times")
    died = "its process died {}; another process continues".format
    assert sorted((notice.trial_id, notice.text) for notice in ledger.notices) == [
        (2, died("after epoch 1")),
        (3, died("after epoch 1")),
        *[(4, died("in its first epoch"))] * 2,
    ]
    tallies = [folder.path / f"{trial_name(trial_id)}.pt.tally" for trial_id in (2, 3, 4)]
    # Trial 3 did not even train its second epoch again.
    assert [tally.stat().st_size for tally in tallies] == [4, 3, 3]


def test_search_that_was_interrupted_goes_on_and_can_be_extended(run_tiny, tiny, folder):
    config = _config(trials=2, epochs=4, scheduler="none")

    def interrupt() -> None:
        ledger = read_ledger(folder)
        if 2 in ledger.trials and len(ledger.trials[2].epochs) >= 2:
            raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        run_tiny(config, folder, watch=interrupt, n_slots=1)
    gc.collect()  # Tune's workers end with the last reference to them
    cut = read_ledger(folder)
    assert [trial.state for trial in cut.trials.values()] == ["COMPLETE", "RUNNING"]

    ledger = run_tiny(config.model_copy(update={"trials": 3}), folder, n_slots=1)
    for trial_id, trial in ledger.trials.items():
        assert timeless(trial.epochs) == timeless(retrain(config, trial, tiny))
        if trial_id in cut.trials:  # to the second: nothing was trained again
            assert trial.epochs[: len(cut.trials[trial_id].epochs)] == cut.trials[trial_id].epochs
    assert len({trial.hyperparameters["dropout"] for trial in ledger.trials.values()}) == 3


def _play(recorder: Recorder, assignment: Assignment, *accuracies: float) -> None:
    """Record a trial instead of training it; without all its epochs it is stopped or fails."""
    recorder.start(assignment)
    report = Report(failure="why")
    for number, accuracy in enumerate(accuracies, start=1):
        epoch = measured(number, accuracy)
        report = Report((epoch,), is_last=number == assignment.epochs)
        recorder.epoch(assignment, epoch)
    recorder.end(assignment, report, report.failure)


def test_search_writes_a_ledger_and_trains_only_what_is_missing(make_session, blank, folder):
    config = SweepConfig(trials=3, epochs=1)
    session: Any = make_session(folder, train=_play)
    ledger = run_search(session, config, blank)
    assert read_ledger(folder) == ledger
    assert (ledger.name, ledger.config) == ("mine", config.model_dump(mode="json"))
    assert [begun.slots for begun in ledger.sessions] == [2]
    assert ledger.ended is not None
    assert ledger.ended.reason == "finished"
    assert len(ledger.trials) == 3
    assert "searched: 3/3 trials" in session.stream.getvalue()

    before = folder.read("ledger.jsonl")
    run_search(session, config, blank)
    assert folder.read("ledger.jsonl") == before
    ledger = run_search(session, SweepConfig(trials=5, epochs=1), blank)
    assert [asked["n_trainings"] for asked in session.engine.asked] == [3, 2]
    assert (ledger.created.config["trials"], ledger.config["trials"]) == (3, 5)
    assert read_ledger(folder) == ledger
    assert b"trials: 5" in folder.read("config.yaml")


def test_end_of_a_search_that_was_killed_is_recorded_by_what_follows(make_session, blank, folder):
    config = SweepConfig(trials=1, epochs=1)
    session: Any = make_session(folder, train=_play)
    run_search(session, config, blank)
    *kept, _ = folder.read("ledger.jsonl").splitlines(keepends=True)
    written = b"".join(kept)
    changed = config.model_copy(update={"time_budget": "30m"})
    for follow in (
        lambda: run_search(session, config, blank),
        lambda: run_search(session, changed, blank),
        lambda: end_killed_search(folder, read_ledger(folder)),
    ):
        folder.write("ledger.jsonl", written)
        killed = read_ledger(folder)
        assert killed.has_open_session
        follow()
        ledger = read_ledger(folder)
        assert not ledger.has_open_session
        assert ledger.ended == SessionEnded(killed.records[-1].time, "killed")
        assert seconds_spent(ledger) == seconds_spent(killed)
        end_killed_search(folder, ledger)
        assert read_ledger(folder) == ledger


def test_time_budget_ends_a_search_which_can_be_continued(
    make_session, blank, folder, monkeypatch
):
    clock = SimpleNamespace(time=itertools.count().__next__)  # a second per record
    monkeypatch.setattr("sweep.driver.search.time", clock)
    config = SweepConfig(trials=50, epochs=1, time_budget="8s", confirm=None)
    session: Any = make_session(folder, train=_play)
    ledger = run_search(session, config, blank)
    assert 1 < len(ledger.trials) < 6
    assert ledger.in_state("RUNNING") == []
    ended = f"the search has {len(ledger.trials)} of 50 trials"
    assert f"the time budget of 8s is used up: {ended}\n" in session.stream.getvalue()
    assert not find_missing(folder, ledger, config)

    longer = extend(ledger, None, "10s")
    assert find_missing(folder, ledger, longer)
    more = run_search(session, longer, blank)
    assert len(ledger.trials) < len(more.trials) < 10
    last = run_search(session, extend(more, 12, None), blank)
    assert [*last.trials] == list(range(1, 13))
    assert extend(more, None, "none").time_budget is None
    assert not find_missing(folder, last, extend(last, None, None))


def test_search_validates_on_a_stratified_sixth_that_the_seed_does_not_change(
    make_session, blank, tmp_path
):
    def numbers(images: ImageDataset) -> list[int]:
        corner = images.images[:, 0, :2].astype(int)
        return (256 * corner[:, 0] + corner[:, 1]).tolist()

    train, validation = [], []
    for n, seeds in enumerate(({"seed": 0}, {"seed": 9}, {"split_seed": 1})):
        session: Any = make_session(LocalFolder(tmp_path / str(n)), train=_play)
        run_search(session, SweepConfig(trials=1, epochs=1, **seeds), blank)
        (asked,) = session.engine.asked
        train.append(numbers(asked["train"]))
        validation.append(numbers(asked["evaluation"]))
        assert np.bincount(asked["evaluation"].labels).tolist() == [10] * 10
    assert validation[0] == validation[1] != validation[2]
    assert sorted(train[0] + validation[0]) == list(range(600))


def test_config_file_follows_the_ledger(make_session, blank, folder, monkeypatch):
    old, new = SweepConfig(trials=1, epochs=1), SweepConfig(trials=2, epochs=1)
    folder.write("config.yaml", new.to_yaml().encode())  # of another process, say
    run_search(make_session(folder, train=_play), old, blank)
    assert folder.read("config.yaml").decode() == old.to_yaml()
    with monkeypatch.context() as patch:
        patch.setattr(LedgerWriter, "append", Mock(side_effect=OSError("No space left")))
        with pytest.raises(OSError, match="No space"):
            run_search(make_session(folder), new, blank)
    assert folder.read("config.yaml").decode() == old.to_yaml(), "the record comes first"
    folder.write("config.yaml", new.to_yaml().encode())
    run_search(make_session(folder), old, blank)
    assert folder.read("config.yaml").decode() == old.to_yaml(), "the next session repairs it"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Interrupted(signal.SIGTERM), "interrupted by SIGTERM"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (ClusterError("no node is left"), "no node is left"),
    ],
    ids=["signal", "disk", "cluster"],
)
def test_search_records_why_it_ended_early(error, reason, make_session, blank, folder):
    def fail(*_: Any) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        run_search(make_session(folder, train=fail), SweepConfig(), blank)
    assert raised.value is error
    ended = read_ledger(folder).ended
    assert ended is not None
    assert ended.reason == reason


def test_search_takes_up_what_tune_has_given_up(make_session, blank, folder):
    proposed = []

    def train(recorder: Recorder, assignment: Assignment) -> None:
        """A process dies as it is handed on to the second trial."""
        proposed.append(assignment.key)
        recorder.start(assignment)
        if len(proposed) != 2:
            _play(recorder, assignment)

    config = SweepConfig(trials=3, epochs=2, confirm=None)
    ledger = run_search(make_session(folder, train=train), config, blank)
    assert proposed == [1, 2, 3, 2]
    assert len(ledger.in_state("FAILED")) == 3


def test_search_records_what_results_show(make_session, blank, folder):
    def train(recorder: Any, assignment: Assignment) -> None:
        config = {"assignment": assignment}
        trial = SimpleNamespace(trial_id="a", config=config, error_file=None)
        recorder.on_trial_recover(iteration=1, trial=trial)  # its process died before it began
        recorder.on_trial_start(iteration=2, trial=trial)
        assert recorder.n_epochs(assignment) == 0
        recorder.epoch(assignment, measured(1))
        assert recorder.n_epochs(assignment) == 1
        recorder.end(assignment, None, "its process died 3 times")

    space, points = {"dropout": {"low": 0.0, "high": 0.5}}, [{"dropout": 0.25}]
    config = _config(trials=1, epochs=2, space=space, initial_points=points)
    ledger = run_search(make_session(folder, train=train), config, blank)
    (trial,) = ledger.trials.values()
    shown = {"dropout": 0.25, "rotation": 0.0, "shift": 0.0, "weight_decay": 0.0}
    assert (trial.trial_id, trial.hyperparameters) == (1, shown)
    assert trial.epochs == [measured(1)]
    assert (trial.state, trial.reason) == ("FAILED", "its process died 3 times")
    assert [(notice.trial_id, notice.text) for notice in ledger.notices] == [
        (1, "its process died in its first epoch; another process continues")
    ]


CURVES: tuple[tuple[float, ...], ...] = (
    (0.8, 0.8),
    (0.99,),  # stopped early
    (),  # failed
    (0.9, 0.9),
    (0.9, 0.9),  # of equals the earlier one is better
    (0.95, 0.95),
)


@pytest.mark.parametrize("n_first", [6, 4], ids=["at once", "resumed"])
@pytest.mark.parametrize(
    ("confirm", "kept"),
    [
        ("none", [[1], [1], [1], [4], [4], [6]]),
        ({"top_k": 1, "seeds": 1}, [[1], [1], [1], [4], [4], [6]]),
        ({"top_k": 2, "seeds": 1}, [[1], [1], [1], [1, 4], [4, 5], [4, 6]]),
        ({"top_k": 9, "seeds": 1}, [[1], [1], [1], [1, 4], [1, 4, 5], [1, 4, 5, 6]]),
    ],
    ids=str,
)
def test_search_keeps_only_the_checkpoints_of_the_best(
    confirm, kept, n_first, make_session, blank, folder
):
    seen = []

    def train(recorder: Recorder, assignment: Assignment) -> None:
        folder.write(checkpoint_name(assignment.name), b"weights")
        _play(recorder, assignment, *CURVES[assignment.key - 1])
        seen.append(_kept(folder))

    for n_trials in (n_first, len(CURVES)):
        config = _config(trials=n_trials, epochs=2, confirm=confirm)
        run_search(make_session(folder, train=train), config, blank)
    assert seen == kept


def test_search_deletes_the_checkpoints_that_a_killed_driver_left(make_session, blank, folder):
    names = [*map(trial_name, (1, 2, 3, 4)), "trial-1-seed-5"]

    def train(recorder: Recorder, assignment: Assignment) -> None:
        if assignment.key == 3:
            recorder.start(assignment)
            for name in names:
                folder.write(checkpoint_name(name), b"weights")
            raise Interrupted(signal.SIGKILL)
        _play(recorder, assignment, *[0.7 + assignment.key / 10] * 2)

    def interrupt(*_: Any) -> None:
        raise Interrupted(signal.SIGINT)

    for act in (train, interrupt):
        with pytest.raises(Interrupted):
            run_search(make_session(folder, train=act), _config(trials=4, epochs=2), blank)
    assert folder.child("checkpoints").files() == [f"{name}.pt" for name in names[1:]]
