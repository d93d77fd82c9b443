"""Python imports this first, in a driver and in Ray's processes: they record their steps."""

import os
import sys
from pathlib import Path

from tests.crash.recorder import SharedLog, recording

_log = SharedLog(
    Path(os.environ["CRASH_LOG"]), "ledger.jsonl", int(os.environ.get("CRASH_KILL", "0"))
)
_recording = recording(Path(os.environ["CRASH_ROOT"]), _log)
_recording.__enter__()

if "sweep" in sys.orig_argv:  # the driver; it sends its images to the workers
    import data_utils.mnist as mnist
    from data_utils.dataset import TrainTest

    _load = mnist.load_mnist

    def _load_few(*folder: object, **options: object) -> TrainTest:
        data = _load(*folder, **options)
        return TrainTest(data.train.take(range(2000)), data.test.take(range(300)))

    mnist.load_mnist = _load_few
