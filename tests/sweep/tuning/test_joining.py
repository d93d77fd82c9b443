import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.errors import ClusterError, UsageError
from sweep.tuning import joining
from sweep.tuning.joining import join_options


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of something that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")


@pytest.mark.parametrize("address", ["head", "ray://head:10001", ":6379", "head:port", "a/b:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"`--address` must be auto or HOST:PORT, but got") as no:
        join_options(address)
    assert ("`ray job submit`" in str(no.value)) == ("://" in address)


def test_address_where_nobody_listens_is_told_in_seconds(listening: str) -> None:
    assert join_options(listening)["address"] == listening
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(ClusterError, match=f"^cannot reach Ray at 127.0.0.1:{free}: connection "):
        join_options(f"127.0.0.1:{free}")
    with pytest.raises(ClusterError, match="^cannot reach Ray at 127.0.0.1:99999: "):
        join_options("127.0.0.1:99999")


def test_cluster_is_not_joined_without_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setattr(joining, "_DEFAULT_TOKEN", tmp_path / "auth_token")
    with pytest.raises(ClusterError, match="^no token for the Ray cluster at auto: set RAY_AUTH_"):
        join_options("auto")
    (tmp_path / "auth_token").write_text("a token")
    join_options("auto")
    (tmp_path / "auth_token").unlink()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
    join_options("auto")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    join_options("auto")
