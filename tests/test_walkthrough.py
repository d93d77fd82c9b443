"""The README's walk-through: each extension is made on a copy of the tree, and used there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.hyperparameters import DEFAULTS
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import ImageDataset
from sweep.training.assignment import Assignment
from sweep.training.checkpoints import Checkpoint
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


def test_hyperparameter_is_added_in_the_table_and_the_loop(tree):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (96, 28, 28), dtype=np.uint8)
    data = ImageDataset(images, rng.integers(0, 10, 96).astype(np.uint8))
    np.savez(tree / "data.npz", images=data.images, labels=data.labels)
    run = TrainingRun("mlp", DEFAULTS, seed=1)
    next(train_epochs(run, data, data, epochs=2))
    old = Assignment("trial-0001", 1, "mlp", epochs=2, hyperparameters=dict(DEFAULTS))
    Checkpoint(LocalFolder(tree / "old"), old).save(run)

    table = "_TABLE = (\n"
    row = '    Hyperparameter("z_loss", "float", 0.0, high=1),\n'
    edit(tree / "analysis/hyperparameters.py", table, table + row)
    loss = 'label_smoothing=own["label_smoothing"])'
    term = ' + own["z_loss"] * logits.logsumexp(1).square().mean()'
    edit(tree / "sweep/training/loop.py", loss, loss + term)
    printed = run_python(
        tree,
        """
from pathlib import Path

import numpy as np
from analysis.hyperparameters import DEFAULTS, HYPERPARAMETERS
from analysis.records.confirmation import Arm
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import ImageDataset
from sweep.config.resolve import resolve_config
from sweep.training.assignment import Assignment
from sweep.training.worker import Worker

config = resolve_config(settings=["space={z_loss: {low: 0, high: 0.2}}", "model=mlp"])
data = ImageDataset(**np.load("data.npz"))

def train(folder, value):
    worker = Worker(data, data, folder, device="cpu", predict=False)
    hyperparameters = config.hyperparameters({"z_loss": value})
    worker.assign(Assignment("trial-0001", 1, config.model, 2, hyperparameters))
    reports = [worker.step(), worker.step()]
    assert not any(report.failure or report.notice for report in reports), reports
    return [report.epochs[-1].train_loss for report in reports]

penalized, plain = train(LocalFolder(Path("new")), 0.2), train(LocalFolder(Path("plain")), 0.0)
assert penalized != plain
assert train(LocalFolder(Path("old")), 0.0) == plain, "it must go on from the old checkpoint"

old = {name: value for name, value in DEFAULTS.items() if name != "z_loss"}
arms = [
    Arm(time=0.0, arm="a", title="a", role="baseline", model="mlp", trial_id=None,
        hyperparameters=values, epochs=2, reference=False)
    for values in (old, dict(DEFAULTS))
]
print(arms[0].differences(arms[1]), HYPERPARAMETERS["z_loss"].label)
""",
    )
    assert printed == "0 z loss\n"


def test_network_and_data_set_are_each_a_file_and_a_line_in_a_registry(tree):
    (tree / "models/tiny.py").write_text("""
from torch import nn

class Tiny(nn.Sequential):
    def __init__(self, *, dropout=0.0):
        super().__init__(nn.Flatten(), nn.Dropout(dropout), nn.Linear(784, 10))
""")
    edit(tree / "models/registry.py", "MODELS = {", 'MODELS = {"tiny": "models.tiny:Tiny", ')
    (tree / "data_utils/stripes.py").write_text("""
import numpy as np

from data_utils.dataset import ImageDataset, TrainTest

def load_stripes(folder, **options):
    labels = np.arange(120, dtype=np.uint8) % 10
    images = np.zeros((120, 28, 28), np.uint8)
    for image, label in zip(images, labels):
        image[:: label + 2] = 255
    data = ImageDataset(images, labels)
    return TrainTest(data, data)
""")
    line = '"stripes": "data_utils.stripes:load_stripes", '
    edit(tree / "data_utils/registry.py", "DATASETS = {", f"DATASETS = {{{line}")
    printed = run_python(
        tree,
        """
from pathlib import Path

from analysis.records.ledger import Ledger, SweepCreated, TrialStarted
from analysis.results.selection import Selection
from analysis.storage.journal import FORMAT
from analysis.storage.local_folder import LocalFolder
from sweep.screen.display import load_data
from analysis.hyperparameters import HAND_TUNED
from sweep.config import SweepConfig
from sweep.config.resolve import resolve_config
from sweep.driver.arms import plan_arms
from sweep.driver.resume import check_changes
from sweep.training.assignment import Assignment
from sweep.training.worker import Worker

config = resolve_config(settings=["dataset=stripes", "model=tiny"], epochs=1)
data, folder = load_data(config.dataset, None), LocalFolder(Path("new"))
worker = Worker(data.train, data.test, folder, device="cpu", predict=True)
hyperparameters = config.hyperparameters(HAND_TUNED)
worker.assign(Assignment("trial-0001", 1, config.model, config.epochs, hyperparameters))
report = worker.step()
assert report.outcome() == "COMPLETE", report

def begin(config):
    ledger = Ledger(SweepCreated(0.0, FORMAT, "new", config.model_dump(mode="json")))
    ledger.add(TrialStarted(0.0, 1, 1, dict(HAND_TUNED)))
    return ledger

best, *_ = plan_arms(config, [Selection(begin(config).trials[1], 0.9)])
old = begin(SweepConfig(model="tiny", epochs=1, initial_points=[HAND_TUNED]))
print(best.model, len(report.predictions.labels))
print(*check_changes(folder, old, config, accept_changes=True))
""",
    )
    assert printed == "tiny 120\n`dataset`: mnist then, stripes now\n"


def test_searcher_and_scheduler_are_each_a_line_in_the_registry(tree):
    registry = tree / "sweep/config/registry.py"
    edit(registry, '    "tpe": ', '    "qmc": "optuna.samplers:QMCSampler",\n    "tpe": ')
    median = "ray.tune.schedulers:MedianStoppingRule"
    edit(registry, '    "asha": ', f'    "median": "{median}",\n    "asha": ')
    printed = run_python(
        tree,
        """
from analysis.records.ledger import Ledger, SweepCreated
from analysis.storage.journal import FORMAT
from sweep.config.resolve import resolve_config
from sweep.tuning.scheduler import build_scheduler
from sweep.tuning.searcher import StudySearcher

settings = ["searcher=qmc", "scheduler={name: median, grace_period: 2}", "initial_points=[]"]
config = resolve_config(settings=settings)
ledger = Ledger(SweepCreated(0.0, FORMAT, "new", config.model_dump(mode="json")))
searcher, scheduler = StudySearcher(config, ledger), build_scheduler(config, ledger)
proposed = searcher.suggest("a")["assignment"].hyperparameters
assert not any(searched.why_invalid(proposed[name]) for name, searched in config.space.items())
print(type(searcher.study.sampler).__name__, type(scheduler).__name__, scheduler.metric)
""",
    )
    assert printed == "QMCSampler MedianStoppingRule val_accuracy\n"


def test_plot_is_a_file_and_an_entry_in_the_gallery(tree):
    shutil.copy(ROOT / "tests/helpers/synthetic.py", tree)
    (tree / "analysis/plots/durations.py").write_text("""
from analysis.plots.results import Picture
from analysis.plots.style import new_figure

def draw_durations(results):
    figure = new_figure(3.0, results.about_search)
    trials = results.ledger.trials.values()
    seconds = [sum(epoch.seconds for epoch in trial.epochs) for trial in trials]
    figure.subplots().scatter(range(1, 1 + len(seconds)), seconds)
    return Picture(figure, "The seconds of each trial.")
""")
    gallery, following = tree / "analysis/plots/gallery.py", "from analysis.plots.final_accuracies"
    edit(gallery, following, f"from analysis.plots.durations import draw_durations\n{following}")
    line = '    Plot("durations", "Duration of each trial", draw_durations),\n'
    edit(gallery, "SEARCH_PLOTS = (\n", f"SEARCH_PLOTS = (\n{line}")
    printed = run_python(
        tree,
        """
from pathlib import Path

import sweep
from analysis.storage.local_folder import LocalFolder
from synthetic import Search, write_search

write_search(LocalFolder(Path("runs/drawn")), Search(name="drawn", n_trials=3, epochs=2))
drawn = sweep.open("drawn")
print("durations" in drawn.plots, drawn.plot("durations").axes[0].has_data())
""",
    )
    assert printed == "True True\n"


def test_tracker_is_a_file_and_an_entry_in_the_table(tree):
    (tree / "sweep/results/trackers/lines.py").write_text("""
from sweep.results.trackers.runs import Tracker

class Lines(Tracker):
    option = "--out"
    where = "the lines above"

    def __init__(self, sweep, place):
        print(sweep)

    def update(self, run):
        print(run.name, len(run.metrics), run.state)
        return True
""")
    mirror, following = tree / "sweep/results/trackers/mirror.py", "from sweep.results.trackers.ml"
    edit(mirror, following, f"from sweep.results.trackers.lines import Lines\n{following}")
    table = "TRACKERS: dict[str, type[Tracker]] = {\n"
    edit(mirror, table, f'{table}    "lines": Lines,\n')
    shutil.copytree(ROOT / "tests/data/v0.1.0", tree / "runs/old")
    code = "from sweep.__main__ import main; main(['track', 'old', '--to', 'lines'])"
    sweep, first, *_, last = run_python(tree, code).splitlines()
    assert (sweep, first) == ("old", "trial-0001 3 COMPLETE")
    assert last.endswith("runs of old, 13 new: the lines above")
