import pytest

from data_utils.mnist import Mnist, load_mnist


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    """The real data set, from the user's cache; fetched if it is not there."""
    return load_mnist()
