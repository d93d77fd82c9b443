"""The two halves of a sweep, each from its files to its files."""

import contextlib
import os
import socket
import time

from analysis.records.confirmation import (
    CONFIRMATION_FILE,
    CONFIRMATION_FORMAT,
    Confirmation,
    ConfirmationBegun,
    ConfirmationWriter,
    read_confirmation,
)
from analysis.records.events import (
    FORMAT,
    ConfigChanged,
    SessionEnded,
    SessionStarted,
    SweepCreated,
)
from analysis.records.files import CONFIG_FILE
from analysis.records.ledger import Ledger, LedgerWriter
from analysis.records.seeds import confirmation_seeds
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from data_utils.dataset import split_train_validation
from data_utils.mnist import Mnist
from sweep.cli.screen.confirm_view import ConfirmationView
from sweep.cli.screen.search_view import SearchView
from sweep.config import Confirm, SweepConfig
from sweep.driver.arms import plan_arms
from sweep.driver.confirm import run_confirmation
from sweep.driver.search import missing_trials, run_search
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.errors import ClusterError, StorageError

N_VALIDATION = 10_000


def search(session: Session, config: SweepConfig, *, name: str, mnist: Mnist) -> Ledger:
    """Runs the search of the sweep `name`: a new one, or one that has begun.

    Returns:
        The finished ledger.

    Raises:
        OSError: The storage does not take a record any more.
        Interrupted: A signal came; the ledger has all that was finished.
    """
    folder, slots = session.engine.folder, session.engine.slots()
    train, validation = split_train_validation(mnist.train, N_VALIDATION, config.split_seed)
    with _open_ledger(folder, name, config) as writer:
        if missing_trials(config, writer.ledger) == 0:
            return writer.ledger
        writer.append(SessionStarted(time.time(), socket.gethostname(), os.getpid(), slots))
        try:
            with session.showing(SearchView(writer.ledger)) as on_step:
                run_search(
                    config,
                    session.engine,
                    writer,
                    train=train,
                    validation=validation,
                    on_step=on_step,
                )
        except Interrupted as interrupted:
            writer.append(SessionEnded(time.time(), f"interrupted by {interrupted}"))
            raise
        except (OSError, StorageError, ClusterError) as error:
            with contextlib.suppress(OSError):  # the ledger's disk may be the one that is full
                writer.append(SessionEnded(time.time(), str(error)))
            raise
        writer.append(SessionEnded(time.time(), "finished"))
        return writer.ledger


def _open_ledger(folder: Folder, name: str, config: SweepConfig) -> LedgerWriter:
    """Begins a ledger, or goes on with the one there is; the config's file says the same."""
    plain = config.model_dump(mode="json")
    try:
        writer = LedgerWriter.reopen(folder)
    except FileNotFoundError:
        folder.write(CONFIG_FILE, config.to_yaml().encode())
        return LedgerWriter.create(folder, SweepCreated(time.time(), FORMAT, name, plain))
    if writer.ledger.config != plain:
        folder.write(CONFIG_FILE, config.to_yaml().encode())
        writer.append(ConfigChanged(time.time(), plain))
    return writer


def _set_aside_other_epochs(folder: Folder, epochs: int) -> None:
    """Renames a confirmation from before `epochs` changed: its arms compare with no new ones."""
    found = read_confirmation(folder)
    if found is not None and found.begun.epochs != epochs:
        aside = f"confirm-{found.begun.epochs}-epochs.jsonl"
        folder.write(aside, folder.read(CONFIRMATION_FILE))
        folder.delete(CONFIRMATION_FILE)


def confirm(
    session: Session, config: SweepConfig, ledger: Ledger, *, confirm: Confirm, mnist: Mnist
) -> Confirmation:
    """Confirms a sweep's finalists, of which there is one at least.

    It goes on from what is confirmed already.

    Returns:
        The finished confirmation.

    Raises:
        OSError: The storage does not take a record any more.
        Interrupted: A signal came; all that was finished is recorded.
    """
    finalists = rank_trials(ledger)[: confirm.top_k]
    seeds = confirmation_seeds(config.seed, confirm.seeds)
    _set_aside_other_epochs(session.engine.folder, config.epochs)
    begun = ConfirmationBegun(time.time(), CONFIRMATION_FORMAT, ledger.name, config.epochs)
    with ConfirmationWriter.open(session.engine.folder, begun) as writer:
        arms = plan_arms(config, finalists, writer.confirmation.arms.values())
        for arm in arms:
            if arm.arm not in writer.confirmation.arms:
                writer.append(arm)
        names = [arm.arm for arm in arms]
        view = ConfirmationView(writer.confirmation, names, seeds, session.engine.slots())
        with session.showing(view) as on_step:
            run_confirmation(
                session.engine, writer, arms=names, seeds=seeds, mnist=mnist, on_step=on_step
            )
        return writer.confirmation
