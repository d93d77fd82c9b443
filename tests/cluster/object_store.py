"""An S3 server on a machine of its own."""

import subprocess
import sys
from pathlib import Path

from tests.cluster.machines import Machine, Network

_PORT = 5000
_BUCKET = "sweeps"
_GET = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "AWS sweeper:"})
try:
    print(urllib.request.urlopen(request).read().decode(), end="")
except urllib.error.HTTPError as error:
    if error.code != 404:
        raise
"""


class ObjectStore(Machine):
    """One bucket of Moto's S3. After `stop` it refuses connections.

    Attributes:
        uri: A folder in it.
        credentials: The environment of a machine that may use it.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(network, "store")
        self.credentials = {
            "AWS_ACCESS_KEY_ID": "sweeper",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self.uri = f"s3://{_BUCKET}/team?endpoint_override=http://{self.ip}:{_PORT}"
        server = Path(__file__).with_name("moto_server.py")
        self._server = self.popen(
            [sys.executable, str(server), self.ip, str(_PORT), _BUCKET],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._expect("up\n")

    def read(self, path: str) -> str:
        """Returns a text that it holds; an empty one if there is none."""
        url = f"http://{self.ip}:{_PORT}/{_BUCKET}/team/{path}"
        done = self.run([sys.executable, "-Sc", _GET, url])
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def stop(self) -> None:
        """Has every connection refused."""
        self._tell("stop\n")

    def start(self) -> None:
        """Undoes `stop`; nothing was lost."""
        self._tell("start\n")

    def _tell(self, command: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(command)
        self._server.stdin.flush()
        self._expect("done\n")

    def _expect(self, answer: str) -> None:
        assert self._server.stdout is not None
        if self._server.stdout.readline() != answer:
            raise RuntimeError("the S3 server has died")
