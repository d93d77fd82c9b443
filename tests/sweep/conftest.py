import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from analysis.folder import Folder
from analysis.ledger import Ledger
from data_utils.mnist import Mnist


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The generator of synthetic sweeps, which lies in no package."""
    if "synthetic" not in sys.modules:
        path = Path(__file__).parents[1] / "synthetic.py"
        spec = importlib.util.spec_from_file_location("synthetic", path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["synthetic"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["synthetic"])
    return sys.modules["synthetic"]


@pytest.fixture
def make_sweep(tmp_path: Path, synthetic: ModuleType) -> Callable[..., tuple[Folder, Ledger]]:
    """Writes a sweep that never ran below `tmp_path`; takes what `synthetic.Search` takes."""

    def make(**search: object) -> tuple[Folder, Ledger]:
        made = synthetic.Search(**search)
        folder = Folder(tmp_path / made.name)
        return folder, synthetic.write_search(folder, made)

    return make


@pytest.fixture(scope="session")
def tiny(mnist: Mnist) -> Mnist:
    """The first 512 training and 256 test images, for trainings of a few milliseconds."""
    import torch

    torch.set_num_threads(1)
    return Mnist(mnist.train.take(range(512)), mnist.test.take(range(256)))


@pytest.fixture(scope="session")
def ray_scratch() -> Iterator[Path]:
    """Ray, running on this machine for all tests that need it; its scratch folder."""
    from sweep.tuning.ray_session import ray_session

    with ray_session(address=None, n_cpus=2) as scratch:
        yield scratch


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """This process's environment without what Ray, Tune and the sweep would read in it."""
    prefixes = ("RAY_", "TUNE_", "SWEEP_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
