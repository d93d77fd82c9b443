"""A driver's session: Ray running, signals caught, something to show on the terminal."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from analysis.storage.folder import Folder
from analysis.storage.lock import hold
from sweep.cli.screen import formatting
from sweep.cli.screen.display import View, open_display
from sweep.config import Resources
from sweep.driver.signals import Interruption
from sweep.environment import n_processors
from sweep.errors import ClusterError, UsageError
from sweep.tuning.engine import Engine
from sweep.tuning.nodes import Slots
from sweep.tuning.preflight import examine_cluster
from sweep.tuning.ray_session import ray_session, terminal
from sweep.tuning.watchdog import watchdog

_PATIENCE_S = 15 * 60.0  # with a cluster that has lost its last node


@dataclass(frozen=True)
class Session:
    """What a search or a confirmation runs in."""

    engine: Engine
    _watch: Callable[[], str | None]
    _screen: TextIO

    @contextlib.contextmanager
    def showing(self, view: View) -> Iterator[Callable[[], None]]:
        """Shows `view` for the time of a `with` block.

        Yields:
            What is to be called often: it shows what is new, and raises Interrupted if a
            signal has come, ClusterError if no node is left, StorageError if another driver
            has taken the sweep over.
        """
        with open_display(view, self._screen) as display:

            def on_step() -> None:
                news = self._watch()
                if news is not None:
                    display.say(news)
                display.update()

            yield on_step


@contextlib.contextmanager
def open_session(
    resources: Resources,
    folder: Folder,
    *,
    address: str | None,
    concurrency: int | None,
    advise: Callable[[], str],
) -> Iterator[Session]:
    """Starts Ray on this machine for the sweep in `folder`, or connects to the one at `address`.

    Args:
        resources: Of one training.
        folder: The sweep's.
        address: `auto` or HOST:PORT of a cluster that this machine is a node of.
        concurrency: Trainings at a time; by default as many as the nodes have room for.
        advise: Returns what the user is to do where Ray dies, which ends the process.

    Raises:
        StorageError: Another process is at work on the sweep.
        ClusterError: Ray cannot be started or reached, or the cluster is not fit for a sweep.
    """

    def leave(death: str) -> None:
        interruption.leave(ClusterError.exit_code, f"error: {death}\n{advise()}\n")

    with (
        hold(folder) as check_lock,
        terminal() as screen,
        Interruption(screen) as interruption,
        ray_session(address=address, n_cpus=n_processors()) as scratch,
        watchdog(scratch, leave),
    ):
        interruption.check()  # a signal may have come while Ray started
        if address is not None:
            for finding in examine_cluster(resources, folder, may_grow=concurrency is not None):
                interruption.check()
                if finding.is_problem:
                    raise ClusterError(f"{finding.check}: {finding.text}")
        slots = Slots(
            resources, concurrency=concurrency, patience_s=_PATIENCE_S if address else 0.0
        )
        if address is not None:
            print(f"{formatting.count(slots.count, 'trial')} at a time", file=screen, flush=True)
        engine = Engine(resources, lambda: slots.count, folder, scratch)

        def watch() -> str | None:
            interruption.check()
            check_lock()
            return slots.follow()

        yield Session(engine, watch, screen)


def describe_start(resources: Resources, *, address: str | None, concurrency: int | None) -> str:
    """Returns what `open_session` is about to do, in a few words.

    Raises:
        UsageError: This machine, where it is to do the work, does not have the resources.
    """
    if address is not None:
        return f"joining Ray at {address}"
    return f"{count_slots(resources, concurrency)} at a time; starting Ray"


def count_slots(resources: Resources, concurrency: int | None) -> int:
    """Returns how many trainings run at a time on this machine.

    Raises:
        UsageError: The machine does not have the resources.
    """
    available = n_processors()
    slots = int(available / resources.cpu)
    if slots == 0:
        raise UsageError(f"`resources.cpu` is {resources.cpu:g}, but this machine has {available}")
    if resources.gpu:
        n_gpus = _count_gpus()
        slots = min(slots, int(n_gpus / resources.gpu))
        if slots == 0:
            raise UsageError(
                f"`resources.gpu` is {resources.gpu:g}, but this machine has {n_gpus} usable with "
                "CUDA; set `resources.gpu` to 0 to train on processors"
            )
    if concurrency is not None and concurrency > slots:
        raise UsageError(f"`--concurrency` must be at most {slots} here, but got {concurrency}")
    return concurrency or slots


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
