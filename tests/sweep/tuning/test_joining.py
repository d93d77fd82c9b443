import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray._private import services

from sweep.errors import ClusterError, UsageError
from sweep.tuning import joining
from sweep.tuning.joining import join_options


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of a server that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")


@pytest.mark.parametrize("address", ["head", "ray://head:10001", ":6379", "head:port", "a/b:1"])
def test_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"`--address` must be auto or HOST:PORT, but got") as no:
        join_options(address)
    assert ("`ray job submit`" in str(no.value)) == ("://" in address)


def test_closed_port_is_reported_in_seconds(closed: str) -> None:
    with pytest.raises(ClusterError, match=f"^cannot reach Ray at {closed}: connection refused"):
        join_options(closed)
    with pytest.raises(ClusterError, match="^cannot reach Ray at 127.0.0.1:99999: "):
        join_options("127.0.0.1:99999")


def test_auto_is_the_cluster_of_this_machine(
    listening: str, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [listening, closed]

    def find(address: str) -> str:
        if not found:
            raise ConnectionError
        return found.pop(0)

    monkeypatch.setattr(services, "canonicalize_bootstrap_address_or_die", find)
    assert join_options("auto")["address"] == "auto"
    with pytest.raises(ClusterError, match=f"cannot reach Ray at {closed}: connection refused"):
        join_options("auto")
    with pytest.raises(ClusterError, match="^Ray is not running on this machine: start it with"):
        join_options("auto")


def test_joining_a_cluster_requires_a_token(
    listening: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setattr(joining, "_DEFAULT_TOKEN", tmp_path / "auth_token")
    with pytest.raises(ClusterError, match="^no token for the Ray cluster at 127"):
        join_options(listening)
    (tmp_path / "auth_token").write_text("a token")
    join_options(listening)
    (tmp_path / "auth_token").unlink()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
    join_options(listening)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    join_options(listening)
