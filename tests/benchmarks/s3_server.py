"""An S3 server on this machine."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).parents[1] / "cluster" / "moto_server.py"


@dataclass(frozen=True)
class Server:
    """An S3 server in a process of its own.

    Attributes:
        uri: A bucket in it.
    """

    uri: str
    process: "subprocess.Popen[bytes]"

    def tell(self, command: str) -> None:
        """Let it `stop` and `start` again, or `forbid` and `allow` requests."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"done\n"


@contextmanager
def run_server() -> Iterator[Server]:
    """Run an S3 server on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with subprocess.Popen(
        [sys.executable, _SCRIPT, "127.0.0.1", port, "sweeps"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        endpoint = f"http://127.0.0.1:{port}"
        try:
            yield Server(f"s3://sweeper:a-secret@sweeps?endpoint_override={endpoint}", process)
        finally:
            process.terminate()


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3 server on this machine; yield the URI of a bucket in it."""
    with run_server() as server:
        yield server.uri
