import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.records.ledger import (
    FORMAT,
    EpochRecord,
    Ledger,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset, TrainTest
from sweep.config import Resources, SweepConfig
from sweep.driver.session import Display, Session
from sweep.tuning.engine import Engine


class ListScreen:
    """A screen that keeps what it is asked to show.

    Attributes:
        opened: What was shown, with its arguments.
        lines: The lines that were said.
        n_updates: How often a display was updated.
    """

    def __init__(self) -> None:
        self.opened: list[tuple[str, tuple[Any, ...]]] = []
        self.lines: list[str] = []
        self.n_updates = 0

    def search(self, *shown: Any) -> AbstractContextManager[Display]:
        self.opened.append(("search", shown))
        return contextlib.nullcontext(self)

    def confirmation(self, *shown: Any) -> AbstractContextManager[Display]:
        self.opened.append(("confirmation", shown))
        return contextlib.nullcontext(self)

    def update(self) -> None:
        self.n_updates += 1

    def say(self, line: str) -> None:
        self.lines.append(line)


MakeSession = Callable[..., Session]


@pytest.fixture(scope="session")
def make_session() -> MakeSession:
    """Makes a session on the sweep in a folder.

    Without `scratch`, of a running Ray, it has no engine but `run`, which takes what
    `Engine.run` takes.
    """

    def make(
        folder: Folder,
        *,
        scratch: Path | None = None,
        run: Callable[..., bool] | None = None,
        watch: Callable[[], str | None] = lambda: None,
        n_slots: int = 2,
    ) -> Session:
        engine: Any = SimpleNamespace(folder=folder, run=run, slots=lambda: n_slots)
        if scratch is not None:
            engine = Engine(Resources(), lambda: n_slots, folder, scratch)
        return Session(engine, ListScreen(), watch)

    return make


@pytest.fixture(scope="session")
def blank() -> TrainTest:
    """Blank images, 60 of each digit; each training image has its number in a corner."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 60)
    images = np.zeros((600, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(600), 256)
    return TrainTest(ImageDataset(images, labels), ImageDataset(images[:10], labels[:10]))


MakeLedger = Callable[..., Ledger]


@pytest.fixture(scope="session")
def make_ledger() -> MakeLedger:
    """Makes the ledger of a search with a trial of each state, complete ones better and better."""

    def make(config: SweepConfig, *states: Any) -> Ledger:
        ledger = Ledger(SweepCreated(0.0, FORMAT, "made", config.model_dump(mode="json")))
        for trial_id, state in enumerate(states, start=1):
            draw = {"dropout": trial_id / 100, "rotation": 5.0, "shift": 0.1, "weight_decay": 1e-4}
            ledger.add(TrialStarted(1.0, trial_id, 0, draw))
            accuracy = 0.9 + trial_id / 100
            for epoch in range(1, config.epochs + 1):
                ledger.add(EpochRecord(2.0, trial_id, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
            if state != "RUNNING":
                ledger.add(TrialEnded(3.0, trial_id, state, None))
        return ledger

    return make
