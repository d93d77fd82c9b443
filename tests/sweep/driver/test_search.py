import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
import torch
from msgspec.structs import replace as replace_fields
from optuna import Study

from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name, trial_name
from analysis.records.ledger import (
    DIVERGED,
    FORMAT,
    Ledger,
    SweepCreated,
    Trial,
    read_ledger,
)
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder, LocalFolder
from data_utils.dataset import ImageDataset, TrainTest, split_train_validation
from sweep.config import SweepConfig
from sweep.driver.search import run_search
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.errors import ClusterError
from sweep.training.assignment import Assignment, Failure, Report
from sweep.training.checkpoints import save_checkpoint
from sweep.training.loop import TrainingRun, train_epochs
from sweep.tuning.searcher import TRIAL_ID, StudySearcher, objective


def _config(**given: Any) -> SweepConfig:
    recipe = {"learning_rate": 0.05, "batch_size": 32}
    return SweepConfig.model_validate({"model": "mlp", "recipe": recipe, **given})


def _retrain(config: SweepConfig, trial: Trial, data: TrainTest) -> list[Epoch]:
    """Train a trial again, in this process, where nothing disturbs it."""
    draw = {name: trial.hyperparameters[name] for name in config.space}
    run = TrainingRun(config.model, config.hyperparameters(draw), seed=trial.seed)
    train, validation = split_train_validation(data.train, 85, config.split_seed)
    return list(train_epochs(run, train, validation, epochs=len(trial.epochs)))


def _timeless(epochs: list[Epoch]) -> list[Epoch]:
    return [replace_fields(epoch, seconds=0.0, images_per_s=0.0) for epoch in epochs]


@dataclass(frozen=True)
class TinySearch:
    """A finished search on next to no images."""

    config: SweepConfig
    folder: Folder
    ledger: Ledger
    study: Study


RunTiny = Callable[..., TinySearch]


@pytest.fixture(scope="module")
def run_tiny(make_session: Callable[..., Session], tiny: TrainTest, ray_scratch: Path) -> RunTiny:
    """Runs a search with Ray to its end, a new one or one that has begun."""

    def run(config: SweepConfig, folder: Folder, **given: Any) -> TinySearch:
        session = make_session(folder, scratch=ray_scratch, **given)
        searchers: list[StudySearcher] = []
        run_engine = session.engine.run

        def run_and_keep(**asked: Any) -> bool:
            searchers.append(asked["searcher"])
            return run_engine(**asked)

        engine: Any = SimpleNamespace(folder=folder, slots=session.engine.slots, run=run_and_keep)
        ledger = run_search(replace(session, engine=engine), config, name="tiny", data=tiny)
        return TinySearch(config, folder, ledger, searchers[-1].study)

    return run


def _require_consistent(done: TinySearch) -> None:
    """Check what holds for every finished search."""
    config, ledger = done.config, done.ledger
    assert read_ledger(done.folder) == ledger
    assert sorted(ledger.trials) == list(range(1, config.trials + 1))
    told = {trial.number + 1: trial for trial in done.study.trials}
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
    assert done.study.best_trial.value == pytest.approx(objective(ranking[0].score))
    best = ranking[: config.confirm.top_k if config.confirm else 1]
    assert _kept(done.folder) == sorted(selection.trial.trial_id for selection in best)


def _kept(folder: Folder) -> list[int]:
    return [int(name[6:10]) for name in folder.child("checkpoints").files()]


@pytest.mark.long
def test_search_stops_bad_trials_early_and_runs_all_others(
    run_tiny: RunTiny, tiny: TrainTest, tmp_path: Path
) -> None:
    config = _config(
        trials=12,  # the first ten are random ones with every searcher
        epochs=3,
        scheduler={"name": "asha", "grace_period": 1, "reduction_factor": 3},
        confirm={"top_k": 2, "seeds": 1},
    )
    done = run_tiny(config, LocalFolder(tmp_path))
    _require_consistent(done)
    assert done.ledger.in_state("FAILED") == []
    # The first trial at a rung continues. That the eleven others continue, too, takes
    # accuracies that never fall: once in 10 million by chance.
    assert done.ledger.in_state("STOPPED")
    assert done.ledger.trials[1].hyperparameters["dropout"] == 0.25
    for trial_id in (1, 12):
        trial = done.ledger.trials[trial_id]
        assert _timeless(trial.epochs) == _timeless(_retrain(config, trial, tiny))


@dataclass(frozen=True)
class DeadlyFolder(LocalFolder):
    """A folder whose writer is killed at some of its attempts to write some of its files.

    Attributes:
        deaths: For a file, at which attempts, from 1, and whether before or after the file
            is written.
    """

    deaths: tuple[tuple[str, tuple[int, ...], str], ...] = ()

    def write(self, name: str, data: bytes) -> None:
        for file, attempts, moment in self.deaths:
            if file == name:
                tally = self.path / f"{Path(name).name}.tally"
                with tally.open("ab") as stream:
                    stream.write(b".")
                is_due = tally.stat().st_size in attempts
                if is_due and moment == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                super().write(name, data)
                if is_due:
                    os.kill(os.getpid(), signal.SIGKILL)
                return
        super().write(name, data)


@pytest.fixture(scope="module")
def eventful(
    run_tiny: RunTiny, tiny: TrainTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TinySearch]:
    """A search in which everything goes wrong that can.

    Trial 1 diverges in its second epoch. The process of trial 2 dies before its second epoch is
    in the checkpoint, that of trial 3 after it and before the report, that of trial 4 always
    in its first epoch. Nothing happens to trial 5.
    """
    config = _config(trials=5, epochs=3, scheduler="none", confirm="none")
    deaths = (
        (checkpoint_name(trial_name(2)), (2,), "before"),
        (checkpoint_name(trial_name(3)), (2,), "after"),
        (checkpoint_name(trial_name(4)), (1, 2, 3), "before"),
    )
    folder = DeadlyFolder(tmp_path_factory.mktemp("eventful"), deaths)
    _save_diverging_checkpoint(config, folder, tiny)
    # The workers cannot import this file, so the class has to travel as a whole.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        yield run_tiny(config, folder)
    finally:
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def _save_diverging_checkpoint(config: SweepConfig, folder: Folder, data: TrainTest) -> None:
    """Lets trial 1 begin with a checkpoint of its first epoch from which only NaN can come."""
    created = SweepCreated(0.0, FORMAT, "tiny", config.model_dump(mode="json"))
    assignment = Assignment.from_config(StudySearcher(config, Ledger(created)).suggest("a"))
    hyperparameters = assignment.hyperparameters
    run = TrainingRun(assignment.model, hyperparameters, seed=assignment.seed)
    next(train_epochs(run, data.train, data.test, epochs=assignment.epochs))
    with torch.no_grad():
        next(run.model.parameters()).fill_(torch.nan)
    save_checkpoint(folder, assignment, run)


@pytest.mark.long
def test_eventful_search_ends_consistently(eventful: TinySearch, tiny: TrainTest) -> None:
    _require_consistent(eventful)
    for trial_id in (2, 3, 5):
        trial = eventful.ledger.trials[trial_id]
        assert trial.state == "COMPLETE"
        assert _timeless(trial.epochs) == _timeless(_retrain(eventful.config, trial, tiny))

    trial = eventful.ledger.trials[1]
    assert (trial.state, len(trial.epochs)) == ("FAILED", 1)
    assert trial.reason == f"{DIVERGED}: training loss became nan in epoch 2"
    assert eventful.study.trials[0].value is None
    assert not eventful.folder.exists(f"failures/{trial_name(1)}.txt")


@pytest.mark.long
@pytest.mark.parametrize(
    ("trial_id", "reason", "deaths"),
    [
        (2, None, ["after epoch 1"]),
        (3, None, ["after epoch 1"]),
        (4, "its process died 3 times", ["in its first epoch"] * 2),
        (5, None, []),
    ],
)
def test_trial_whose_process_dies_is_retried_twice(
    trial_id: int, reason: str | None, deaths: list[str], eventful: TinySearch
) -> None:
    assert eventful.ledger.trials[trial_id].reason == reason
    notices = [n.text for n in eventful.ledger.notices if n.trial_id == trial_id]
    assert notices == [f"its process died {when}; another goes on" for when in deaths]
    tally = eventful.folder.path / f"{trial_name(trial_id)}.pt.tally"
    n_written = {2: 4, 3: 3, 4: 3}  # trial 3 did not even train its second epoch again
    assert not tally.exists() or tally.stat().st_size == n_written[trial_id]


def test_search_that_was_interrupted_goes_on_and_can_be_extended(
    run_tiny: RunTiny, tiny: TrainTest, tmp_path: Path
) -> None:
    config = _config(trials=2, epochs=4, scheduler="none")
    folder = LocalFolder(tmp_path)

    def interrupt() -> None:
        ledger = read_ledger(folder)
        if 2 in ledger.trials and len(ledger.trials[2].epochs) >= 2:
            raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        run_tiny(config, folder, watch=interrupt, n_slots=1)
    gc.collect()  # Tune's workers end with the last reference to them
    cut = read_ledger(folder)
    assert [trial.state for trial in cut.trials.values()] == ["COMPLETE", "RUNNING"]

    done = run_tiny(config.model_copy(update={"trials": 3}), folder, n_slots=1)
    _require_consistent(done)
    for trial_id, trial in done.ledger.trials.items():
        assert _timeless(trial.epochs) == _timeless(_retrain(config, trial, tiny))
        if trial_id in cut.trials:  # to the second: nothing was trained again
            assert trial.epochs[: len(cut.trials[trial_id].epochs)] == cut.trials[trial_id].epochs
    assert len({trial.hyperparameters["dropout"] for trial in done.ledger.trials.values()}) == 3


def _epoch(epoch: int, accuracy: float) -> Epoch:
    return Epoch(epoch, 0.5, 0.8, 0.4, accuracy, 1.5, 1e4)


def _play(recorder: Any, config: dict[str, Any], *accuracies: float) -> None:
    """Record a trial with a checkpoint; without all its epochs it is stopped or fails."""
    recorder.start(config)
    n_epochs = Assignment.from_config(config).epochs
    report = Report(None, failure=Failure("why"))
    for epoch, accuracy in enumerate(accuracies, start=1):
        report = Report(_epoch(epoch, accuracy), is_last=epoch == n_epochs)
        recorder.epoch(config, report.epoch)
    recorder.end(config, report, None if accuracies else "why")


def _fail_all(recorder: Any, searcher: Any, n_trainings: int, **_: Any) -> bool:
    """End every trial at once, instead of training it."""
    for n in range(n_trainings):
        _play(recorder, searcher.suggest(f"tune-{n}"))
    return True


def test_search_writes_a_ledger_from_beginning_to_end(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> None:
    folder, config = LocalFolder(tmp_path), SweepConfig(trials=3, epochs=1)
    session = make_session(folder, run=_fail_all)
    ledger = run_search(session, config, name="mine", data=blank)
    assert read_ledger(folder) == ledger
    assert (ledger.name, ledger.config) == ("mine", config.model_dump(mode="json"))
    assert [begun.slots for begun in ledger.sessions] == [2]
    assert ledger.ended is not None
    assert ledger.ended.reason == "finished"
    assert len(ledger.trials) == 3
    screen: Any = session.screen
    assert screen.opened == [("search", (ledger,))]


def test_search_validates_on_a_stratified_sixth_that_the_seed_does_not_change(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> None:
    def numbers(images: ImageDataset) -> list[int]:
        corner = images.images[:, 0, :2].astype(int)
        return (256 * corner[:, 0] + corner[:, 1]).tolist()

    given: list[dict[str, Any]] = []

    def run(**asked: Any) -> bool:
        given.append(asked)
        return _fail_all(**asked)

    for n, seeds in enumerate(({"seed": 0}, {"seed": 9}, {"split_seed": 1})):
        session = make_session(LocalFolder(tmp_path / str(n)), run=run)
        run_search(session, SweepConfig(trials=1, epochs=1, **seeds), name="mine", data=blank)
    train, validation = ([numbers(asked[part]) for asked in given] for part in PARTS)
    assert validation[0] == validation[1] != validation[2]
    assert np.bincount(given[0]["evaluation"].labels).tolist() == [10] * 10
    assert sorted(train[0] + validation[0]) == list(range(600))


PARTS = ("train", "evaluation")


def test_finished_search_is_left_alone_and_an_extended_one_records_its_new_config(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> None:
    folder, n_trained = LocalFolder(tmp_path), []

    def run(**asked: Any) -> bool:
        n_trained.append(asked["n_trainings"])
        return _fail_all(**asked)

    session = make_session(folder, run=run)
    run_search(session, SweepConfig(trials=3, epochs=1), name="mine", data=blank)
    before = folder.read("ledger.jsonl")
    run_search(session, SweepConfig(trials=3, epochs=1), name="mine", data=blank)
    assert folder.read("ledger.jsonl") == before
    ledger = run_search(session, SweepConfig(trials=5, epochs=1), name="mine", data=blank)
    assert n_trained == [3, 2]
    assert (ledger.created.config["trials"], ledger.config["trials"]) == (3, 5)
    assert read_ledger(folder) == ledger
    assert b"trials: 5" in folder.read("config.yaml")


@dataclass(frozen=True)
class FullFolder(LocalFolder):
    """A folder that takes no new records."""

    def append_to(self, name: str, **_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_config_file_follows_the_ledger(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> None:
    old, new = SweepConfig(trials=1, epochs=1), SweepConfig(trials=2, epochs=1)
    folder = LocalFolder(tmp_path)
    folder.write("config.yaml", new.to_yaml().encode())  # of another process, say
    run_search(make_session(folder, run=_fail_all), old, name="mine", data=blank)
    assert folder.read("config.yaml").decode() == old.to_yaml()
    with pytest.raises(OSError, match="No space"):
        run_search(make_session(FullFolder(tmp_path)), new, name="mine", data=blank)
    assert folder.read("config.yaml").decode() == old.to_yaml(), "the record comes first"
    folder.write("config.yaml", new.to_yaml().encode())
    run_search(make_session(folder), old, name="mine", data=blank)
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
def test_search_records_why_it_ended_early(
    error: BaseException,
    reason: str,
    make_session: Callable[..., Session],
    blank: TrainTest,
    tmp_path: Path,
) -> None:
    def fail(**_: Any) -> bool:
        raise error

    folder = LocalFolder(tmp_path)
    with pytest.raises(type(error)) as raised:
        run_search(make_session(folder, run=fail), SweepConfig(), name="mine", data=blank)
    assert raised.value is error
    ended = read_ledger(folder).ended
    assert ended is not None
    assert ended.reason == reason


def test_search_takes_up_what_tune_has_given_up(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> None:
    proposed = []

    def run(recorder: Any, searcher: Any, n_trainings: int, **_: Any) -> bool:
        """A process dies as it is handed on to the second trial."""
        for n in range(n_trainings):
            config = searcher.suggest(f"tune-{n}")
            proposed.append(config[TRIAL_ID])
            recorder.start(config)
            if len(proposed) != 2:
                _play(recorder, config)
        return len(proposed) > 3

    session = make_session(LocalFolder(tmp_path), run=run)
    config = SweepConfig(trials=3, epochs=2, confirm=None)
    ledger = run_search(session, config, name="mine", data=blank)
    assert proposed == [1, 2, 3, 2]
    assert len(ledger.in_state("FAILED")) == 3


def test_search_records_what_results_show(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> None:
    def run(recorder: Any, searcher: Any, **_: Any) -> bool:
        config = searcher.suggest("a")
        trial = SimpleNamespace(trial_id="a", config=config, error_file=None)
        recorder.on_trial_recover(
            iteration=1, trials=[], trial=trial
        )  # its process died before it began
        recorder.on_trial_start(iteration=2, trials=[], trial=trial)
        assert recorder.n_epochs(config) == 0
        recorder.epoch(config, _epoch(1, 0.9))
        assert recorder.n_epochs(config) == 1
        recorder.end(config, None, "its process died 3 times")
        return True

    config = _config(trials=1, epochs=2, space={"dropout": {"low": 0.0, "high": 0.5}})
    session = make_session(LocalFolder(tmp_path), run=run)
    ledger = run_search(session, config, name="mine", data=blank)
    (trial,) = ledger.trials.values()
    shown = {"dropout": 0.25, "rotation": 0.0, "shift": 0.0, "weight_decay": 0.0}
    assert (trial.trial_id, trial.hyperparameters) == (1, shown)
    assert trial.epochs == [_epoch(1, 0.9)]
    assert (trial.state, trial.reason) == ("FAILED", "its process died 3 times")
    assert [(notice.trial_id, notice.text) for notice in ledger.notices] == [
        (1, "its process died in its first epoch; another goes on")
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
    confirm: Any,
    kept: list[list[int]],
    n_first: int,
    make_session: Callable[..., Session],
    blank: TrainTest,
    tmp_path: Path,
) -> None:
    folder, seen = LocalFolder(tmp_path), []

    def run(recorder: Any, searcher: Any, n_trainings: int, **_: Any) -> bool:
        for n in range(n_trainings):
            config = searcher.suggest(f"tune-{n}")
            folder.write(checkpoint_name(trial_name(config[TRIAL_ID])), b"weights")
            _play(recorder, config, *CURVES[config[TRIAL_ID] - 1])
            seen.append(_kept(folder))
        return True

    for n_trials in (n_first, len(CURVES)):
        config = _config(trials=n_trials, epochs=2, confirm=confirm)
        run_search(make_session(folder, run=run), config, name="mine", data=blank)
    assert seen == kept


def test_search_deletes_the_checkpoints_that_a_killed_driver_left(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)

    def run(recorder: Any, searcher: Any, **_: Any) -> bool:
        for n, accuracy in enumerate((0.8, 0.9)):
            _play(recorder, searcher.suggest(f"tune-{n}"), accuracy, accuracy)
        recorder.start(searcher.suggest("cut off"))
        names = [*(trial_name(trial_id) for trial_id in (1, 2, 3, 4)), "trial-1-seed-5"]
        for name in names:
            folder.write(checkpoint_name(name), b"weights")
        raise Interrupted(signal.SIGKILL)

    config = _config(trials=4, epochs=2)
    with pytest.raises(Interrupted):
        run_search(make_session(folder, run=run), config, name="mine", data=blank)
    run_search(make_session(folder, run=lambda **_: True), config, name="mine", data=blank)
    assert folder.child("checkpoints").files() == [
        f"{name}.pt" for name in ("trial-0002", "trial-0003", "trial-0004", "trial-1-seed-5")
    ]
