import os
import signal
import sys
from contextlib import nullcontext
from unittest.mock import Mock, call

import pytest

import sweep.driver.session
from analysis.storage.local_folder import LocalFolder
from sweep.config import Resources
from sweep.driver.session import open_session
from sweep.driver.signals import Interrupted, Interruption
from sweep.errors import ClusterError
from sweep.screen.display import Display


def test_session_shows_progress_and_news_until_a_signal_comes(make_session, tmp_path):
    news = [None, "a node is gone"]
    with Interruption(sys.stderr, str) as interruption:

        def watch() -> str | None:
            interruption.check()
            return news.pop(0)

        session = make_session(LocalFolder(tmp_path), watch=watch)
        display = Mock(Display)
        on_step = session.watching(display)
        on_step()
        on_step()
        assert display.mock_calls == [call.update(), call.say("a node is gone"), call.update()]
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted, match="SIGINT"):
            on_step()
        assert display.update.call_count == 2


def test_second_session_in_a_process_is_refused(tmp_path, monkeypatch):
    for name in ("ray_session", "watchdog", "Slots"):
        monkeypatch.setattr(sweep.driver.session, name, lambda *_, **__: nullcontext(tmp_path))
    options = {"address": None, "concurrency": None, "advise": str}
    for _ in range(2):
        with (
            open_session(Resources(), LocalFolder(tmp_path), **options),
            pytest.raises(ClusterError, match="this process is already running a sweep"),
            open_session(Resources(), LocalFolder(tmp_path), **options),
        ):
            pass


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_session_in_a_fork_of_a_process_that_had_one_is_refused(tmp_path, monkeypatch):
    for name in ("ray_session", "watchdog", "Slots"):
        monkeypatch.setattr(sweep.driver.session, name, lambda *_, **__: nullcontext(tmp_path))
    options = {"address": None, "concurrency": None, "advise": str}
    with open_session(Resources(), LocalFolder(tmp_path), **options):
        pass
    child = os.fork()
    if child == 0:
        try:
            with (
                pytest.raises(ClusterError, match="was forked from one that has run a sweep"),
                open_session(Resources(), LocalFolder(tmp_path), **options),
            ):
                pass
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
