import itertools
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from analysis.records.confirmation import Arm, Confirmation, ConfirmationBegun, RunEnded, RunEpoch
from analysis.records.ledger import read_ledger
from analysis.storage.folder import Folder, LocalFolder


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path)


@pytest.fixture(scope="session")
def file_size_limit() -> Callable[[int], AbstractContextManager[None]]:
    """Simulates a full disk: within the block a file cannot grow beyond some bytes."""

    @contextmanager
    def limit(n_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def search_folder(tmp_path: Path, synthetic: ModuleType) -> Callable[..., Folder]:
    """Makes a searched sweep; takes what `synthetic.Search` takes."""

    def make(**search: Any) -> Folder:
        made = synthetic.Search(**search)
        folder = LocalFolder(tmp_path / made.name)
        synthetic.write_search(folder, made)
        return folder

    return make


@pytest.fixture
def confirmed_folder(
    search_folder: Callable[..., Folder], synthetic: ModuleType
) -> Callable[..., Folder]:
    """Makes a confirmed sweep; takes what `synthetic.Confirming` takes, and a search."""

    def make(search: dict[str, Any] | None = None, **confirming: Any) -> Folder:
        folder = search_folder(**(search or {}))
        synthetic.write_confirmed(folder, read_ledger(folder), synthetic.Confirming(**confirming))
        return folder

    return make


def _make_confirmation(
    accuracies: dict[str, dict[int, float | None]], *, first_trial: int = 1
) -> Confirmation:
    """Makes a confirmation in memory from accuracies by arm and seed; None is a failed run.

    Arms called `finalist…` are finalists, namely the trials from `first_trial` on, the others
    baselines, the first of them the reference. Each has a learning rate of its own. Every run
    has two epochs, of which the first is the better one.
    """

    confirmation = Confirmation(ConfirmationBegun(0.0, 1, "made", 2))
    reference = next((name for name in accuracies if not name.startswith("finalist")), None)
    trial_ids = itertools.count(first_trial)
    for number, name in enumerate(accuracies):
        confirmation.apply(
            Arm(
                time=1.0,
                arm=name,
                title=f"the {name}",
                role="finalist" if name.startswith("finalist") else "baseline",
                model="lenet5",
                trial_id=next(trial_ids) if name.startswith("finalist") else None,
                hyperparameters={"learning_rate": float(number)},
                epochs=2,
                reference=name == reference,
            )
        )
    for name, by_seed in accuracies.items():
        for seed, accuracy in by_seed.items():
            for epoch, value in ((1, 0.999), (2, accuracy)):
                if value is None:
                    confirmation.apply(RunEnded(3.0, name, seed, "FAILED", "loss became nan"))
                    break
                confirmation.apply(
                    RunEpoch(2.0, name, seed, epoch, 0.1, 0.97, 0.02, value, 4.0, 1e4)
                )
            else:
                confirmation.apply(RunEnded(3.0, name, seed, "COMPLETE", None))
    return confirmation


@pytest.fixture(scope="session")
def make_confirmation() -> Callable[..., Confirmation]:
    return _make_confirmation
