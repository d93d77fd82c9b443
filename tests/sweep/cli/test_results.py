import json
import pickle
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


def test_export_lists_what_it_wrote(trained: Folder, call: Call, tmp_path: Path) -> None:
    outcome = call("export", "--out", "out")
    assert outcome.exit_code == 0, outcome
    first, *files = outcome.out.splitlines()
    assert first.startswith("out: the weights of the search, seed 7, ")
    names = ["model.pt", "hyperparameters.json", "README.md", "metrics.json"]
    assert [file.strip() for file in files] == names
    assert all((tmp_path / "out" / name).is_file() for name in names)
    document = json.loads(call("export", "trained", "--out", "out", "--json").out)
    assert (document["folder"], document["files"]) == ("out", names)
    assert document["metrics"] == json.loads((tmp_path / "out" / "metrics.json").read_text())


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
        ("predict", "name an image, of one digit"),
        ("predict trained", "'trained' is a sweep; name an image, too"),
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


class _Malicious:
    """Runs code when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self._victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self._victim,))


def test_malicious_checkpoint_is_not_executed(
    trained: Folder, call: Call, digit: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "executed"
    trained.write("checkpoints/trial-0001.pt", pickle.dumps(_Malicious(victim)))
    outcome = call("predict", digit)
    assert (outcome.exit_code, outcome.err) == (
        4,
        f"error: the checkpoint {trained}/checkpoints/trial-0001.pt is damaged; "
        "train it again with: sweep confirm trained\n",
    )
    assert not victim.exists()
