"""A sweep that version 0.1.0 wrote stays readable, and can be finished.

It was searched with `--epochs 3` on MNIST and confirmed with two seeds. Its driver was killed
in trial 7, of which one epoch and the checkpoint are left. Of the confirmation, the checkpoint
and the predictions of the first seed are kept.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.records.ledger import Ledger
from analysis.storage.local_folder import LocalFolder

ORIGINAL = Path(__file__).with_name("data") / "v0.1.0"
BEST = {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    shutil.copytree(ORIGINAL, tmp_path / "old")
    return tmp_path


def _sweep(storage: Path, *arguments: str) -> str:
    """Run a command on the old sweep; return what it prints."""
    command = [sys.executable, "-m", "sweep", *arguments, "--storage", str(storage)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _document(storage: Path, *arguments: str) -> Any:
    return json.loads(_sweep(storage, *arguments, "--json"))


def test_it_is_read(storage):
    best = _document(storage, "best")
    assert (best["trial_id"], best["hyperparameters"]) == (1, BEST)
    assert best["val_accuracy"] == pytest.approx(0.97986667)
    assert best["confirmed"]["n_seeds"] == 2
    assert best["confirmed"]["test_accuracy_mean"] == pytest.approx(0.9866)
    trials = _document(storage, "trials")["trials"]
    assert [trial["state"] for trial in trials].count("STOPPED") == 5
    (cut_off,) = [trial for trial in trials if trial["state"] == "RUNNING"]
    assert (cut_off["trial_id"], cut_off["epochs"]) == (7, 1)


def test_it_keeps_its_split_into_training_and_validation_images(storage):
    ledger = Ledger.read(LocalFolder(storage / "old"))
    assert ledger is not None
    assert ledger.config["split"] == "random"
    command = ("run", "--resume", "--name", "old", "--config", str(storage / "old/config.yaml"))
    planned = _document(storage, *command, "--accept-changes", "--dry-run")
    assert planned["config"]["split"] == "random"


def test_name_that_is_not_utf8_is_read(storage):
    with (storage / "old" / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"kind": "notice", "time": 1.0, "trial_id": null, "text": "caf\\udce9"}\n')
    assert len(_document(storage, "trials")["trials"]) == 7


def test_it_is_reported(storage):
    page = Path(_sweep(storage, "report").strip()).read_text()
    assert page.count("<img ") + page.count("<svg ") >= 8


def test_it_is_complete_without_its_open_trial(storage):
    ledger = storage / "old" / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    changed = next(i for i, line in enumerate(lines) if '"trials": 7' in line)
    ledger.write_text("".join(lines[:changed]))  # 6 of 6 trials have ended
    assert "finished" in _sweep(storage, "status")
    assert _document(storage, "resume", "--accept-changes")["confirmed"]["n_seeds"] == 2


@pytest.mark.long
def test_it_is_exported(storage):
    exported = _document(storage, "export", "--out", str(storage / "exported"))
    assert exported["metrics"]["weights"]["seed"] == 2613022947
    assert exported["metrics"]["weights"]["test_accuracy"] == 0.9858


@pytest.mark.long
def test_it_is_finished_from_its_checkpoint(storage):
    before = (storage / "old" / "ledger.jsonl").read_bytes()
    best = _document(storage, "resume", "--accept-changes")
    assert (storage / "old" / "ledger.jsonl").read_bytes().startswith(before)
    assert best["confirmed"]["n_seeds"] == 2
    trials = _document(storage, "trials")["trials"]
    assert len(trials) == 7
    (finished,) = [trial for trial in trials if trial["trial_id"] == 7]
    assert finished["state"] in ("COMPLETE", "STOPPED")
    assert finished["epochs"] > 1
    assert "split: random" in (storage / "old" / "config.yaml").read_text()
