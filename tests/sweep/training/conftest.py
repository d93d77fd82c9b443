import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Computes with one thread, as workers do: several wait for each other on a busy machine."""
    torch.set_num_threads(1)
