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

from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name, trial_name
from analysis.records.ledger import (
    DIVERGED,
    FORMAT,
    EpochRecord,
    Ledger,
    LedgerWriter,
    SweepCreated,
    Trial,
    read_ledger,
)
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder, LocalFolder
from data_utils.dataset import ImageDataset, split_train_validation
from data_utils.mnist import Mnist
from sweep.config import SweepConfig
from sweep.driver.missing import n_missing_trials
from sweep.driver.search import TrialRecorder, run_search
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


def _begin(config: SweepConfig, folder: Folder) -> LedgerWriter:
    created = SweepCreated(0.0, FORMAT, "tiny", config.model_dump(mode="json"))
    return LedgerWriter.create(folder, created)


def _retrain(config: SweepConfig, trial: Trial, data: Mnist) -> list[dict[str, Any]]:
    """The metrics of a trial, from a training in this process that nothing disturbs."""
    draw = {name: trial.hyperparameters[name] for name in config.space}
    hyperparameters = config.hyperparameters(draw)
    run = TrainingRun.start(config.model, hyperparameters, seed=trial.seed)
    train, validation = split_train_validation(data.train, 85, config.split_seed)
    epochs = train_epochs(run, train, validation, epochs=len(trial.epochs))
    return [_timeless(metrics) for metrics in epochs]


def _timeless(metrics: Epoch | EpochRecord) -> dict[str, Any]:
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return {name: getattr(metrics, name) for name in names}


@dataclass(frozen=True)
class TinySearch:
    """A finished search on next to no images, in memory and on disk."""

    config: SweepConfig
    folder: Folder
    ledger: Ledger
    searcher: StudySearcher

    def checkpoints(self) -> list[str]:
        return self.folder.child("checkpoints").files()


RunTiny = Callable[..., TinySearch]


@pytest.fixture(scope="module")
def run_tiny(make_session: Callable[..., Session], tiny: Mnist, ray_scratch: Path) -> RunTiny:
    """Runs a search with Ray to its end, a new one or one that has begun."""

    def run(config: SweepConfig, folder: Folder, **given: Any) -> TinySearch:
        session = make_session(folder, scratch=ray_scratch, **given)
        searchers: list[StudySearcher] = []
        run_engine = session.engine.run

        def run_and_keep(**asked: Any) -> bool:
            searchers.append(asked["searcher"])
            return run_engine(**asked)

        engine: Any = SimpleNamespace(folder=folder, slots=session.engine.slots, run=run_and_keep)
        ledger = run_search(replace(session, engine=engine), config, name="tiny", mnist=tiny)
        return TinySearch(config, folder, ledger, searchers[-1])

    return run


def _require_in_order(tiny_search: TinySearch) -> None:
    """What holds of every search that has come to its end."""
    config, ledger = tiny_search.config, tiny_search.ledger
    assert sorted(ledger.trials) == list(range(1, config.trials + 1))
    assert ledger.in_state("RUNNING") == []
    for trial in ledger.trials.values():
        epochs = [epoch.epoch for epoch in trial.epochs]
        assert epochs == list(range(1, len(epochs) + 1))
        if trial.state == "COMPLETE":
            assert len(epochs) == config.epochs
        elif trial.state == "STOPPED":
            assert 1 <= len(epochs) < config.epochs
    # What was written is what the writer says, and what Optuna knows is the same.
    assert read_ledger(tiny_search.folder) == ledger
    names = {"COMPLETE": "COMPLETE", "STOPPED": "PRUNED", "FAILED": "FAIL"}
    told = {trial.number + 1: trial for trial in tiny_search.searcher.study.trials}
    assert {number: trial.state.name for number, trial in told.items()} == {
        trial_id: names[trial.state] for trial_id, trial in ledger.trials.items()
    }
    for trial_id, trial in ledger.trials.items():
        curve = {epoch.epoch: epoch.val_accuracy for epoch in trial.epochs}
        assert told[trial_id].intermediate_values == curve
        assert told[trial_id].params.items() <= trial.hyperparameters.items()
    ranking = rank_trials(ledger)
    best = tiny_search.searcher.study.best_trial
    assert best.value == pytest.approx(objective(ranking[0].score))
    n_kept = max(1, config.n_finalists)
    kept = [f"{trial_name(selection.trial.trial_id)}.pt" for selection in ranking[:n_kept]]
    assert tiny_search.checkpoints() == sorted(kept)


@pytest.mark.parametrize(("searcher", "scheduler"), [("tpe", "asha"), ("random", "none")])
def test_search_runs_all_its_trials(
    searcher: str, scheduler: str, run_tiny: RunTiny, tiny: Mnist, tmp_path: Path
) -> None:
    config = _config(
        trials=12,  # the first ten are random ones with every searcher
        epochs=3,
        searcher=searcher,
        scheduler={"name": scheduler, "grace_period": 1, "reduction_factor": 3},
        confirm={"top_k": 2, "seeds": 1},
    )
    done = run_tiny(config, LocalFolder(tmp_path))
    _require_in_order(done)
    assert done.ledger.in_state("FAILED") == []
    n_stopped = len(done.ledger.in_state("STOPPED"))
    # Whoever comes to a rung first goes on. That all of the eleven others go on, too, takes
    # accuracies that never fall: with these seeds they do, and by chance once in 10 million.
    assert n_stopped > 0 if scheduler == "asha" else n_stopped == 0
    assert done.ledger.trials[1].hyperparameters["dropout"] == 0.25
    for trial_id in (1, 12):
        trial = done.ledger.trials[trial_id]
        assert [_timeless(epoch) for epoch in trial.epochs] == _retrain(config, trial, tiny)


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
    run_tiny: RunTiny, tiny: Mnist, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TinySearch]:
    """A search in which everything goes wrong that can.

    Trial 1 diverges in its second epoch, trial 2 loses its process before its second epoch
    is in the checkpoint, trial 3 after that and before it is reported, trial 4 always in its
    first epoch; trials 5 and 6 are left in peace.
    """
    config = _config(trials=6, epochs=3, scheduler="none", confirm="none")
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


def _save_diverging_checkpoint(config: SweepConfig, folder: Folder, data: Mnist) -> None:
    """Lets trial 1 begin with a checkpoint of its first epoch from which only NaN can come."""
    created = SweepCreated(0.0, FORMAT, "tiny", config.model_dump(mode="json"))
    assignment = Assignment.from_config(StudySearcher(config, Ledger(created)).suggest("a"))
    hyperparameters = assignment.hyperparameters
    run = TrainingRun.start(assignment.model, hyperparameters, seed=assignment.seed)
    next(train_epochs(run, data.train, data.test, epochs=assignment.epochs))
    with torch.no_grad():
        next(run.model.parameters()).fill_(torch.nan)
    save_checkpoint(folder, assignment, run)


def test_eventful_search_comes_to_its_end_in_order(eventful: TinySearch) -> None:
    _require_in_order(eventful)


def test_trial_that_diverges_fails_and_the_search_goes_on(eventful: TinySearch) -> None:
    trial = eventful.ledger.trials[1]
    assert (trial.state, len(trial.epochs)) == ("FAILED", 1)
    assert trial.reason == f"{DIVERGED}: training loss became nan in epoch 2"
    told = eventful.searcher.study.trials[0]
    assert (told.state.name, told.value) == ("FAIL", None)
    assert rank_trials(eventful.ledger)[0].trial.trial_id != 1
    assert not eventful.folder.exists(f"failures/{trial_name(1)}.txt")


@pytest.mark.parametrize("trial_id", [2, 3])
def test_trial_whose_process_was_killed_goes_on_as_if_nothing_had_been(
    trial_id: int, eventful: TinySearch, tiny: Mnist
) -> None:
    trial = eventful.ledger.trials[trial_id]
    assert trial.state == "COMPLETE"
    numbers = [_timeless(epoch) for epoch in trial.epochs]
    assert numbers == _retrain(eventful.config, trial, tiny)
    notices = [n.text for n in eventful.ledger.notices if n.trial_id == trial_id]
    assert notices == ["its process died after epoch 1; another goes on"]
    # Trial 3 did not even train its second epoch again.
    tally = eventful.folder.path / f"{trial_name(trial_id)}.pt.tally"
    assert tally.stat().st_size == {2: 4, 3: 3}[trial_id]


def test_trial_whose_process_dies_again_and_again_fails(eventful: TinySearch) -> None:
    trial = eventful.ledger.trials[4]
    assert (trial.state, trial.epochs) == ("FAILED", [])
    assert trial.reason == "its process died 3 times"
    notices = [n.text for n in eventful.ledger.notices if n.trial_id == 4]
    assert notices == ["its process died in its first epoch; another goes on"] * 2


def test_trials_beside_them_are_untouched(eventful: TinySearch, tiny: Mnist) -> None:
    for trial_id in (5, 6):
        trial = eventful.ledger.trials[trial_id]
        assert trial.state == "COMPLETE"
        numbers = [_timeless(epoch) for epoch in trial.epochs]
        assert numbers == _retrain(eventful.config, trial, tiny)


def test_search_that_was_interrupted_goes_on_and_can_be_extended(
    run_tiny: RunTiny, tiny: Mnist, tmp_path: Path
) -> None:
    config = _config(trials=4, epochs=4, scheduler="none")
    folder = LocalFolder(tmp_path)

    def interrupt() -> None:
        ledger = read_ledger(folder)
        if 2 in ledger.trials and len(ledger.trials[2].epochs) >= 2:
            raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        run_tiny(config, folder, watch=interrupt, n_slots=1)
    gc.collect()  # Tune's workers end with the last reference to them
    cut = read_ledger(folder)
    assert cut.trials[1].state == "COMPLETE"
    assert cut.trials[2].state == "RUNNING"
    assert n_missing_trials(config, cut) == 3

    more = config.model_copy(update={"trials": 5})
    done = run_tiny(more, folder, n_slots=1)
    _require_in_order(done)
    for trial_id, trial in done.ledger.trials.items():
        numbers = [_timeless(epoch) for epoch in trial.epochs]
        assert numbers == _retrain(config, trial, tiny)
        if trial_id in cut.trials:
            assert trial.epochs[: len(cut.trials[trial_id].epochs)] == cut.trials[trial_id].epochs
    assert n_missing_trials(more, done.ledger) == 0
    drawn = [trial.hyperparameters["dropout"] for trial in done.ledger.trials.values()]
    assert len(set(drawn)) == 5


def _fail_all(recorder: Any, searcher: Any, n_trainings: int, **_: Any) -> bool:
    """Ends every trial at once, instead of training it."""
    for n in range(n_trainings):
        config = searcher.suggest(f"tune-{n}")
        recorder.start(config)
        recorder.end(config, Report(None, failure=Failure("why")), "why")
    return True


def test_search_writes_a_ledger_from_beginning_to_end(
    make_session: Callable[..., Session], blank: Mnist, tmp_path: Path
) -> None:
    folder, config = LocalFolder(tmp_path), SweepConfig(trials=3, epochs=1)
    session = make_session(folder, run=_fail_all)
    ledger = run_search(session, config, name="mine", mnist=blank)
    assert read_ledger(folder) == ledger
    assert (ledger.name, ledger.config) == ("mine", config.model_dump(mode="json"))
    assert [begun.slots for begun in ledger.sessions] == [2]
    assert ledger.ended is not None
    assert ledger.ended.reason == "finished"
    assert len(ledger.trials) == 3
    screen: Any = session.screen
    assert screen.opened == [("search", (ledger,))]


def test_search_validates_on_a_stratified_sixth_that_the_seed_does_not_change(
    make_session: Callable[..., Session], blank: Mnist, tmp_path: Path
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
        run_search(session, SweepConfig(trials=1, epochs=1, **seeds), name="mine", mnist=blank)
    train, validation = ([numbers(asked[part]) for asked in given] for part in PARTS)
    assert validation[0] == validation[1] != validation[2]
    assert np.bincount(given[0]["evaluation"].labels).tolist() == [10] * 10
    assert sorted(train[0] + validation[0]) == list(range(600))


PARTS = ("train", "evaluation")


def test_finished_search_is_left_alone_and_an_extended_one_records_its_new_config(
    make_session: Callable[..., Session], blank: Mnist, tmp_path: Path
) -> None:
    folder, n_trained = LocalFolder(tmp_path), []

    def run(**asked: Any) -> bool:
        n_trained.append(asked["n_trainings"])
        return _fail_all(**asked)

    session = make_session(folder, run=run)
    run_search(session, SweepConfig(trials=3, epochs=1), name="mine", mnist=blank)
    before = folder.read("ledger.jsonl")
    run_search(session, SweepConfig(trials=3, epochs=1), name="mine", mnist=blank)
    assert folder.read("ledger.jsonl") == before
    ledger = run_search(session, SweepConfig(trials=5, epochs=1), name="mine", mnist=blank)
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
    make_session: Callable[..., Session], blank: Mnist, tmp_path: Path
) -> None:
    old, new = SweepConfig(trials=1, epochs=1), SweepConfig(trials=2, epochs=1)
    folder = LocalFolder(tmp_path)
    folder.write("config.yaml", new.to_yaml().encode())  # of another process, say
    run_search(make_session(folder, run=_fail_all), old, name="mine", mnist=blank)
    assert folder.read("config.yaml").decode() == old.to_yaml()
    with pytest.raises(OSError, match="No space"):
        run_search(make_session(FullFolder(tmp_path)), new, name="mine", mnist=blank)
    assert folder.read("config.yaml").decode() == old.to_yaml(), "the record comes first"
    folder.write("config.yaml", new.to_yaml().encode())
    run_search(make_session(folder), old, name="mine", mnist=blank)
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
    blank: Mnist,
    tmp_path: Path,
) -> None:
    def fail(**_: Any) -> bool:
        raise error

    folder = LocalFolder(tmp_path)
    with pytest.raises(type(error)) as raised:
        run_search(make_session(folder, run=fail), SweepConfig(), name="mine", mnist=blank)
    assert raised.value is error
    ended = read_ledger(folder).ended
    assert ended is not None
    assert ended.reason == reason


def test_search_takes_up_what_tune_has_given_up(
    make_session: Callable[..., Session], blank: Mnist, tmp_path: Path
) -> None:
    proposed = []

    def run(recorder: Any, searcher: Any, n_trainings: int, **_: Any) -> bool:
        """A process dies as it is handed on to the second trial."""
        for n in range(n_trainings):
            config = searcher.suggest(f"tune-{n}")
            proposed.append(config[TRIAL_ID])
            recorder.start(config)
            if len(proposed) != 2:
                recorder.end(config, Report(None, failure=Failure("why")), "why")
        return len(proposed) > 3

    session = make_session(LocalFolder(tmp_path), run=run)
    config = SweepConfig(trials=3, epochs=2, confirm=None)
    ledger = run_search(session, config, name="mine", mnist=blank)
    assert proposed == [1, 2, 3, 2]
    assert len(ledger.in_state("FAILED")) == 3


MakeRecorder = Callable[..., TrialRecorder]


@pytest.fixture
def make_recorder(tmp_path: Path) -> Iterator[MakeRecorder]:
    """Makes the recorder of a search of two epochs, in `tmp_path`."""
    writers: list[LedgerWriter] = []

    def make(**given: Any) -> TrialRecorder:
        config = _config(epochs=2, **given)
        folder = LocalFolder(tmp_path)
        exists = folder.exists("ledger.jsonl")
        writers.append(LedgerWriter.reopen(folder) if exists else _begin(config, folder))
        return TrialRecorder(config, folder, writers[-1], lambda: None)

    yield make
    for writer in writers:
        writer.close()


def _tune_config(trial_id: int, dropout: float = 0.25) -> dict[str, Any]:
    values = {"dropout": dropout, "rotation": 5.0, "shift": 0.1, "weight_decay": 1e-4}
    assignment = Assignment(
        name=trial_name(trial_id),
        seed=40 + trial_id,
        model="mlp",
        epochs=2,
        hyperparameters=values | {"learning_rate": 0.05, "batch_size": 32},
    )
    return {TRIAL_ID: trial_id, **assignment.to_config()}


def _metrics(epoch: int, accuracy: float) -> Epoch:
    return Epoch(
        epoch=epoch,
        train_loss=0.5,
        train_accuracy=0.8,
        val_loss=0.4,
        val_accuracy=accuracy,
        seconds=1.5,
        images_per_s=1e4,
    )


def _play(recorder: TrialRecorder, folder: Folder, trial_id: int, *accuracies: float) -> None:
    """Records a trial with a checkpoint; one of fewer than two epochs is stopped or fails."""
    config = _tune_config(trial_id)
    recorder.start(config)
    folder.write(checkpoint_name(trial_name(trial_id)), b"weights")
    report = Report(None, failure=Failure("why"))
    for epoch, accuracy in enumerate(accuracies, start=1):
        report = Report(_metrics(epoch, accuracy), is_last=epoch == 2)
        recorder.epoch(config, _metrics(epoch, accuracy))
    recorder.end(config, report, None if accuracies else "why")


def _kept(folder: Folder) -> list[int]:
    return [int(name[6:10]) for name in folder.child("checkpoints").files()]


def test_recorder_writes_what_results_show(make_recorder: MakeRecorder, tmp_path: Path) -> None:
    recorder = make_recorder()
    config = _tune_config(1, dropout=0.3)
    recorder.start(config)
    recorder.start(config)  # tried again
    assert recorder.n_epochs(config) == 0
    recorder.epoch(config, _metrics(1, 0.9))
    recorder.notice(config, "its process died after epoch 1; another goes on")
    recorder.end(config, None, "its process died 3 times")
    ledger = read_ledger(LocalFolder(tmp_path))
    (trial,) = ledger.trials.values()
    shown = {"dropout": 0.3, "rotation": 5.0, "shift": 0.1, "weight_decay": 1e-4}
    assert (trial.trial_id, trial.seed, trial.hyperparameters) == (1, 41, shown)
    (epoch,) = trial.epochs
    assert epoch == _metrics(1, 0.9)
    assert (trial.state, trial.reason) == ("FAILED", "its process died 3 times")
    assert [(notice.trial_id, notice.text) for notice in ledger.notices] == [
        (1, "its process died after epoch 1; another goes on")
    ]


def test_recorder_records_a_trial_whose_process_dies_before_it_begins(
    make_recorder: MakeRecorder, tmp_path: Path
) -> None:
    recorder = make_recorder()
    trial: Any = SimpleNamespace(trial_id="a", config=_tune_config(1), error_file=None)
    recorder.on_trial_recover(iteration=1, trial=trial)
    recorder.on_trial_start(trial=trial)
    ledger = read_ledger(LocalFolder(tmp_path))
    assert [(trial.trial_id, trial.state) for trial in ledger.trials.values()] == [(1, "RUNNING")]
    assert [(notice.trial_id, notice.text) for notice in ledger.notices] == [
        (1, "its process died in its first epoch; another goes on")
    ]


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
def test_recorder_keeps_only_the_checkpoints_of_the_best(
    confirm: Any, kept: list[list[int]], make_recorder: MakeRecorder, tmp_path: Path
) -> None:
    recorder, folder = make_recorder(confirm=confirm), LocalFolder(tmp_path)
    accuracies: tuple[tuple[float, ...], ...] = (
        (0.8, 0.8),
        (0.99,),  # stopped early
        (),  # failed
        (0.9, 0.9),
        (0.9, 0.9),  # of equals the earlier one is better
        (0.95, 0.95),
    )
    seen = []
    for trial_id, curve in enumerate(accuracies, start=1):
        _play(recorder, folder, trial_id, *curve)
        seen.append(_kept(folder))
    assert seen == kept


def test_recorder_of_a_resumed_search_knows_what_it_kept(
    make_recorder: MakeRecorder, tmp_path: Path
) -> None:
    folder, confirm = LocalFolder(tmp_path), {"top_k": 2, "seeds": 1}
    first = make_recorder(confirm=confirm)
    for trial_id, accuracy in ((1, 0.8), (2, 0.9)):
        _play(first, folder, trial_id, accuracy, accuracy)
    second = make_recorder(confirm=confirm)
    _play(second, folder, 3, 0.7, 0.7)
    assert _kept(folder) == [1, 2]
    _play(second, folder, 4, 0.85, 0.85)
    assert _kept(folder) == [2, 4]


def test_recorder_deletes_what_a_killed_driver_left(
    make_recorder: MakeRecorder, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)
    recorder = make_recorder()
    for trial_id, accuracy in ((1, 0.8), (2, 0.9)):
        _play(recorder, folder, trial_id, accuracy, accuracy)
    recorder.start(_tune_config(3))
    names = [*(trial_name(trial_id) for trial_id in (1, 2, 3, 4)), "trial-1-seed-5"]
    for name in names:
        folder.write(checkpoint_name(name), b"weights")
    make_recorder()
    left = {name.removesuffix(".pt") for name in folder.child("checkpoints").files()}
    assert left == {*names} - {trial_name(1)}
