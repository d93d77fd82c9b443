"""A search whose trainings only wait: a driver, Ray and the storage, but no training.

    python -m arms.waiting STORAGE SLOTS SECONDS TRIALS

STORAGE is a folder or the URI of an object store, SECONDS is how long an epoch takes.
"""

import math
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from analysis.records.epochs import Epoch
from analysis.records.ledger import EpochRecord, TrialStarted
from arms.marks import mark
from data_utils.dataset import MNIST, ImageDataset, TrainTest
from sweep.api.storage import storage_folder
from sweep.config import Resources, SweepConfig
from sweep.driver.search import run_search
from sweep.driver.session import open_session
from sweep.environment import n_processors
from sweep.training.assignment import Report
from sweep.tuning import engine
from sweep.tuning.trainable import SweepTrainable


def waiting_trainable(slots: int, seconds: float) -> type[SweepTrainable]:
    """Return a trainable that starts when all slots have a process, and imports no torch."""
    ready = Path(os.environ["BENCHMARK_MARKS"]).with_name("ready")
    ready.mkdir()

    class Waiting(SweepTrainable):
        def setup(self, config: dict[str, Any], **shared: Any) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._own, self._n_epochs = new_config["assignment"], 0
            self._error = random.Random(self._own.seed).uniform(0.01, 0.02)
            return True

        def step(self) -> dict[str, Any]:
            (ready / str(os.getpid())).touch()
            while not self._n_epochs and len([*ready.iterdir()]) < slots:
                time.sleep(0.5)
            time.sleep(seconds)
            self._n_epochs += 1
            accuracy = 1 - self._error / self._n_epochs
            epoch = Epoch(self._n_epochs, 0.1, accuracy, 0.1, accuracy, seconds, 0.0)
            return Report((epoch,), is_last=self._n_epochs == self._own.epochs).to_result()

    return Waiting


def sample_processor_time(samples: list[tuple[float, float]]) -> None:
    """Add the time and this process's processor time to `samples`, ten times a second."""
    while True:
        samples.append((time.time(), time.process_time()))
        time.sleep(0.1)


if __name__ == "__main__":
    storage, slots, seconds, trials = sys.argv[1], *map(float, sys.argv[2:])
    engine.SweepTrainable = waiting_trainable(int(slots), seconds)
    images = ImageDataset(np.zeros((12, *MNIST.shape), np.uint8), np.zeros(12, np.uint8))
    cpu = math.floor(1e4 * n_processors() / slots) / 1e4
    config = SweepConfig(trials=int(trials), resources=Resources(cpu=cpu), confirm=None)
    samples: list[tuple[float, float]] = []
    threading.Thread(target=sample_processor_time, args=(samples,), daemon=True).start()
    with (
        storage_folder(storage).child("bench").lock() as locked,
        open_session(
            config.resources,
            locked,
            address=None,
            concurrency=int(slots),
            advise=str,
        ) as session,
    ):
        mark("started")
        records = run_search(session, config, TrainTest(images, images)).records
    # All slots are busy from the first epoch to the start of the last trial.
    began = min(r.time for r in records if isinstance(r, EpochRecord))
    ended = max(r.time for r in records if isinstance(r, TrialStarted))
    n_epochs = sum(isinstance(r, EpochRecord) and r.time <= ended for r in records)
    used = np.diff(np.interp([began, ended], *zip(*samples, strict=True)))[0]
    mark("done", epochs=n_epochs, seconds=ended - began, processor_seconds=float(used))
