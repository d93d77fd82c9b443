import os
import signal
import sys
from unittest.mock import Mock, call

import pytest

from analysis.storage.local_folder import LocalFolder
from sweep.driver.signals import Interrupted, Interruption
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
