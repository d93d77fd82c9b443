"""What must hold after a crash, whatever the disk has kept."""

import io
import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from analysis.records.confirmation import Confirmation
from analysis.records.files import CONFIRMATION_FILE, LEDGER_FILE
from analysis.records.ledger import read_first_record, read_ledger
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import TrainTest
from sweep.__main__ import main
from sweep.cli.inspect import best, list_, status, trials
from sweep.training.checkpoints import unpack_checkpoint
from tests.crash.disk import Disk, Tree, write_tree
from tests.crash.recorder import Killed, Log, Step, recording
from tests.crash.replay import States, exit_code, fingerprint, replaying, without_ray

NAME = "mine"
# The trials do not depend on their order, and the first record is longer than a page.
POINTS = [{"weight_decay": round(1e-3 - number * 1e-6, 6)} for number in range(200)]
RUN = ("run", "--resume", "--name", NAME, "--trials", "3", "--epochs", "2")


def run_options(seeds: int) -> tuple[str, ...]:
    """Return the command of a small sweep."""
    settings = (
        "scheduler=none",
        "space={weight_decay: {low: 1.0e-6, high: 1.0e-2, log: true}}",
        f"initial_points={json.dumps(POINTS)}",
        f"confirm={{top_k: 1, seeds: {seeds}}}",
    )
    return (*RUN, *(word for setting in settings for word in ("--set", setting)))


def outcome(folder: LocalFolder) -> Any:
    """Return the trials, the runs and the checkpoints of a sweep, without times."""
    trials = {
        trial.trial_id: (trial.seed, trial.hyperparameters, trial.state, _numbers(trial.epochs))
        for trial in read_ledger(folder).trials.values()
    }
    confirmation = Confirmation.read(folder)
    assert confirmation is not None
    runs = {key: (run.state, _numbers(run.epochs)) for key, run in confirmation.runs.items()}
    arms = {name: arm.hyperparameters for name, arm in confirmation.arms.items()}
    return {
        "trials": trials,
        "runs": runs,
        "arms": arms,
        "checkpoints": set(folder.child("checkpoints").files()),
        "predictions": {n for n in folder.child("predictions").files() if n.endswith(".npz")},
    }


def _numbers(epochs: Iterable[Any]) -> list[tuple[Any, ...]]:
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return [tuple(getattr(epoch, name) for name in names) for epoch in epochs]


def trained_states(steps: Iterable[Step]) -> States:
    """Return the states of all trainings whose checkpoints are written in some steps."""
    states: States = {}
    for step in steps:
        if step.kind == "write" and "/checkpoints/" in step.path:
            content = unpack_checkpoint(step.data)
            key, run = (content["name"], len(content["run"]["history"])), content["run"]
            assert fingerprint(states.setdefault(key, run)) == fingerprint(run)
    return states


class LostError(AssertionError):
    """A crash has cost what was acknowledged, or a state cannot be read or resumed."""


class Checker:
    """Checks what disks may hold after a crash in a sweep that was recorded.

    Attributes:
        tally: How many states, reads and resumptions were checked.

    Args:
        data: The images of the sweep.
        states: Of all its trainings.
        expected: Its outcome.
        run: The command that begins it.
        forget: Returns the steps that a worse program takes.
    """

    def __init__(
        self,
        data: TrainTest,
        states: States,
        expected: Any,
        run: tuple[str, ...],
        *,
        forget: Callable[[list[Step]], list[Step]] = list,
    ) -> None:
        self._data, self._states, self._expected, self._run = data, states, expected, run
        self._forget = forget
        self._whole: set[int] = set()
        self._seen: set[Any] = set()
        self._read: set[Any] = set()
        self._resumed: set[Any] = set()
        self.tally: Counter[str] = Counter()

    def check_all(self, steps: list[Step], *, every: int = 1) -> None:
        """Check the states after a crash at each point of some steps.

        Commands read and resume every one, or one of `every` that differ.
        """
        disk = Disk()
        for step in self._forget(steps):
            disk.take(step)
            for tree in disk.trees():
                self.check(tree, disk, every=every)

    def check(self, tree: Tree, disk: Disk, *, every: int = 1) -> None:
        """Check one state, unless it is known."""
        promised = str(sorted((p, len(lines)) for p, lines in disk.lines.items()))
        key = (promised, *((path, data and hash(data)) for path, data in tree.items()))
        if key in self._seen:
            return
        self._seen.add(key)
        self.tally["states"] += 1
        try:
            self._check_files(tree, disk)
            resumable = frozenset(k for k in key[1:] if not k[0].endswith(".part"))
            if resumable not in self._resumed:
                self._resumed.add(resumable)
                if len(self._resumed) % every == 0:
                    self._check_commands(tree)
        except LostError:
            raise
        except (Exception, SystemExit) as error:
            raise LostError(repr(error)) from error

    def _check_files(self, tree: Tree, disk: Disk) -> None:
        for path, lines in disk.lines.items():
            found, position = tree.get(path) or b"", 0
            for line in lines:
                position = found.find(line, position)
                if position < 0:
                    raise LostError(f"{path} has lost {line!r}")
                position += len(line)
        for path, contents in disk.files.items():
            if tree.get(path) not in contents:
                raise LostError(f"{path} is not what was written")
        for path, data in tree.items():
            if path.endswith((".pt", ".npz")) and hash(data) not in self._whole:
                assert data is not None
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    assert archive.testzip() is None
                if path.endswith(".pt"):
                    unpack_checkpoint(data)
                self._whole.add(hash(data))

    def check_after(self, n_steps: int, what: str) -> None:
        """Let something happen to a driver after some steps, resume, and check all crashes since.

        `what` is as for `Log`.
        """
        root = Path(tempfile.mkdtemp(dir="/dev/shm"))
        first, second = Log(n_steps, what), Log()
        try:
            with without_ray(self._data), replaying(self._states), recording(root, first):
                try:
                    code = exit_code(partial(main, (*self._run, "--storage", str(root))))
                    if what == "kill" or code != 4:
                        raise LostError(f"it exits with {code}")
                except Killed:
                    pass
            with recording(root, second):
                self._check_resuming(root)
        finally:
            shutil.rmtree(root)
        disk = Disk()
        first.steps, second.steps = self._forget(first.steps), self._forget(second.steps)
        for number, step in enumerate(first.steps + second.steps):
            disk.take(step)
            if number >= len(first.steps):
                for tree in disk.trees():
                    self.tally["states"] += 1
                    self._check_files(tree, disk)

    def _check_commands(self, tree: Tree) -> None:
        """Let commands read a state, then resume it, and compare the outcome."""
        root = Path(tempfile.mkdtemp(dir="/dev/shm"))
        try:
            write_tree(tree, root)
            journals = [tree.get(f"{NAME}/{file}") for file in (LEDGER_FILE, CONFIRMATION_FILE)]
            if (key := tuple(map(hash, journals))) not in self._read:
                self._read.add(key)
                self.tally["reads"] += 1
                self._check_reading(root)
            self.tally["resumptions"] += 1
            self._check_resuming(root)
        finally:
            shutil.rmtree(root)

    def _check_reading(self, root: Path) -> None:
        folder, code = LocalFolder(root / NAME), 2
        if read_first_record(folder) is not None:
            code = 0 if read_ledger(folder).in_state("COMPLETE") else 5
        may_list = code if code == 2 else 0
        for command, expected in ((status, may_list), (trials, may_list), (best, code)):
            if (found := exit_code(partial(command, NAME, storage=str(root)))) != expected:
                raise LostError(f"{command.__name__} exits with {found}, not {expected}")
        if exit_code(partial(list_, str(root))):
            raise LostError("the sweeps cannot be listed")

    def _check_resuming(self, root: Path) -> None:
        folder, storage = LocalFolder(root / NAME), ("--storage", str(root))
        command = self._run if read_first_record(folder) is None else ("resume", NAME)
        with without_ray(self._data), replaying(self._states):
            if code := exit_code(partial(main, (*command, *storage))):
                raise LostError(f"{command[0]} exits with {code}")
        found = outcome(folder)
        # One that is not needed any more may have come back.
        found["checkpoints"] &= self._expected["checkpoints"]
        for name, expected in self._expected.items():
            if found[name] != expected:
                raise LostError(f"{name}: {found[name]} instead of {expected}")
