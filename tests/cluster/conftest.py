from collections.abc import Iterator

import pytest

from data_utils.dataset import TrainTest
from tests.cluster.machines import Network, missing
from tests.cluster.nodes import Cluster
from tests.cluster.object_store import ObjectStore


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    if reason := missing():
        pytest.skip(reason)
    with Network() as network:
        yield network


@pytest.fixture(scope="session")
def store(network: Network) -> Iterator[ObjectStore]:
    """An S3 server that every node may use; who stops it starts it again."""
    with ObjectStore(network) as store:
        yield store


@pytest.fixture(scope="module")
def cluster(network: Network, store: ObjectStore, mnist: TrainTest) -> Iterator[Cluster]:
    """Ray on `head` and `worker-1`."""
    with Cluster(network, store.credentials) as cluster:
        for name in ("head", "worker-1"):
            cluster.add_node(name)
        yield cluster
