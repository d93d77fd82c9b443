import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from analysis.storage.folder import Folder
from data_utils.dataset import TrainTest
from sweep.training.loop import TrainingRun

Call = Callable[..., Any]


@pytest.fixture
def trained(
    make_trained_sweep: Callable[..., Folder],
    tiny_runs: list[TrainingRun],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> Folder:
    """The sweep `trained` in the storage of `call`; it is not confirmed."""
    folder = make_trained_sweep(tiny_runs[0])
    monkeypatch.setenv("SWEEP_STORAGE", folder.storage)
    return folder


@pytest.fixture
def digit(mnist: TrainTest, tmp_path: Path) -> Path:
    path = tmp_path / "digit.png"
    Image.fromarray(mnist.test.images[0]).save(path)
    return path


def test_predict_shows_the_three_most_probable_digits(
    trained: Folder, call: Call, digit: Path
) -> None:
    outcome = call("predict", digit, digit)
    assert outcome.exit_code == 0
    lines = outcome.out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{digit}  ") and line.count("%") == 3 for line in lines)
    assert outcome.err.startswith("by trial 1 of trained: the weights of the search, seed 7, ")


@pytest.mark.parametrize("name", [[], ["trained"]])
def test_predict_as_json(trained: Folder, call: Call, digit: Path, name: list[str]) -> None:
    outcome = call("predict", *name, digit, "--json")
    assert outcome.err == ""
    document = json.loads(outcome.out)
    assert (document["sweep"], document["trial_id"]) == ("trained", 1)
    (prediction,) = document["predictions"]
    assert prediction["image"] == str(digit)
    assert len(prediction["probabilities"]) == 10
    assert sum(prediction["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert prediction["probabilities"][prediction["digit"]] == prediction["probability"]
    assert prediction["probability"] == max(prediction["probabilities"])


def test_predict_reads_a_file_though_a_sweep_has_its_name(
    trained: Folder, call: Call, digit: Path
) -> None:
    digit.rename(digit.with_name("trained"))
    document = json.loads(call("predict", "trained", "--json").out)
    assert document["predictions"][0]["image"] == "trained"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("predict", "name an image file of one digit"),
        ("predict trained", "'trained' is a sweep; also name an image file"),
        ("predict trainde digit.png", "'trainde' is neither a sweep in "),
        ("predict digit.png none.png", "none.png does not exist"),
        ("dashboard --port 65536", "Invalid value for '--port'"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: str, message: str, trained: Folder, call: Call, digit: Path
) -> None:
    outcome = call(*arguments.split())
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert message in outcome.err


@pytest.mark.parametrize("command", ["export --out out", "predict digit.png"])
def test_command_needs_a_complete_trial(
    command: str, call: Call, digit: Path, add_sweep: Callable[..., Folder]
) -> None:
    missing = call(*command.split())
    assert missing.exit_code == 2
    assert missing.err.startswith("error: there is no sweep in ")
    add_sweep("young", n_trials=1, n_running=1)
    outcome = call(*command.split())
    assert outcome.exit_code == 5
    assert outcome.err == "error: no trial of young has run all its epochs yet\n"
    assert not digit.with_name("out").exists()
