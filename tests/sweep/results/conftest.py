from collections.abc import Callable

import pytest

from analysis.storage.folder import Folder
from sweep.training.loop import TrainingRun


@pytest.fixture
def make(
    make_trained_sweep: Callable[..., Folder], tiny_runs: list[TrainingRun]
) -> Callable[..., Folder]:
    """Write a sweep whose trial is the first of the tiny runs.

    Takes the numbers of the runs that confirm it; None is a failed run.
    """

    def write(*confirmed: int | None) -> Folder:
        runs = [None if number is None else tiny_runs[number] for number in confirmed]
        return make_trained_sweep(tiny_runs[0], *runs)

    return write
