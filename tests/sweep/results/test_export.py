import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from analysis.records.ledger import read_ledger
from analysis.storage.folder import Folder
from models import LeNet5
from sweep.cli.summary import best_document
from sweep.errors import UsageError
from sweep.results.best_model import load_best_model
from sweep.results.export import FILES, write_export
from sweep.training.loop import TrainingRun

Make = Callable[..., Folder]


def export(folder: Folder, out: Path) -> dict[str, object]:
    ledger = read_ledger(folder)
    best = load_best_model(folder, ledger, ledger.trials[1])
    metrics = write_export(best, best_document(folder, ledger), out)
    assert metrics == json.loads((out / "metrics.json").read_text())
    return metrics


def test_export_has_the_trained_weights_and_their_metrics(
    make: Make, tiny_runs: list[TrainingRun], tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    metrics = export(make(), out)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    weights = torch.load(out / "model.pt", weights_only=True)
    assert type(weights) is dict
    for name, tensor in tiny_runs[0].model.state_dict().items():
        assert torch.equal(weights.pop(name), tensor)
    assert not weights
    hyperparameters = json.loads((out / "hyperparameters.json").read_text())
    assert hyperparameters == dict(tiny_runs[0].hyperparameters)
    accuracy = tiny_runs[0].history[-1].val_accuracy
    description = (
        "the weights of the search, seed 7, trained without the validation images: "
        f"validation accuracy {100 * accuracy:.2f} %, not confirmed"
    )
    assert metrics == {
        "written_by": "sweep export",
        "sweep": "trained",
        "trial_id": 1,
        "model": "lenet5",
        "val_accuracy": pytest.approx(accuracy),
        "selection": "highest validation accuracy of the last epoch, among trials that ran all "
        "their epochs",
        "epochs": 2,
        "weights": {
            "origin": "search",
            "description": description,
            "seed": 7,
            "val_accuracy": accuracy,
        },
    }


def test_export_of_a_confirmed_sweep_replaces_an_earlier_one(
    make: Make, tiny_runs: list[TrainingRun], tmp_path: Path
) -> None:
    export(make(), tmp_path / "out")
    first, second = tiny_runs[1:]
    metrics = export(make(1, 2), tmp_path / "out")
    accuracies = [run.history[-1].val_accuracy for run in (first, second)]
    assert metrics["confirmed"]["test_accuracy_mean"] == pytest.approx(sum(accuracies) / 2)
    assert metrics["confirmed"]["n_seeds"] == 2
    assert metrics["weights"]["origin"] == "confirmation"
    assert metrics["weights"]["test_accuracy"] == accuracies[0]
    weights = torch.load(tmp_path / "out" / "model.pt", weights_only=True)
    assert torch.equal(weights["c1.weight"], first.model.state_dict()["c1.weight"])


def test_guide_works_with_torch_and_the_models_alone(
    make: Make, tiny_runs: list[TrainingRun], clean_environment: dict[str, str], tmp_path: Path
) -> None:
    export(make(1), tmp_path / "out")
    guide = (tmp_path / "out" / "README.md").read_text()
    assert "the weights of the confirmation's first seed" in guide
    snippet = guide.split("```python\n")[1].split("```")[0]
    others = ("ray", "optuna", "torchvision", "pydantic", "sweep", "analysis", "data_utils")
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in others)
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys\n{blocked}{snippet}"],
        cwd=tmp_path / "out",
        env=clean_environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    network = LeNet5()
    network.load_state_dict(tiny_runs[1].model.state_dict())
    blank = torch.full((1, 1, 28, 28), -0.1307 / 0.3081)
    assert (ran.stderr, ran.stdout.strip()) == ("", str(network.eval()(blank).argmax().item()))


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"notes.txt": "mine"}, "notes.txt"),
        ({"README.md": "mine"}, "README.md"),
        ({"metrics.json": "[]", "model.pt": ""}, "metrics.json"),
        ({"metrics.json": '{"written_by": "sweep export"}', "notes.txt": ""}, "notes.txt"),
    ],
)
def test_export_overwrites_no_other_files(
    tmp_path: Path, make: Make, files: dict[str, str], named: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, text in files.items():
        (out / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        export(make(), out)
    assert str(caught.value) == (
        f"`--out` must be a new or empty folder, or one that export wrote, but {out} contains "
        f"{named}"
    )


def test_export_to_a_file_or_below_it_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    for out in ("out", "out/below"):
        with pytest.raises(UsageError, match=rf"cannot write to .*{out}: Not a directory"):
            export(make(), tmp_path / out)


def test_export_that_fails_leaves_no_metrics_of_other_weights(make: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(make(), out)
    (out / "README.md").unlink()
    (out / "README.md").mkdir()  # the third file cannot be written
    with pytest.raises(UsageError, match="Is a directory"):
        export(make(1), out)
    assert not (out / "metrics.json").exists()
