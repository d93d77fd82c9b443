import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from analysis.storage.folder import Folder
from data_utils.mnist import Mnist

Call = Callable[..., Any]


def _records(folder: Folder, kind: str) -> list[dict[str, Any]]:
    """The ledger's records of a kind, read without the program's own code."""
    lines = folder.read("ledger.jsonl").decode().splitlines()
    return [record for line in lines if (record := json.loads(line))["kind"] == kind]


def test_run_says_on_stdout_one_json_document_and_nothing_else(real_sweep: Any) -> None:
    assert real_sweep.outcome.exit_code == 0, real_sweep.outcome
    document = json.loads(real_sweep.outcome.out)
    assert document["sweep"] == "real"
    assert set(document) >= {"trial_id", "hyperparameters", "val_accuracy", "checkpoint"}


def test_run_says_little_and_nothing_of_rays_on_stderr(real_sweep: Any) -> None:
    lines = real_sweep.outcome.err.splitlines()
    assert lines[0].startswith("note: no trial will be stopped early: ")
    assert lines[1] == "sweep real: 2 trials of up to 1 epoch, 2 at a time; starting Ray"
    progress = re.compile(
        r"[12]/2 trials, 0 stopped early, [12] epochs?, 0:\d\d elapsed(, about .* left)?"
        r"(, best \d\d\.\d\d % \(trial [12]\))?"
    )
    assert 1 <= len(lines[2:]) <= 2
    for line in lines[2:]:
        assert progress.fullmatch(line), line
    assert lines[-1].startswith("2/2 trials, 0 stopped early, 2 epochs, ")


def test_run_imports_nothing_from_the_folder_it_is_started_in(real_sweep: Any) -> None:
    assert real_sweep.outcome.exit_code == 0
    left = [path.name for path in real_sweep.driver.temporary.iterdir()]
    assert "models.py" in left
    assert "__pycache__" not in left


def test_run_leaves_nothing_over(real_sweep: Any) -> None:
    assert real_sweep.driver.left_over() == []


def test_run_leaves_the_files_of_a_sweep(real_sweep: Any) -> None:
    folder = real_sweep.folder
    best = json.loads(real_sweep.outcome.out)["trial_id"]
    assert folder.child("checkpoints").files() == [f"trial-{best:04d}.pt"]
    files = {"config.yaml", "environment.json", "ledger.jsonl", "report.html"}
    assert set(folder.files()) - {".lock"} == files
    assert set(folder.folders()) == {"checkpoints", "plots"}
    assert folder.child("plots").files()
    assert not [name for name in folder.files() if name.endswith(".part")]


def test_run_writes_the_config_that_it_ran_with(real_sweep: Any) -> None:
    written = yaml.safe_load(real_sweep.folder.read("config.yaml"))
    assert (written["trials"], written["epochs"], written["confirm"]) == (2, 1, "none")
    (created,) = _records(real_sweep.folder, "sweep")
    assert created["name"] == "real"
    assert (created["config"]["trials"], created["config"]["epochs"]) == (2, 1)
    versions = json.loads(real_sweep.folder.read("environment.json"))["versions"]
    assert set(versions) >= {"python", "torch", "ray", "optuna"}


def test_run_trains_on_mnist(real_sweep: Any, mnist: Mnist) -> None:
    folder = real_sweep.folder
    trials = {trial["trial_id"]: trial for trial in _records(folder, "trial_started")}
    assert sorted(trials) == [1, 2]
    assert trials[1]["seed"] != trials[2]["seed"]
    hand_tuned = {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}
    assert trials[1]["hyperparameters"] == hand_tuned
    epochs = _records(folder, "epoch")
    assert sorted((epoch["trial_id"], epoch["epoch"]) for epoch in epochs) == [(1, 1), (2, 1)]
    for epoch in epochs:
        assert epoch["val_accuracy"] > 0.9  # after an epoch of all 50,000 images
        assert round(epoch["val_accuracy"] * 10_000) == pytest.approx(
            epoch["val_accuracy"] * 10_000
        )
    assert {end["state"] for end in _records(folder, "trial_ended")} == {"COMPLETE"}
    assert [end["reason"] for end in _records(folder, "session_ended")] == ["finished"]


def test_run_of_a_name_that_is_taken_is_refused(real_sweep: Any, call: Call) -> None:
    before = real_sweep.folder.read("ledger.jsonl")
    storage = str(real_sweep.driver.storage)
    outcome = call("run", "--name", "real", "--storage", storage)
    assert outcome.exit_code == 2
    assert "there is a sweep 'real'" in outcome.err
    assert real_sweep.folder.read("ledger.jsonl") == before


def test_resume_of_a_finished_sweep_has_nothing_to_do(real_sweep: Any, call: Call) -> None:
    before = real_sweep.folder.read("ledger.jsonl")
    outcome = call("resume", "real", "--storage", real_sweep.driver.storage, "--json")
    assert outcome.exit_code == 0
    assert json.loads(outcome.out) == json.loads(real_sweep.outcome.out)
    assert outcome.err == "nothing is left to do for real\n"
    assert real_sweep.folder.read("ledger.jsonl") == before
