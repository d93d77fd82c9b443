"""From a config to a finished search: the assembly that `sweep run` is."""

import json
import os
import re
import socket
import time

from analysis.files import CONFIG_FILE, ENVIRONMENT_FILE
from analysis.folder import Folder
from analysis.ledger import Ledger, LedgerWriter
from analysis.records import FORMAT, SessionEnded, SessionStarted, SweepCreated
from analysis.sweeps import open_sweep
from data_utils.dataset import split_train_validation
from data_utils.mnist import Mnist
from sweep.config import SweepConfig
from sweep.display import open_display
from sweep.environment import describe_environment, n_processors
from sweep.errors import StorageError, UsageError
from sweep.interruption import Interrupted, Interruption
from sweep.ray_session import ray_session, terminal

N_VALIDATION = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> None:
    """Accepts what is a folder's name everywhere.

    Raises:
        UsageError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "a sweep's name must be 1 to 100 letters, digits, `.`, `_` or `-`, beginning with a "
            f"letter or a digit, but got {name[:120]!r}"
        )


def prepare_folder(storage: Folder, name: str) -> Folder:
    """Returns the folder of a new sweep, tried out by writing to it.

    Raises:
        UsageError: There is such a sweep already.
        StorageError: The storage cannot be written.
    """
    folder = storage.child(name)
    try:
        open_sweep(storage, name)
    except FileNotFoundError:
        pass
    else:
        raise UsageError(f"there is a sweep {name!r} in {storage} already; choose another --name")
    try:
        folder.write(CONFIG_FILE, b"")
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror}; choose another folder with --storage"
        ) from error
    return folder


def count_slots(config: SweepConfig, concurrency: int | None) -> int:
    """Returns how many trials run at a time on this machine.

    Raises:
        UsageError: The machine does not have the resources.
    """
    available = n_processors()
    slots = int(available / config.resources.cpu)
    if slots == 0:
        raise UsageError(
            f"`resources.cpu` is {config.resources.cpu:g}, but this machine has {available}"
        )
    if config.resources.gpu:
        slots = min(slots, int(_count_gpus() / config.resources.gpu))
        if slots == 0:
            raise UsageError(
                f"`resources.gpu` is {config.resources.gpu:g}, but this machine has "
                f"{_count_gpus()} usable with CUDA; set `resources.gpu` to 0 to train on processors"
            )
    if concurrency is not None and concurrency > slots:
        raise UsageError(f"`--concurrency` must be at most {slots} here, but got {concurrency}")
    return concurrency or slots


def launch_search(
    config: SweepConfig, *, folder: Folder, name: str, mnist: Mnist, slots: int
) -> Ledger:
    """Runs a new sweep's search from beginning to end.

    Returns:
        The finished ledger.

    Raises:
        ClusterError: Ray cannot be started.
        OSError: The storage does not take a record any more.
        Interrupted: A signal came; the ledger has all that was finished.
    """
    train, validation = split_train_validation(mnist.train, N_VALIDATION, config.split_seed)
    folder.write(CONFIG_FILE, config.to_yaml().encode())
    folder.write(ENVIRONMENT_FILE, json.dumps(describe_environment(), indent=2).encode())
    screen = terminal()
    print("starting Ray …", file=screen, flush=True)
    with (
        ray_session(address=None, n_cpus=n_processors()) as scratch,
        Interruption() as interruption,
        LedgerWriter.create(
            folder, SweepCreated(time.time(), FORMAT, name, config.model_dump(mode="json"))
        ) as writer,
    ):
        from sweep.search import run_search

        writer.append(SessionStarted(time.time(), socket.gethostname(), os.getpid(), slots))
        with open_display(writer.ledger, screen) as display:

            def on_step() -> None:
                interruption.check()
                display.update()

            try:
                run_search(
                    config,
                    folder=folder,
                    writer=writer,
                    train=train,
                    validation=validation,
                    slots=slots,
                    scratch=scratch,
                    on_step=on_step,
                )
            except Interrupted as interrupted:
                writer.append(SessionEnded(time.time(), f"interrupted by {interrupted}"))
                raise
            writer.append(SessionEnded(time.time(), "finished"))
        return writer.ledger


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
