import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes share the cores

import sweep.tuning  # noqa: F401  # makes the settings that Ray reads when it is imported
from data_utils.dataset import TrainTest
from data_utils.mnist import load_mnist


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The generator of synthetic sweeps."""
    import synthetic

    return synthetic


@pytest.fixture(scope="session")
def mnist() -> TrainTest:
    """The real data set, from the user's cache; fetched if it is not there."""
    return load_mnist()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URI of a bucket on an S3 server on this machine, as pyarrow reads it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    server = Path(__file__).parent / "cluster" / "moto_server.py"
    with subprocess.Popen(
        [sys.executable, str(server), "127.0.0.1", port, "sweeps"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield f"s3://sweeper:a-secret@sweeps?endpoint_override=http://127.0.0.1:{port}"
        process.terminate()
