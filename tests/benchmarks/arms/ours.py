"""The comparison of sweeps: this project."""

import tempfile
from pathlib import Path

from analysis.records.ledger import EpochRecord
from analysis.storage.local_folder import LocalFolder
from arms import problem
from arms.marks import mark
from data_utils.dataset import ImageDataset, TrainTest
from data_utils.mnist import load_mnist
from sweep.config import Scheduler, SweepConfig
from sweep.driver.search import run_search
from sweep.driver.session import open_session


def search(config: SweepConfig, images: ImageDataset) -> None:
    """Run a search as `sweep run` does, with a sixth of `images` for validation."""
    with (
        tempfile.TemporaryDirectory() as path,
        LocalFolder(Path(path)).lock() as locked,
        open_session(
            config.resources,
            locked,
            address=None,
            concurrency=problem.WORKERS,
            advise=str,
        ) as session,
    ):
        mark("started")
        ledger = run_search(session, config, TrainTest(images, images))
        epochs = [record for record in ledger.records if isinstance(record, EpochRecord)]
        mark("began", time=min(epoch.time - epoch.seconds for epoch in epochs))
        mark("done", epochs=len(epochs), trials=len(ledger.trials))


if __name__ == "__main__":
    config = SweepConfig(
        trials=problem.N_TRIALS,
        epochs=problem.EPOCHS,
        initial_points=problem.draw_points(),
        scheduler=Scheduler(name="asha", **problem.HALVING),
        confirm=None,
    )
    search(config, load_mnist().train.take(range(problem.N_TRAIN + problem.N_VALIDATION)))
