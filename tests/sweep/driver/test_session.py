import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.text import Text

from analysis.storage.folder import LocalFolder
from analysis.storage.lock import hold, is_held
from sweep.config import Resources
from sweep.driver import session
from sweep.driver.session import Session, count_slots, open_session
from sweep.driver.signals import Interrupted, Interruption
from sweep.errors import StorageError, UsageError
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


class _View:
    """Something that is half done."""

    def news(self) -> list[str]:
        return []

    def fraction(self) -> float:
        return 0.5

    def picture(self) -> Text:
        return Text("picture")

    def line(self) -> str:
        return "half done"


def _session(screen: io.StringIO, interruption: Interruption) -> Session:
    nothing: Any = None
    return Session(nothing, lambda: interruption.check(), screen)


def test_session_shows_progress_until_a_signal_comes() -> None:
    screen = io.StringIO()
    view = _View()
    with Interruption(sys.stderr) as interruption:
        with _session(screen, interruption).showing(view) as on_step:
            on_step()
            view.fraction = lambda: 1.0  # type: ignore[method-assign]
            on_step()
        assert screen.getvalue() == "half done\n"
        with _session(screen, interruption).showing(view) as on_step:
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(Interrupted, match="SIGINT"):
                on_step()


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


def test_open_session_keeps_others_off_the_sweep(started: list[Any], tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "sweep")
    with open_session(Resources(cpu=2), folder, address=None, concurrency=2, advise=str) as opened:
        assert is_held(folder)
        assert (opened.engine.folder, opened.engine.slots()) == (folder, 2)
        assert opened.engine.scratch == tmp_path / "scratch"
        assert opened.engine.resources == Resources(cpu=2)
        assert len(started) == 1
        with (
            pytest.raises(StorageError, match=f"at work on .*process {os.getpid()} on "),
            open_session(Resources(), folder, address=None, concurrency=1, advise=str),
        ):
            pass
        assert len(started) == 1  # the second was refused before it started Ray
    assert started[1:] == ["ended"]
    assert not is_held(folder)
    with hold(folder):
        pass


def test_open_session_catches_signals_before_ray_starts(
    started: list[Any], tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with open_session(
        Resources(), LocalFolder(tmp_path / "sweep"), address=None, concurrency=1, advise=str
    ):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
