"""A driver that is killed again and again, with everything it started."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from analysis.records.ledger import Ledger, read_ledger
from analysis.storage.folder import Folder, LocalFolder
from data_utils.dataset import split_train_validation
from data_utils.mnist import Mnist
from sweep.config import SweepConfig
from sweep.training.loop import TrainingRun, train_epochs

_RUN = ("run", "--name", "killed", "--resume", "--search-only", "--set", "scheduler=none")


def _start(storage: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sweep", *_RUN, "--storage", str(storage), *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


def _epochs(folder: Folder) -> dict[int, list[dict]]:
    """The epochs recorded so far, by trial; none before there is a ledger."""
    try:
        ledger = read_ledger(folder)
    except FileNotFoundError:
        return {}
    return {i: [_numbers(epoch) for epoch in t.epochs] for i, t in ledger.trials.items()}


def _numbers(epoch) -> dict:
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return {name: getattr(epoch, name) for name in names}


def _ray_processes(pid: int) -> list[str]:
    """What is left of the Ray that the driver `pid` started: all of it names its folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or ())
        if f"/sweep-{pid}-" in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(command)
    return found


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 45
    while left := _ray_processes(pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def _retrain(ledger: Ledger, trial_id: int, mnist: Mnist) -> list[dict]:
    """The trial's numbers, from a training in this process that nothing interrupts."""
    config = SweepConfig.model_validate(ledger.config)
    trial = ledger.trials[trial_id]
    train, validation = split_train_validation(mnist.train, 10_000, config.split_seed)
    draw = {name: trial.hyperparameters[name] for name in config.space}
    hyperparameters = config.hyperparameters(draw)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = TrainingRun.start(config.model, hyperparameters, seed=trial.seed)
        epochs = train_epochs(run, train, validation, epochs=config.epochs)
        return [_numbers(metrics) for metrics in epochs]
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("n_kills", "trials", "epochs"),
    [(2, 3, 2), pytest.param(8, 8, 5, marks=pytest.mark.long)],
)
@pytest.mark.timeout(1800)
def test_sweep_survives_sigkill_at_random_moments(
    tmp_path: Path, mnist: Mnist, n_kills: int, trials: int, epochs: int
) -> None:
    moments = random.Random(n_kills)
    folder = LocalFolder(tmp_path / "killed")
    options = ("--trials", str(trials), "--epochs", str(epochs))
    before: dict[int, list[dict]] = {}
    for _ in range(n_kills):
        driver = _start(tmp_path, *options)
        time.sleep(moments.uniform(8, 25))
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        _wait_until_gone(driver.pid)
        after = _epochs(folder)
        for trial_id, recorded in before.items():
            assert after[trial_id][: len(recorded)] == recorded
        before = after

    assert _start(tmp_path, *options).wait() == 0
    ledger = read_ledger(folder)
    assert sorted(ledger.trials) == list(range(1, trials + 1))
    assert {trial.state for trial in ledger.trials.values()} == {"COMPLETE"}
    for trial_id, trial in ledger.trials.items():
        assert [epoch.epoch for epoch in trial.epochs] == list(range(1, epochs + 1))
        numbers = [_numbers(epoch) for epoch in trial.epochs]
        assert numbers[: len(before.get(trial_id, []))] == before.get(trial_id, [])
    # Trial 1 was running at the first kill: it ends with the numbers of one that was not cut.
    assert [_numbers(epoch) for epoch in ledger.trials[1].epochs] == _retrain(ledger, 1, mnist)

    command = [sys.executable, "-m", "sweep", "best", "--json", "--storage", str(tmp_path)]
    best = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    scores = {
        i: sum(e.val_accuracy for e in trial.epochs[-3:]) / len(trial.epochs[-3:])
        for i, trial in ledger.trials.items()
    }
    assert best["val_accuracy"] == pytest.approx(max(scores.values()), abs=1e-12)
    assert scores[best["trial_id"]] == max(scores.values())
