"""The README's walk-through: each extension is made on a copy of the tree, and used there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.hyperparameters import DEFAULTS
from analysis.storage.folder import LocalFolder
from data_utils.dataset import ImageDataset
from sweep.training.assignment import Assignment
from sweep.training.checkpoints import save_checkpoint
from sweep.training.loop import TrainingRun, train_epochs

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "data_utils", "analysis", "sweep")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the four packages."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that a file has exactly once."""
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new))


def run_python(tree: Path, code: str) -> str:
    """Run code on the packages of a tree, in a process of its own; return what it prints."""
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def random_images(n: int) -> ImageDataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    return ImageDataset(images, rng.integers(0, 10, n).astype(np.uint8))


def test_hyperparameter_is_added_in_the_table_and_the_loop(tree: Path) -> None:
    data, folder = random_images(96), LocalFolder(tree / "old")
    np.savez(tree / "data.npz", images=data.images, labels=data.labels)
    old = Assignment(
        name="trial-0001", seed=1, model="mlp", epochs=2, hyperparameters=dict(DEFAULTS)
    )
    run = TrainingRun.start("mlp", DEFAULTS, seed=1)
    next(train_epochs(run, data, data, epochs=2))
    save_checkpoint(folder, old, run)

    table = "_TABLE = (\n"
    row = (
        '    Hyperparameter("label_smoothing", "float", 0.0, "Share of other labels.", high=1),\n'
    )
    edit(tree / "analysis/hyperparameters.py", table, table + row)
    loss = "F.cross_entropy(logits, labels{})"
    argument = ", label_smoothing=run.hyperparameters['label_smoothing']"
    edit(tree / "sweep/training/loop.py", loss.format(""), loss.format(argument))
    printed = run_python(
        tree,
        """
from pathlib import Path

import numpy as np
from analysis.hyperparameters import DEFAULTS, HYPERPARAMETERS
from analysis.records.confirmation import Arm
from analysis.storage.folder import LocalFolder
from data_utils.dataset import ImageDataset
from sweep.config.resolve import Overrides, resolve_config
from sweep.training.assignment import Assignment, WorkerSettings
from sweep.training.worker import Worker

config = resolve_config(
    overrides=Overrides(["space={label_smoothing: {low: 0, high: 0.2}}", "model=mlp"])
)
data = ImageDataset(**np.load("data.npz"))

def train(folder, value):
    worker = Worker(data, data, WorkerSettings(device="cpu", folder=folder, predict=False))
    hyperparameters = config.hyperparameters({"label_smoothing": value})
    worker.assign(Assignment("trial-0001", 1, config.model, 2, hyperparameters))
    reports = [worker.step(), worker.step()]
    assert not any(report.failure or report.notice for report in reports), reports
    return [report.epoch.train_loss for report in reports]

smooth, plain = train(LocalFolder(Path("new")), 0.2), train(LocalFolder(Path("plain")), 0.0)
assert smooth != plain
assert train(LocalFolder(Path("old")), 0.0) == plain, "it must go on from the old checkpoint"

old = {name: value for name, value in DEFAULTS.items() if name != "label_smoothing"}
arms = [
    Arm(time=0.0, arm="a", title="a", role="baseline", model="mlp", trial_id=None,
        hyperparameters=values, epochs=2, reference=False)
    for values in (old, dict(DEFAULTS))
]
print(arms[0].differences(arms[1]), HYPERPARAMETERS["label_smoothing"].label)
""",
    )
    assert printed == "0 label smoothing\n"
