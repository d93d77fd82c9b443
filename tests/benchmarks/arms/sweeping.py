"""A search with this project, from Python, with everything that `sweep run` has."""

import tempfile
from pathlib import Path

from analysis.records.ledger import EpochRecord, Ledger
from analysis.storage.folder import LocalFolder
from arms.marks import mark
from data_utils.dataset import ImageDataset, TrainTest
from sweep.cli.screen.display import TerminalScreen
from sweep.config import SweepConfig
from sweep.driver.search import run_search
from sweep.driver.session import open_session


def search(config: SweepConfig, images: ImageDataset) -> Ledger:
    """Run a search, a sixth of `images` for validation.

    It marks when Ray has started, when the first epoch began, and the end.
    """
    with tempfile.TemporaryDirectory() as path:
        folder = LocalFolder(Path(path))
        with open_session(
            config.resources,
            folder,
            address=None,
            concurrency=2,
            advise=str,
            make_screen=TerminalScreen,
        ) as session:
            mark("started")
            ledger = run_search(session, config, name="bench", data=TrainTest(images, images))
            epochs = [record for record in ledger.records if isinstance(record, EpochRecord)]
            mark("began", time=min(epoch.time - epoch.seconds for epoch in epochs))
            mark("done", epochs=len(epochs), trials=len(ledger.trials))
    return ledger
