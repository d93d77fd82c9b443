import sys

import pytest

from measuring import run_command

BURN = "import time; end = time.process_time() + 1.5\nwhile time.process_time() < end: pass"


ARM = """
import time
from arms.marks import mark
mark('began'); mark('began', trials=2)
time.sleep(0.5); mark('done', trials=1); time.sleep(1.5)
"""


def test_time_and_marks_are_those_until_done():
    run = run_command([sys.executable, "-c", ARM])
    assert run.marks["done"]["trials"] == 1
    assert run.marks["done"]["rss"] > 1e6
    assert "trials" not in run.marks["began"], "the first of a name counts"
    assert run.marks["done"]["after"] - run.marks["began"]["after"] == pytest.approx(0.5, abs=0.3)
    assert run.seconds == run.marks["done"]["after"]


def test_processor_time_of_what_a_command_starts_is_counted():
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    run = run_command([sys.executable, "-c", start], with_memory=True)
    assert 0.7 < run.cpu_seconds < 3
    assert run.peak_bytes is not None
    assert run.peak_bytes > 5e6


def test_failure_of_a_command_has_its_output():
    with pytest.raises(RuntimeError, match="ended with 1:\n(?s:.*)ValueError: for a reason"):
        run_command([sys.executable, "-c", "raise ValueError('for a reason')"])
