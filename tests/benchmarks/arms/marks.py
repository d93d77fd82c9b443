"""How an arm tells the benchmark how far it is."""

import json
import os
import time
from pathlib import Path

import psutil


def mark(name: str, **figures: object) -> None:
    """Says that `name` is reached now, or at the `time` among the figures; with its memory."""
    rss = psutil.Process().memory_info().rss
    line = json.dumps({"mark": name, "time": time.time(), "rss": rss} | figures)
    with Path(os.environ["BENCHMARK_MARKS"]).open("a") as stream:
        stream.write(line + "\n")
