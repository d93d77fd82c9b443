"""One sweep, run by the command line on all of MNIST, and everything it leaves behind."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("real run")]


@pytest.fixture(scope="module")
def real(start_driver: Callable[..., Any]) -> Any:
    """The sweep `real`: two trials of one epoch, and a confirmation with one seed.

    The folder it is started in has a `models.py` of somebody else's.
    """
    small = ("--trials", "2", "--epochs", "1", "--set", "searcher=random")
    plan = ("--set", "confirm={top_k: 1, seeds: 1}")
    # As for the installed command, which unlike `python -m` does not look for modules here.
    safe = {"PYTHONSAFEPATH": "1"}
    driver = start_driver("run", "--name", "real", *small, *plan, "--json", settings=safe)
    (driver.temporary / "models.py").write_text("raise RuntimeError")
    return driver


@pytest.fixture(scope="module")
def outcome(real: Any) -> Any:
    return real.wait()


@pytest.fixture
def folder(real: Any, outcome: Any) -> Folder:
    return LocalFolder(real.storage / "real")


def _records(folder: Folder, kind: str, file: str = "ledger.jsonl") -> list[dict[str, Any]]:
    """The records of a kind, read without the program's own code."""
    records = map(json.loads, folder.read(file).splitlines())
    return [record for record in records if record["kind"] == kind]


def test_run_prints_one_json_document_and_few_lines_on_stderr(outcome):
    assert outcome.exit_code == 0, outcome
    document = outcome.document
    assert set(document) >= {"trial_id", "hyperparameters", "val_accuracy", "confirmed"}
    assert document["sweep"] == "real"
    lines = outcome.err.splitlines()
    assert lines[0].startswith("note: no trial will be stopped early: ")
    assert lines[1] == "sweep real: 2 trials of up to 1 epoch"
    start = next(n for n, line in enumerate(lines) if re.fullmatch(r"\d at a time; .*", line))
    assert all(re.match("  (searched|fixed|off|first|time) ", line) for line in lines[2:start])
    progress = (
        r"(search(ing|ed): [12]/2 trials, 0 stopped early, [12] epochs?|"
        r"confirm(ing|ed): \d/[34] runs, \d/[34] epochs)"
    )
    *shown, last = lines[start + 1 :]
    for line in shown:
        assert re.match(f"{progress}, .* elapsed", line), line
    assert len(shown) <= 6
    assert last == "drawing the plots and writing the report"


def test_run_leaves_only_the_files_of_a_sweep(real, folder, outcome):
    assert real.left_over() == []
    assert [path.name for path in real.temporary.iterdir()] == ["models.py"]
    best = outcome.document["trial_id"]
    files = {"config.yaml", "environment.json", "ledger.jsonl", "confirm.jsonl", "report.html"}
    assert set(folder.files()) - {".lock"} == files
    assert set(folder.folders()) == {"checkpoints", "plots", "predictions"}
    assert folder.child("plots").files()
    checkpoints = folder.child("checkpoints").files()
    assert f"trial-{best:04d}.pt" in checkpoints
    assert len(checkpoints) == 2
    written = yaml.safe_load(folder.read("config.yaml"))
    assert (written["trials"], written["epochs"]) == (2, 1)
    assert written["confirm"] == {"top_k": 1, "seeds": 1, "max_seeds": None}
    versions = json.loads(folder.read("environment.json"))["versions"]
    assert set(versions) >= {"python", "torch", "ray", "optuna"}


def test_run_records_trainings_on_mnist(folder, outcome):
    trials = {trial["trial_id"]: trial for trial in _records(folder, "trial_started")}
    assert sorted(trials) == [1, 2]
    assert trials[1]["seed"] != trials[2]["seed"]
    hand_tuned = {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}
    assert trials[1]["hyperparameters"] == hand_tuned
    epochs = _records(folder, "epoch")
    assert sorted((epoch["trial_id"], epoch["epoch"]) for epoch in epochs) == [(1, 1), (2, 1)]
    for epoch in epochs:
        assert epoch["val_accuracy"] > 0.9  # after one epoch of 50,000 images
        n_correct = epoch["val_accuracy"] * 10_000
        assert n_correct == pytest.approx(round(n_correct))
    assert {end["state"] for end in _records(folder, "trial_ended")} == {"COMPLETE"}
    assert [end["reason"] for end in _records(folder, "session_ended")] == ["finished"]
    runs = _records(folder, "run_ended", "confirm.jsonl")
    is_hand_tuned = outcome.document["trial_id"] == 1  # then it is its own baseline
    assert [run["state"] for run in runs] == ["COMPLETE"] * (3 if is_hand_tuned else 4)


def test_finished_sweep_is_shown_but_not_resumed_confirmed_or_run_again(
    real, folder, outcome, call
):
    before, printed = folder.read("ledger.jsonl"), outcome.document
    assert Path(printed["checkpoint"]).is_file()
    for command, line in {
        "best": "",
        "resume": "real is complete: nothing to do\n",
        "confirm": "real is already confirmed\n",
    }.items():
        again = call(f"{command} real --json --storage", real.storage)
        assert (again.exit_code, again.err) == (0, line)
        assert again.document == printed
    (first, _) = call("trials --json --storage", real.storage).document["trials"]
    for name in ("trial_id", "hyperparameters", "val_accuracy"):
        assert first[name] == printed[name]
    assert folder.read("ledger.jsonl") == before
