import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from analysis.records.ledger import Ledger
from analysis.storage.folder import Folder
from data_utils.mnist import Mnist
from sweep.cli import models
from sweep.cli.failures import describe_failure
from sweep.training.loop import TrainingRun

MakeTrained = Callable[..., Folder]

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("export")(models.export)
app.command("predict")(models.predict)
app.command("dashboard")(models.dashboard)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def complaint(result: Result) -> tuple[str, int]:
    """What the command says and ends with when it fails."""
    assert isinstance(result.exception, Exception)
    failure = describe_failure(result.exception)
    assert failure is not None
    return failure.message, failure.exit_code


@pytest.fixture
def storage(make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]) -> Path:
    """A storage with the sweep `trained`, which is not confirmed."""
    return make_trained_sweep(tiny_runs[0]).path.parent


@pytest.fixture
def digit(mnist: Mnist, tmp_path: Path) -> Path:
    path = tmp_path / "digit.png"
    Image.fromarray(mnist.test.images[0]).save(path)
    return path


def test_export_says_what_it_wrote(storage: Path, tmp_path: Path) -> None:
    result = run("export", "--out", tmp_path / "out", "--storage", storage)
    assert result.exit_code == 0
    first, *files = result.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/out: the weights of the search, seed 7, ")
    assert [file.strip() for file in files] == [
        *("model.pt", "hyperparameters.json"),
        *("README.md", "metrics.json"),
    ]
    assert all((tmp_path / "out" / file.strip()).is_file() for file in files)


def test_export_as_json(storage: Path, tmp_path: Path) -> None:
    result = run("export", "trained", "--out", tmp_path / "out", "--storage", storage, "--json")
    document = json.loads(result.stdout)
    assert document["folder"] == str(tmp_path / "out")
    assert document["metrics"] == json.loads((tmp_path / "out" / "metrics.json").read_text())


@pytest.mark.parametrize("command", ["export", "predict", "dashboard"])
def test_command_needs_a_sweep(command: str, digit: Path, tmp_path: Path) -> None:
    arguments = {"export": ["--out", tmp_path / "out"], "predict": [digit]}.get(command, [])
    result = run(command, *arguments, "--storage", tmp_path / "empty")
    assert complaint(result) == (f"there is no sweep in {tmp_path}/empty yet", 2)


@pytest.mark.parametrize("command", ["export", "predict"])
def test_command_needs_a_complete_trial(
    command: str,
    digit: Path,
    make_sweep: Callable[..., tuple[Folder, Ledger]],
    tmp_path: Path,
) -> None:
    folder, _ = make_sweep(n_trials=1, n_running=1)
    arguments = ["--out", tmp_path / "out"] if command == "export" else [digit]
    result = run(command, *arguments, "--storage", folder.path.parent)
    assert complaint(result) == ("no trial of synthetic has run all its epochs yet", 5)
    assert not (tmp_path / "out").exists()


def test_predict_shows_the_three_most_probable(storage: Path, digit: Path) -> None:
    result = run("predict", digit, digit, "--storage", storage)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{digit}  ") and line.count("%") == 3 for line in lines)
    assert result.stderr.startswith("by trial 1 of trained: the weights of the search, seed 7, ")


@pytest.mark.parametrize("name", [[], ["trained"]])
def test_predict_as_json(storage: Path, digit: Path, name: list[str]) -> None:
    result = run("predict", *name, digit, "--storage", storage, "--json")
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert (document["sweep"], document["trial_id"]) == ("trained", 1)
    (prediction,) = document["predictions"]
    assert prediction["image"] == str(digit)
    assert len(prediction["probabilities"]) == 10
    assert sum(prediction["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert prediction["probabilities"][prediction["digit"]] == prediction["probability"]
    assert prediction["probability"] == max(prediction["probabilities"])


def test_predict_takes_a_file_for_an_image_though_a_sweep_has_its_name(
    storage: Path, digit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(digit.parent)
    digit.rename("trained")
    result = run("predict", "trained", "--storage", storage, "--json")
    assert json.loads(result.stdout)["predictions"][0]["image"] == "trained"


def test_predict_without_an_image_says_so(storage: Path) -> None:
    result = run("predict", "trained", "--storage", storage)
    assert complaint(result) == ("'trained' is a sweep; name an image, too", 2)


def test_predict_with_a_misspelt_sweep_says_so(storage: Path, digit: Path) -> None:
    result = run("predict", "trainde", digit, "--storage", storage)
    assert complaint(result) == (
        f"'trainde' is neither a sweep in {storage} nor an image file",
        2,
    )


def test_predict_with_a_bad_image_predicts_none(storage: Path, digit: Path) -> None:
    result = run("predict", digit, digit.with_name("none.png"), "--storage", storage)
    assert complaint(result) == (f"{digit.parent}/none.png does not exist", 2)
    assert result.stdout == ""


class _Malicious:
    """Something that runs code when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self._victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self._victim,))


@pytest.mark.parametrize("command", ["export", "predict"])
def test_malicious_checkpoint_is_not_executed(
    command: str, storage: Path, digit: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "executed"
    checkpoint = storage / "trained" / "checkpoints" / "trial-0001.pt"
    checkpoint.write_bytes(pickle.dumps(_Malicious(victim)))
    arguments = ["--out", tmp_path / "out"] if command == "export" else [digit]
    result = run(command, *arguments, "--storage", storage)
    assert complaint(result) == (
        f"the checkpoint {checkpoint} is damaged; `sweep confirm trained` trains anew",
        4,
    )
    assert not victim.exists()


def test_predict_needs_something(storage: Path) -> None:
    result = run("predict", "--storage", storage)
    assert complaint(result) == ("name an image, of one digit", 2)


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_dashboard_needs_a_port_that_exists(storage: Path, port: str) -> None:
    result = run("dashboard", "--port", port, "--storage", storage)
    assert result.exit_code == 2
    assert "Invalid value for '--port'" in result.stderr
