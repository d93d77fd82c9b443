"""Mirrors a sweep to a tracker, from its ledger: it can neither slow down nor stop the sweep."""

import contextlib
import time
from collections.abc import Iterator

from analysis.errors import LedgerError, StorageError, is_disk_full
from analysis.records.sweeps import pause_after
from analysis.storage.folder import Folder
from sweep.errors import TrackerError, UsageError
from sweep.results.trackers.mlflow import MLflow
from sweep.results.trackers.runs import Tracker, tracked_runs
from sweep.results.trackers.tensorboard import TensorBoard
from sweep.results.trackers.wandb import WeightsAndBiases

TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}


def mirror(folder: Folder, to: str, place: str | None, *, follow: bool) -> tuple[int, int, str]:
    """Add what is new in a sweep to the tracker `to`; with `follow` until no driver works on it.

    `place` is where the tracker writes, by default a place of its own. Return how many runs the
    sweep has, how many of them had anything new, and how to see them.

    Raises:
        UsageError: A package is missing, the place is of another sweep, or the sweep was deleted.
        TrackerError: The tracker cannot be used.
    """
    progress: dict[str, str] = {}
    new: set[str] = set()
    with _failing_as(to), contextlib.closing(TRACKERS[to](folder.name, place)) as tracker:
        while True:
            is_running = folder.is_locked()
            is_last = not (follow and is_running)
            began = time.monotonic()
            try:
                runs = [*tracked_runs(folder, is_running=is_running)]
            except FileNotFoundError as error:
                raise UsageError(f"{error}: it was deleted") from error
            pause = pause_after(time.monotonic() - began)
            for run in runs:
                if progress.get(run.id) != run.progress:
                    if tracker.update(run):
                        new.add(run.id)
                    progress[run.id] = run.progress
            if is_last:
                return len(progress), len(new), tracker.where
            time.sleep(pause)


@contextlib.contextmanager
def _failing_as(name: str) -> Iterator[None]:
    """Raise what the package of a tracker raises, which may be anything, as a TrackerError."""
    try:
        yield
    except (UsageError, LedgerError, StorageError):  # ours
        raise
    except Exception as error:
        if isinstance(error, OSError) and is_disk_full(error):
            raise StorageError(error.errno, error.strerror, error.filename) from error
        reason = str(error).strip() or type(error).__name__
        raise TrackerError(f"{name} cannot be used: {reason.splitlines()[0]}") from error
