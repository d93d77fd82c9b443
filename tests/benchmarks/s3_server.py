"""An S3 server on this machine."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCRIPT = Path(__file__).parents[1] / "cluster" / "moto_server.py"


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3 server on this machine; yield the URI of a bucket in it."""
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
        try:
            yield f"s3://sweeper:a-secret@sweeps?endpoint_override=http://127.0.0.1:{port}"
        finally:
            process.terminate()
