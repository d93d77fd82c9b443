"""Drivers that work on one sweep in a model of an object store, and what must be true of it.

The search and the confirmation are the real ones, and so are the records, the checkpoints and
the predictions. Only Ray and the training are replaced: a training waits, and its accuracies
depend on who trains, as on a GPU that does not repeat its results.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np

from analysis.errors import InUseError, StorageError
from analysis.hyperparameters import HAND_TUNED
from analysis.records.confirmation import Confirmation
from analysis.records.epochs import Epoch
from analysis.records.files import CONFIRMATION_FILE, LEDGER_FILE, checkpoint_name, trial_name
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.predictions import Predictions, load_predictions
from analysis.results.selection import rank_trials
from analysis.storage.folder import LOCK_FILE
from data_utils.dataset import ImageDataset, TrainTest
from simulation import Actor, Process, Schedule, Simulation
from store_model import ModelFolder, Objects
from sweep.config import SweepConfig
from sweep.driver.confirm import run_confirmation
from sweep.driver.resume import find_missing
from sweep.driver.search import run_search
from sweep.driver.session import Session
from sweep.training.assignment import Assignment, Report
from sweep.training.checkpoints import Checkpoint, CheckpointError, unpack_checkpoint

CONFIG = SweepConfig.model_validate(
    {
        "model": "mlp",
        "trials": 3,
        "epochs": 2,
        "searcher": "random",
        "initial_points": [HAND_TUNED],
        "confirm": {"top_k": 1, "seeds": 1},
    }
)
EPOCH_S = 4.0
_LABELS = np.repeat(np.arange(10, dtype=np.uint8), 6)
_IMAGES = ImageDataset(np.zeros((60, 28, 28), np.uint8), _LABELS)
_DATA = TrainTest(_IMAGES, _IMAGES)


class _Run:
    """What a checkpoint stores of a training."""

    def __init__(self, assignment: Assignment, number: int) -> None:
        self.hyperparameters, self.history = assignment.hyperparameters, list[Epoch]()
        self._luck = ((assignment.seed + 7 * number) % 11) / 100

    def state_dict(self) -> dict[str, Any]:
        history = [{"epoch": n + 1} for n in range(len(self.history))]
        return {"hyperparameters": self.hyperparameters, "history": history}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["hyperparameters"] != self.hyperparameters:
            raise ValueError("of other hyperparameters")
        for _ in state["history"]:
            self.add_epoch()

    def add_epoch(self) -> Epoch:
        accuracy = 0.7 + self._luck + len(self.history) / 100
        epoch = Epoch(len(self.history) + 1, 0.1, 0.9, 0.1, accuracy, EPOCH_S, 1e4)
        self.history.append(epoch)
        return epoch


@dataclass(eq=False)
class Driver:
    """One driver, whose worker is on another machine.

    Attributes:
        outcome: `ended`, `in use`, `storage error` or `killed`.
        ledger, confirmation: What it ended with.
    """

    world: "World"
    name: str
    number: int
    after_s: float = 0.0
    outcome: str = ""
    ledger: Ledger | None = None
    confirmation: Confirmation | None = None
    actor: Actor = field(init=False)
    locked: Any = None

    def __post_init__(self) -> None:
        self.simulation = self.world.simulation
        self.process = Process(self.name)
        self.worker = Process(f"worker of {self.name}")
        self.actor = self.simulation.start(self.process, self._drive)

    def _drive(self) -> None:
        self.outcome = "killed"
        self.simulation.wait(self.after_s)
        try:
            with self.world.folder.lock() as locked:
                engine: Any = SimpleNamespace(folder=locked, slots=lambda: 1, run=self._train_all)
                session = Session(engine, io.StringIO(), locked.check_lock)  # type: ignore[arg-type]
                self.locked = locked
                ledger = run_search(session, CONFIG, _DATA)
                self.confirmation = run_confirmation(session, CONFIG, ledger, _DATA)
            self.ledger, self.outcome = ledger, "ended"
        except InUseError:
            has_lock = (
                self.locked is not None and self.locked.lock_number == self.world.lock_number
            )
            self.outcome = "in use by itself" if has_lock else "in use"
        except StorageError:
            self.outcome = "storage error"

    def _train_all(self, *, recorder: Any, searcher: Any, n_trainings: int, **_: Any) -> None:
        recorder.begin(None, lambda: 1, n_trainings)
        for number in range(n_trainings):
            assignment = searcher.suggest(str(number))["assignment"]
            trial = SimpleNamespace(config={"assignment": assignment})
            recorder.on_trial_start(trial=trial)
            reports = self._reports(assignment)
            report = Report()
            while not report.is_last:
                step = self.simulation.start(self.worker, lambda r=reports: next(r))
                while not step.is_done:
                    self.simulation.wait(1.0, lambda s=step: s.is_done)
                    recorder.on_step_end()
                if step.error is not None:
                    raise step.error
                report = step.result
                recorder.on_trial_result(trial=trial, result={"report": report})
            recorder.end(assignment, report, None)

    def _reports(self, assignment: Assignment) -> Iterator[Report]:
        """Train as a worker does, which has no lock."""
        folder = replace(self.locked, lease=None)
        checkpoint, run = Checkpoint(folder, assignment), _Run(assignment, self.number)
        predictions = Predictions(_LABELS, np.full(60, self.number, np.float32), _LABELS)
        try:
            if checkpoint.load(run):  # type: ignore[arg-type]
                is_last = len(run.history) == assignment.epochs
                yield Report(tuple(run.history), is_last=is_last, predictions=predictions)
        except CheckpointError:
            run = _Run(assignment, self.number)
        while len(run.history) < assignment.epochs:
            self.simulation.wait(EPOCH_S)
            epoch = run.add_epoch()
            checkpoint.save(run)  # type: ignore[arg-type]
            is_last = len(run.history) == assignment.epochs
            yield Report((epoch,), is_last=is_last, predictions=predictions)


class World:
    """A store, its drivers, and a list of what is wrong."""

    def __init__(self, schedule: Schedule, *, is_tag_a_hash: bool = True) -> None:
        self.simulation = Simulation(schedule)
        self.objects = Objects(self.simulation, is_tag_a_hash)
        self.folder = ModelFolder(
            PurePosixPath("bucket/mine"), "s3://bucket", objects=self.objects
        )
        self.objects.on_landing, self.objects.on_answer = self._check_landing, self._check_answer
        self.drivers: list[Driver] = []
        self.wrong: list[str] = []
        self._acknowledged = {"mine/" + LEDGER_FILE: b"", "mine/" + CONFIRMATION_FILE: b""}
        self._ended_by: dict[str, int] = {}
        self.lock_number = 0

    def start_driver(self, after_s: float = 0.0) -> Driver:
        """Start another driver."""
        number = len(self.drivers)
        name = "ABCDEFG"[number]
        self.drivers.append(Driver(self, name, number, after_s))
        return self.drivers[-1]

    def run(self) -> None:
        """Run all drivers to their ends, then check."""
        self.simulation.run()
        self.wrong += [repr(error) for error in self.simulation.errors]
        if any(driver.outcome == "in use by itself" for driver in self.drivers):
            self.wrong.append("a driver gave up, although it had the lock")
        if not self.wrong:
            self._check_end()

    def _check_landing(self, path: str) -> None:
        """Check that an object still begins with all lines that were acknowledged."""
        if path == f"mine/{LOCK_FILE}":
            self.lock_number = json.loads(self.objects.data[path])["number"]
        if path in self._acknowledged:
            data = self.objects.data.get(path, b"")
            if not data.startswith(self._acknowledged[path]):
                self.wrong.append(f"acknowledged lines are lost from {path}")
            for line in data.splitlines():
                if b'"run_ended"' in line:
                    self._ended_by.setdefault(line.decode(), self._number())

    def _check_answer(self, path: str, data: bytes) -> None:
        if path in self._acknowledged:
            lines = data[: data.rfind(b"\n") + 1]
            if not self.objects.data.get(path, b"").startswith(lines):
                self.wrong.append(f"lines were lost from {path} before they were acknowledged")
            self._acknowledged[path] = max(self._acknowledged[path], lines, key=len)

    def _number(self) -> int:
        actor = self.simulation.current
        assert actor is not None
        names = [driver.name for driver in self.drivers]
        return names.index(actor.process.name) if actor.process.name in names else -1

    def _check_end(self) -> None:
        ended = [driver for driver in self.drivers if driver.outcome == "ended"]
        if not ended:
            return
        ledger, confirmation = read_ledger(self.folder), Confirmation.read(self.folder)
        if confirmation is None:
            self.wrong.append("a driver ended well, but there is no confirmation")
            return
        for driver in ended:
            assert driver.ledger
            assert driver.confirmation
            mine = driver.ledger.records
            if ledger.records[: len(mine)] != mine:
                self.wrong.append(f"{driver.name} ended well, but the ledger lacks its records")
            for run, other in driver.confirmation.runs.items():
                if confirmation.runs.get(run) != other:
                    self.wrong.append(f"{driver.name} ended well, but its {run} is lost")
        if missing := find_missing(self.folder, ledger, CONFIG):
            self.wrong.append(f"a driver ended well, but {missing.text}")
        else:
            self._check_files(ledger, confirmation)

    def _check_files(self, ledger: Ledger, confirmation: Confirmation) -> None:
        """Check the files that commands read of a finished sweep."""
        best = rank_trials(ledger)[0].trial
        data = self.objects.data.get(f"mine/{checkpoint_name(trial_name(best.trial_id))}")
        if data is None:
            self.wrong.append("the checkpoint of the best trial is missing")
        else:
            run = unpack_checkpoint(data)["run"]
            own = CONFIG.hyperparameters(best.hyperparameters)
            if (run["hyperparameters"], len(run["history"])) != (own, len(best.epochs)):
                self.wrong.append("the checkpoint of the best trial is another training's")
        for line, number in self._ended_by.items():
            if line.encode() in self.objects.data["mine/" + CONFIRMATION_FILE]:
                self._check_predictions(line, number)

    def _check_predictions(self, line: str, number: int) -> None:
        record = Confirmation.decoder.decode(line)
        found = load_predictions(self.folder, record.arm, record.seed, 1.0)
        if found is None or (number >= 0 and found.confidence[0] != number):
            self.wrong.append(f"the predictions of {record.arm} are not those of its run")
