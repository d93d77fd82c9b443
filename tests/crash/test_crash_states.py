"""Nothing that was acknowledged is lost, whatever a disk has kept when its machine crashed."""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from analysis.storage.journal import Journal
from tests.crash.checks import LostError
from tests.crash.disk import Disk, read_tree
from tests.crash.recorder import Step

Forget = Callable[[list[Step]], list[Step]]

pytestmark = pytest.mark.xdist_group("crash")

INTERRUPTED = {"kill": ("mkdir", "create", "write", "rename", "unlink"), "full": ("write",)}
INTERRUPTED["sync"] = ("sync", "sync_directory")


def _moments(steps: list[Step], what: str) -> list[int]:
    """Return after how many steps something may happen: a process is killed after a change."""
    after = 1 if what == "kill" else 0
    moments = (n + after for n, step in enumerate(steps) if step.kind in INTERRUPTED[what])
    return [moment for moment in moments if moment < len(steps)]  # the last step ends the sweep


def _of_journal(steps: list[Step], what: str) -> int:
    """Return the moment at which the second line of the confirmation is written."""
    return [n for n in _moments(steps, what) if steps[n - 1].path.endswith("confirm.jsonl")][2]


@pytest.mark.long
@pytest.mark.timeout(1800)  # a core that others use
def test_sweep_of_ray_survives_every_crash(real):
    steps, checker, storage = real
    disk, written = Disk(), read_tree(storage)
    for step in steps:
        disk.take(step)
    del written["mine/.lock"]
    assert disk.seen.tree() == written  # no step is missing
    checker.check_all(steps)
    assert checker.tally["states"] > 1000


def test_sweep_survives_crashes(plain):
    steps, make_checker = plain
    checker = make_checker()
    checker.check_all(steps, every=60)
    assert checker.tally["states"] > 400


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("what", INTERRUPTED)
def test_resumed_sweep_survives_every_crash(plain, what):
    steps, make_checker = plain
    checker = make_checker()
    for n_steps in _moments(steps, what)[:: int(os.environ.get("CRASHES_EVERY", "8"))]:
        checker.check_after(n_steps, what)


@pytest.mark.parametrize("what", INTERRUPTED)
def test_resumed_sweep_survives_crashes(plain, what):
    steps, make_checker = plain
    for n_steps in {_moments(steps, what)[0], _of_journal(steps, what)}:
        make_checker().check_after(n_steps, what)


def _without(kind: str, before: tuple[str, str] = ("", "")) -> Forget:
    """Leave out the steps of a kind, where the step before is of a kind and on some file."""

    def forget(steps: list[Step]) -> list[Step]:
        pairs = itertools.pairwise([Step("", ""), *steps])
        return [
            step
            for previous, step in pairs
            if step.kind != kind
            or previous.kind != before[0]
            or not (previous.to or previous.path).endswith(before[1])
        ]

    return forget


def _renamed_before_sync(steps: list[Step]) -> list[Step]:
    def late() -> Iterator[Step]:
        held = None
        for step in steps:
            if step.kind == "sync" and step.path.endswith(".part"):
                held = step
                continue
            yield step
            if step.kind == "rename" and held is not None:
                yield replace(held, path=step.to)

    return list(late())


@pytest.mark.parametrize(
    ("forget", "found"),
    [
        (_without("sync_directory", ("rename", ".pt")), "trial-0001.pt is not what was written"),
        (_without("sync", ("write", "ledger.jsonl")), "ledger.jsonl has lost"),
        (_without("sync_directory", ("sync", "ledger.jsonl")), "ledger.jsonl has lost"),
        (_without("sync_directory", ("mkdir", "")), "trial-0001.pt is not what was written"),
        (_renamed_before_sync, "is not"),
    ],
    ids=["rename", "line", "new journal", "new directory", "order"],
)
def test_missing_sync_is_found(plain, forget, found):
    steps, make_checker = plain
    with pytest.raises(LostError, match=found):
        make_checker(forget=forget).check_all(steps, every=1000)


@pytest.mark.parametrize(
    ("n_steps", "forget", "found"),
    [
        (None, _without("sync", ("opened", "ledger.jsonl")), "confirm.jsonl has lost"),
        (1, _without("sync_directory", ("", "")), "config.yaml is not what was written"),
    ],
    ids=["line", "directory"],
)
def test_what_is_not_synced_after_a_kill_is_found(plain, n_steps, forget, found):
    steps, make_checker = plain
    checker = make_checker(forget=forget)
    with pytest.raises(LostError, match=found):
        checker.check_after(n_steps or _of_journal(steps, "kill"), "kill")


def test_damaged_line_that_is_not_removed_is_found(plain, monkeypatch):
    steps, make_checker = plain
    monkeypatch.setattr(Journal, "_is_damaged", lambda line: False)
    disk = Disk()
    for step in steps:
        disk.take(step)
        for tree in disk.trees():
            journal = tree.get("mine/confirm.jsonl") or b""
            if b"\0" in journal and journal.endswith(b"\n"):
                with pytest.raises(LostError, match="status exits with 4"):
                    make_checker().check(tree, disk)
                return
    pytest.fail("no line is damaged so")
