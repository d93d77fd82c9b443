"""A search: trials through Ray Tune until the ledger holds as many as were asked for."""

from collections.abc import Callable
from pathlib import Path

from ray import tune

from analysis.folder import Folder
from analysis.ledger import LedgerWriter
from data_utils.dataset import ImageDataset
from sweep.config import SweepConfig
from sweep.recorder import Recorder
from sweep.scheduler import build_scheduler
from sweep.searcher import StudySearcher
from sweep.trainable import TrialSettings, TrialTrainable

_RETRIES = 2


def run_search(
    config: SweepConfig,
    *,
    folder: Folder,
    writer: LedgerWriter,
    train: ImageDataset,
    validation: ImageDataset,
    slots: int,
    scratch: Path,
    on_step: Callable[[], None],
) -> None:
    """Runs the trials of a sweep; Ray must be running.

    Args:
        config: The sweep's.
        folder: The sweep's; checkpoints go there.
        writer: Of the sweep's ledger, which gets every event as it happens.
        train: Images the trials learn from.
        validation: Images they are measured on.
        slots: Trials at a time.
        scratch: Where Tune keeps its own files, of which nothing is needed later.
        on_step: Called several times a second; an exception in it ends the search.

    Raises:
        OSError: The storage does not take a record or a checkpoint any more.
    """
    trainable = tune.with_resources(
        tune.with_parameters(
            TrialTrainable,
            train=train,
            validation=validation,
            settings=TrialSettings(
                device="cuda" if config.resources.gpu else "cpu",
                threads=max(1, int(config.resources.cpu)),
                folder=folder,
            ),
        ),
        {"cpu": config.resources.cpu, "gpu": config.resources.gpu},
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            num_samples=config.trials,
            search_alg=StudySearcher(config),
            scheduler=build_scheduler(config),
            max_concurrent_trials=slots,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=str(scratch / "tune"),
            callbacks=[Recorder(config, folder, writer, on_step)],
            # The trainable writes its own, where a retry on any node finds them.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=_RETRIES),
            verbose=0,
        ),
    )
    tuner.fit()
