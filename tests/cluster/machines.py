"""Machines made of namespaces: processes, network, host name and files of their own."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil

_NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")
_STASH = "/media"  # the real file system lies here, under a cover
_PASSED_ON = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME")


def missing() -> str | None:
    """Says what this machine lacks to hold others, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for command in ("unshare", "nsenter", "ip"):
        if shutil.which(command) is None:
            return f"needs the command `{command}`"
    probe = ["unshare", *_NAMESPACES, "--fork", "ip", "link", "add", "bridge", "type", "bridge"]
    done = subprocess.run(probe, capture_output=True, text=True)
    return f"needs namespaces: {done.stderr.strip()}" if done.returncode else None


class Process(subprocess.Popen[str]):
    """A process in namespaces. Signals go to it, not to the `nsenter` that waits for it."""

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            for child in psutil.Process(self.pid).children():
                child.send_signal(number)


class Namespaces:
    """A tree of processes that ends with a `with` block, if not before.

    The first of them reads from a pipe of ours, and the others end with it, so that all end
    with this process, however that ends. Interfaces and mounts go with the last process.

    Attributes:
        pid: The first process, as seen from outside.
        environment: What every process in it gets.
    """

    def __init__(self, name: str, mounts: str = "") -> None:
        self.name = name
        self.environment = {k: os.environ[k] for k in _PASSED_ON if k in os.environ}
        # A process that ignores SIGCHLD leaves no zombies of the orphans that it is given.
        lines = [mounts, _names(name), "ip link set lo up", "echo up"]
        script = "\n".join([*lines, "exec env --ignore-signal=CHLD cat"])
        unshare = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc"]
        self._processes = ExitStack()
        self._init = self._processes.enter_context(
            subprocess.Popen(
                [*unshare, "sh", "-ec", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        )
        assert self._init.stdout is not None
        if self._init.stdout.readline() != b"up\n":
            raise RuntimeError(f"{name} did not come up: {self._init.communicate()[1]!r}")
        [first] = psutil.Process(self._init.pid).children()
        self.pid = first.pid

    def popen(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stderr: int = subprocess.PIPE,
    ) -> Process:
        """Starts a command in the home folder, with `env` beside the machine's environment."""
        environment = {**self.environment, **(env or {})}
        enter = ["nsenter", "--target", str(self.pid), *_NAMESPACES]
        return self._processes.enter_context(
            Process(
                [*enter, "env", f"--chdir={environment['HOME']}", *command],
                env=environment,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        )

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; kills it, and raises TimeoutExpired, after `timeout` s."""
        return finish(self.popen(command, env=env), timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """Kills every process; returns when there is none."""
        if self._init.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self._processes.close()


def finish(process: Process, timeout: float) -> subprocess.CompletedProcess[str]:
    """Waits for the end of a process.

    Raises:
        TimeoutExpired: It has not ended after `timeout` seconds, and was killed, with all that
            it had started.
    """
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        for descendant in psutil.Process(process.pid).children(recursive=True):
            descendant.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


class Network(Namespaces):
    """A switch. Nothing leads out of it: what is sent to other addresses is dropped."""

    def __init__(self) -> None:
        super().__init__("switch")
        self._ports: dict[Namespaces, str] = {}
        self._ip(self, "link add bridge type bridge")
        self._ip(self, "address add 10.77.0.1/24 dev bridge")
        self._ip(self, "link set bridge up")

    def connect(self, machine: Namespaces) -> str:
        """Gives a new machine a cable to the switch; returns its address."""
        port = self._ports[machine] = f"port{len(self._ports)}"
        address = f"10.77.0.{1 + len(self._ports)}"
        self._ip(
            self, f"link add {port} type veth peer name eth0 netns /proc/{machine.pid}/ns/net"
        )
        self._ip(self, f"link set {port} master bridge up")
        self._ip(machine, f"address add {address}/24 dev eth0")
        self._ip(machine, "link set eth0 up")
        self._ip(machine, "route add default via 10.77.0.1")
        return address

    def unplug(self, machine: Namespaces) -> None:
        """Takes a machine off the switch; nobody on the network is told."""
        self._ip(self, f"link set {self._ports[machine]} nomaster")

    @staticmethod
    def _ip(where: Namespaces, arguments: str) -> None:
        # Only the network is entered: the paths of namespaces are those of this process.
        enter = ["nsenter", "--target", str(where.pid), "--net"]
        subprocess.run([*enter, "ip", *arguments.split()], check=True)


class Machine(Namespaces):
    """A computer on a network.

    Attributes:
        ip: Its address.
    """

    def __init__(self, network: Network, name: str, mounts: str = "") -> None:
        super().__init__(name, mounts)
        self._network = network
        self.ip = network.connect(self)

    def cut_off(self) -> None:
        """Ends the machine as a power failure does: no connection is closed."""
        self._network.unplug(self)
        self.end()


def _names(name: str) -> str:
    """Shell commands for a host name, which resolves, and no name server to wait for."""
    return f"""
hostname {name}
mount -t tmpfs memory /dev/shm
echo 127.0.0.1 localhost {name} > /dev/shm/hosts
mount --bind /dev/shm/hosts /etc/hosts
mount --bind /dev/null /etc/resolv.conf"""


def private_files(hidden: Collection[Path], kept: Collection[Path]) -> str:
    """Shell commands that make folders empty and writable, but for the folders kept in them.

    All must exist. `revealed` brings the real ones back, for one process.
    """
    lines = [
        f"mount -t tmpfs stash {_STASH}",
        f"mkdir {_STASH}/real",
        f"mount --rbind / {_STASH}/real",
    ]
    # Sorted, what lies in a folder comes after it.
    lines += [_bind(path) if path in kept else _empty(path) for path in sorted({*hidden, *kept})]
    return "\n".join([*lines, f"mount -t tmpfs cover {_STASH}"])


def revealed(folders: Collection[Path], command: Sequence[str]) -> list[str]:
    """Returns a command that runs `command` with the real `folders`, which nobody else sees."""
    lines = [f"umount {_STASH}", *map(_bind, sorted(folders)), 'exec "$@"']
    return ["unshare", "--mount", "sh", "-ec", "\n".join(lines), "sh", *command]


def _empty(path: Path) -> str:
    return f"mkdir -p {_quoted(path)}; mount -t tmpfs hidden {_quoted(path)}"


def _bind(path: Path) -> str:
    return f"mkdir -p {_quoted(path)}; mount --rbind {_STASH}/real{_quoted(path)} {_quoted(path)}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
