import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.tune.search import Searcher

from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset, TrainTest
from sweep.config import Resources
from sweep.driver.session import Session
from sweep.training.assignment import Assignment
from sweep.tuning.engine import Engine, Recorder

Train = Callable[[Recorder, Assignment], None]


@dataclass(frozen=True)
class KeepingEngine(Engine):
    """An engine that keeps what it is asked to run; `train`, if given, replaces Ray."""

    train: Train | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def run(self, **asked: Any) -> None:
        self.asked.append(asked)
        if self.train is None:
            super().run(**asked)
            return
        for n in range(asked["n_trainings"]):
            config = asked["searcher"].suggest(f"tune-{n}")
            if config == Searcher.FINISHED:
                break
            self.train(asked["recorder"], config["assignment"])


@pytest.fixture(scope="session")
def make_session() -> Callable[..., Session]:
    """Makes a session on the sweep in a folder, with `scratch` of a running Ray or `train`."""

    def make(
        folder: Folder,
        *,
        scratch: Path = Path("none"),
        train: Train | None = None,
        watch: Callable[[], str | None] = lambda: None,
        n_slots: int = 2,
    ) -> Session:
        engine = KeepingEngine(Resources(), lambda: n_slots, folder, scratch, train)
        return Session(engine, io.StringIO(), watch)

    return make


@pytest.fixture(scope="session")
def blank() -> TrainTest:
    """Blank images, 60 of each digit; each training image has its number in a corner."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 60)
    images = np.zeros((600, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(600), 256)
    return TrainTest(ImageDataset(images, labels), ImageDataset(images[:10], labels[:10]))
