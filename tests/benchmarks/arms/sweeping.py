"""A search with this project, from Python, with everything that `sweep run` has."""

import tempfile
import time
from pathlib import Path

from analysis.records.events import FORMAT, SweepCreated
from analysis.records.ledger import Ledger, LedgerWriter
from analysis.storage.folder import LocalFolder
from arms.marks import mark
from data_utils.dataset import ImageDataset
from sweep.cli.screen.search_view import SearchView
from sweep.config import SweepConfig
from sweep.driver.search import run_search
from sweep.driver.session import open_session


def search(config: SweepConfig, train: ImageDataset, validation: ImageDataset) -> Ledger:
    """Runs a search, and marks when Ray has started, when the first epoch began, and the end."""
    with tempfile.TemporaryDirectory() as path:
        folder = LocalFolder(Path(path))
        with open_session(
            config.resources, folder, address=None, concurrency=2, advise=str
        ) as ray:
            mark("started")
            created = SweepCreated(time.time(), FORMAT, "bench", config.model_dump(mode="json"))
            with (
                LedgerWriter.create(folder, created) as writer,
                ray.showing(SearchView(writer.ledger)) as on_step,
            ):
                run_search(
                    config, ray.engine, writer, train=train, validation=validation, on_step=on_step
                )
            ledger = writer.ledger
            epochs = [epoch for trial in ledger.trials.values() for epoch in trial.epochs]
            mark("began", time=min(epoch.time - epoch.seconds for epoch in epochs))
            mark("done", epochs=len(epochs), trials=len(ledger.trials))
    return ledger
