"""Marks with which an arm reports its progress to the benchmark."""

import json
import os
import time
from pathlib import Path

import psutil


def mark(name: str, **figures: object) -> None:
    """Report that `name` is reached now, or at the `time` in `figures`, and the memory in use."""
    rss = psutil.Process().memory_info().rss
    line = json.dumps({"mark": name, "time": time.time(), "rss": rss} | figures)
    with Path(os.environ["BENCHMARK_MARKS"]).open("a") as stream:
        stream.write(line + "\n")
