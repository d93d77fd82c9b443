import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset
from data_utils.mnist import Mnist
from sweep.config import Resources
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
def blank() -> Mnist:
    """Blank images, 60 of each digit; each training image has its number in a corner."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 60)
    images = np.zeros((600, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(600), 256)
    return Mnist(ImageDataset(images, labels), ImageDataset(images[:10], labels[:10]))
