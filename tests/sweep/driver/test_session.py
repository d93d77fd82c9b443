import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.errors import StorageError
from analysis.storage.folder import LocalFolder
from sweep.config import Resources
from sweep.driver import session
from sweep.driver.session import Session, count_slots, open_session
from sweep.driver.signals import Interrupted, Interruption
from sweep.errors import UsageError
from sweep.tuning import nodes
from sweep.tuning.nodes import Node


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever machine this is, it has four cores and no GPU."""
    monkeypatch.setattr(session, "n_processors", lambda: 4)
    monkeypatch.setattr(session, "_count_gpus", lambda: 0)


@pytest.mark.parametrize(
    ("cpu", "concurrency", "slots"),
    [(1, None, 4), (2, None, 2), (3, None, 1), (0.5, None, 8), (1, 3, 3), (4, 1, 1)],
)
def test_slots_are_what_the_processors_allow(
    cpu: float, concurrency: int | None, slots: int
) -> None:
    assert count_slots(Resources(cpu=cpu), concurrency) == slots


def test_slots_are_what_the_gpus_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_count_gpus", lambda: 1)
    assert count_slots(Resources(gpu=0.5), None) == 2
    assert count_slots(Resources(gpu=0.1), None) == 4  # there are only four cores
    assert count_slots(Resources(gpu=1), None) == 1


@pytest.mark.parametrize(
    ("resources", "concurrency", "message"),
    [
        (Resources(cpu=5), None, "`resources.cpu` is 5, but this machine has 4"),
        (Resources(gpu=0.5), None, "`resources.gpu` is 0.5, but this machine has 0 usable"),
        (Resources(), 5, "`--concurrency` must be at most 4 here, but got 5"),
        (Resources(cpu=2), 3, "`--concurrency` must be at most 2 here, but got 3"),
    ],
)
def test_slots_that_there_are_not_are_refused(
    resources: Resources, concurrency: int | None, message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        count_slots(resources, concurrency)
    assert str(raised.value).startswith(message)


def test_session_shows_progress_and_news_until_a_signal_comes(
    make_session: Callable[..., Session], tmp_path: Path
) -> None:
    news = [None, "a node is gone"]
    with Interruption(sys.stderr, str) as interruption:
        session = make_session(
            LocalFolder(tmp_path), watch=lambda: interruption.check() or news.pop(0)
        )
        screen: Any = session.screen
        on_step = session.watching(screen)
        on_step()
        on_step()
        assert (screen.n_updates, screen.lines) == (2, ["a node is gone"])
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted, match="SIGINT"):
            on_step()
        assert screen.n_updates == 2


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Any]]:
    """What Ray was started with; it does not really start."""
    calls: list[Any] = []

    class Pretended:
        def __init__(self, **given: Any) -> None:
            calls.append(given)

        def __enter__(self) -> Path:
            return tmp_path / "scratch"

        def __exit__(self, *_: object) -> None:
            calls.append("ended")

    monkeypatch.setattr(session, "ray_session", Pretended)
    monkeypatch.setattr(session, "watchdog", lambda scratch, on_death: contextlib.nullcontext())
    monkeypatch.setattr(nodes, "alive_nodes", lambda: [Node("1", "10.0.0.1", 4.0, 0.0)])
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(fileno=lambda: 2, flush=lambda: None))
    return calls


SCREEN: Any = "made for the terminal"


def test_open_session_keeps_others_off_the_sweep(started: list[Any], tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "sweep")
    with open_session(
        Resources(cpu=2),
        folder,
        address=None,
        concurrency=2,
        advise=str,
        make_screen=lambda _: SCREEN,
    ) as opened:
        assert folder.is_locked()
        assert (opened.engine.folder, opened.engine.slots()) == (folder, 2)
        assert opened.engine.scratch == tmp_path / "scratch"
        assert opened.screen is SCREEN
        assert opened.engine.resources == Resources(cpu=2)
        assert len(started) == 1
        with (
            pytest.raises(StorageError, match=f"working on .*process {os.getpid()} on "),
            open_session(
                Resources(),
                folder,
                address=None,
                concurrency=1,
                advise=str,
                make_screen=lambda _: SCREEN,
            ),
        ):
            pass
        assert len(started) == 1  # the second was refused before it started Ray
    assert started[1:] == ["ended"]
    assert not folder.is_locked()
    with folder.lock():
        pass


def test_open_session_catches_signals_before_ray_starts(
    started: list[Any], tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with open_session(
        Resources(),
        LocalFolder(tmp_path / "sweep"),
        address=None,
        concurrency=1,
        advise=str,
        make_screen=lambda _: SCREEN,
    ):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
