"""A driver's session: Ray running, signals caught, something to show on the terminal."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from analysis.folder import Folder
from sweep.config import Resources
from sweep.environment import n_processors
from sweep.errors import UsageError
from sweep.interruption import Interruption
from sweep.lock import hold
from sweep.screen.display import View, open_display
from sweep.tuning.engine import Engine
from sweep.tuning.ray_session import ray_session, terminal


@dataclass(frozen=True)
class Session:
    """What a search or a confirmation runs in."""

    engine: Engine
    _interruption: Interruption
    _screen: TextIO

    @contextlib.contextmanager
    def showing(self, view: View) -> Iterator[Callable[[], None]]:
        """Shows `view` for the time of a `with` block.

        Yields:
            What is to be called often: it shows what is new, and raises Interrupted if a
            signal has come.
        """
        with open_display(view, self._screen) as display:

            def on_step() -> None:
                self._interruption.check()
                display.update()

            yield on_step


@contextlib.contextmanager
def open_session(resources: Resources, folder: Folder, slots: int) -> Iterator[Session]:
    """Starts Ray for the sweep in `folder`, `slots` trainings at a time.

    Raises:
        StorageError: Another process is at work on the sweep.
        ClusterError: Ray cannot be started.
    """
    with (
        hold(folder),
        terminal() as screen,
        Interruption(screen) as interruption,
        ray_session(address=None, n_cpus=n_processors()) as scratch,
    ):
        yield Session(Engine(resources, slots, folder, scratch), interruption, screen)


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
