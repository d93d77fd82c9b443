import errno
import shutil
import sys
from typing import ClassVar
from unittest.mock import Mock

import pytest

from analysis.errors import StorageError
from appending import append
from in_memory import trial_ended, trial_epoch, trial_started
from sweep.errors import TrackerError, UsageError, describe_failure
from sweep.results.trackers import mirror as module
from sweep.results.trackers.mirror import TRACKERS, mirror
from sweep.results.trackers.runs import TrackedRun, Tracker, tracked_runs


class Recorded(Tracker):
    """A tracker that keeps what it is given, and fails for a trial that is named."""

    option = "--out"
    where = "here"
    updates: ClassVar[list[tuple[str, int, str]]] = []
    n_closed: ClassVar[int] = 0

    def __init__(self, sweep: str, place: str | None) -> None:
        self.failing = place

    def update(self, run: TrackedRun) -> bool:
        if run.name == self.failing:
            raise ConnectionError("no route to the server\nat some line")
        self.updates.append((run.name, len(run.metrics), run.state))
        return run.name != "trial-0001"  # it is there already

    def close(self) -> None:
        Recorded.n_closed += 1


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    monkeypatch.setitem(TRACKERS, "recorded", Recorded)
    monkeypatch.setattr(Recorded, "updates", [])
    monkeypatch.setattr(Recorded, "n_closed", 0)
    return Recorded


def test_sweep_is_followed_to_its_end(make_sweep, recorded, monkeypatch):
    folder, _ = make_sweep(n_trials=2, n_running=1)
    preview = trial_started(3, {"dropout": 0.1}, preview_epochs=1)
    steps = [
        [trial_epoch(2, 3), preview],
        [],
        [trial_ended(2, "FAILED"), trial_ended(3, "STOPPED")],
    ]

    def work(seconds: float) -> None:
        assert seconds >= 2
        append(folder, *steps.pop(0))

    monkeypatch.setattr(module.time, "sleep", work)
    monkeypatch.setattr(type(folder), "is_locked", lambda _: bool(steps))
    assert mirror(folder, "recorded", None, follow=True) == (3, 2, "here")
    assert recorded.updates[1:] == [
        ("trial-0002", 2, "RUNNING"),
        ("trial-0002", 3, "RUNNING"),
        ("trial-0003", 0, "RUNNING"),
        ("trial-0001", 15, "COMPLETE"),  # the best, with the result of the sweep
        ("trial-0002", 3, "FAILED"),
        ("trial-0003", 0, "PREVIEW"),
    ]
    assert recorded.n_closed == 1


def test_sweep_that_is_deleted_meanwhile_is_named(make_sweep, recorded, monkeypatch):
    folder, _ = make_sweep(n_trials=1)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: shutil.rmtree(folder.path))
    monkeypatch.setattr(type(folder), "is_locked", lambda _: True)
    with pytest.raises(UsageError, match=r"synthetic: it was deleted$"):
        mirror(folder, "recorded", None, follow=True)


def test_tracker_that_fails_ends_in_one_line(make_sweep, recorded):
    folder, _ = make_sweep(n_trials=2)
    with pytest.raises(TrackerError) as caught:
        mirror(folder, "recorded", "trial-0002", follow=False)
    assert str(caught.value) == "recorded cannot be used: no route to the server"
    assert [update[0] for update in recorded.updates] == ["trial-0001"]
    assert recorded.n_closed == 1


def test_full_disk_is_not_the_fault_of_the_tracker(make_sweep, recorded, monkeypatch):
    folder, _ = make_sweep(n_trials=2)
    full = Mock(side_effect=OSError(errno.ENOSPC, "no space", "events"))
    monkeypatch.setattr(recorded, "update", full)
    with pytest.raises(StorageError) as caught:
        mirror(folder, "recorded", None, follow=False)
    assert describe_failure(caught.value) == (
        "storage events: the disk is full: free some space",
        4,
    )


@pytest.mark.parametrize(
    ("tracker", "package", "requirements"),
    [
        ("tensorboard", "tensorboardX", "'tensorboard>=2.18' 'tensorboardX>=2.6'"),
        ("mlflow", "mlflow", "'mlflow-skinny>=3.1'"),
        ("wandb", "wandb", "'wandb>=0.31'"),
    ],
)
def test_missing_package_is_named(make_sweep, monkeypatch, tracker, package, requirements):
    folder, _ = make_sweep(n_trials=1)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError) as caught:
        mirror(folder, tracker, None, follow=False)
    assert str(caught.value).endswith(f"install it with: pip install {requirements}")


def test_trial_of_an_own_network_has_its_fixed_arguments_and_its_file(make_sweep):
    folder, _ = make_sweep(n_trials=2)
    ledger = folder.read("ledger.jsonl")
    folder.write("ledger.jsonl", ledger.replace(b'"recipe": {', b'"recipe": {"model.width": 3, '))
    folder.write("model.py", b"# a network")
    runs = list(tracked_runs(folder, is_running=False))
    assert [run.parameters["model.width"] for run in runs] == [3, 3]
    (best,) = (run for run in runs if run.note)
    assert best.files["model.py"] == b"# a network"
