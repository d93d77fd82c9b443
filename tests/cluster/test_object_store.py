import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster.machines import Machine, Network
from tests.cluster.object_store import ObjectStore

pytestmark = pytest.mark.cluster

_WRITE_TWICE = """
import sys
from pyarrow.fs import FileSystem

store, folder = FileSystem.from_uri(sys.argv[1])
for text in (b"first", b"second"):
    with store.open_output_stream(f"{folder}/sub/file") as file:
        file.write(text)
"""
_READ_AND_DELETE = """
import sys
from pyarrow.fs import FileSelector, FileSystem

store, folder = FileSystem.from_uri(sys.argv[1])
with store.open_input_stream(f"{folder}/sub/file") as file:
    print(file.read().decode())
print(*(info.base_name for info in store.get_file_info(FileSelector(f"{folder}/sub"))))
store.delete_file(f"{folder}/sub/file")
print(store.get_file_info(f"{folder}/sub/file").type.name)
"""


@pytest.fixture
def machine(network: Network, store: ObjectStore) -> Iterator[Machine]:
    with Machine(network, "user") as machine:
        machine.environment.update(store.credentials)
        yield machine


def _python(machine: Machine, script: str, uri: str) -> subprocess.CompletedProcess[str]:
    return machine.run([sys.executable, "-c", script, uri], timeout=60)


def test_store_replaces_reads_lists_and_deletes(machine: Machine, store: ObjectStore) -> None:
    assert _python(machine, _WRITE_TWICE, store.uri).returncode == 0
    assert _python(machine, _READ_AND_DELETE, store.uri).stdout == "second\nfile\nNotFound\n"


def test_stopped_store_refuses_and_has_lost_nothing(machine: Machine, store: ObjectStore) -> None:
    assert _python(machine, _WRITE_TWICE, store.uri).returncode == 0
    store.stop()
    try:
        refused = _python(machine, _READ_AND_DELETE, store.uri)
    finally:
        store.start()
    assert refused.returncode == 1
    assert "Could not connect to server" in refused.stderr
    assert _python(machine, _READ_AND_DELETE, store.uri).stdout == "second\nfile\nNotFound\n"
