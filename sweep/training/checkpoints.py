"""The checkpoint of a training, in the sweep's own storage."""

import contextlib
import errno
import io
import zipfile
from dataclasses import asdict
from typing import Any

import torch

from analysis.errors import StorageError
from analysis.records.files import checkpoint_name
from analysis.storage.folder import ChangedError, Folder
from sweep.training.assignment import Assignment
from sweep.training.loop import TrainingRun

_FORMAT = 2


class CheckpointError(Exception):
    """The checkpoint cannot be used; the message says why."""


class Checkpoint:
    """The checkpoint of a training, as one worker reads and writes it.

    In an object store a worker never replaces what the worker of a later driver has written; what
    another worker of its own driver has written, only if it has fewer epochs. So a worker that was
    suspended does not overwrite later epochs.
    """

    def __init__(self, folder: Folder, assignment: Assignment) -> None:
        self._folder, self._assignment = folder, assignment
        self._name = checkpoint_name(assignment.name)
        self._path = folder.display_path(self._name)
        self._version: Any = None

    def save(self, run: TrainingRun) -> None:
        """Write or replace it.

        Raises:
            StorageError: It cannot be written, or another process has ended the training or
                taken it over. The old one, if any, is unchanged.
        """
        buffer = io.BytesIO()
        number = self._folder.lock_number
        content = {"format": _FORMAT, "lock_number": number, **asdict(self._assignment)}
        content["run"] = run.state_dict()
        del content["key"]
        torch.save(content, buffer)
        version = self._version
        while True:
            try:
                self._version = self._folder.replace(self._name, buffer.getvalue(), version)
                return
            except ChangedError:
                data, version = self._read()
                with contextlib.suppress(CheckpointError):
                    state, writer_number = self._unpack(data)
                    if writer_number == number and len(state["history"]) >= len(run.history):
                        return

    def load(self, run: TrainingRun) -> bool:
        """Load it into a run; return False if there is none.

        Raises:
            CheckpointError: It is damaged or from another training. Start with a new run.
            StorageError: It cannot be read, or another process has taken the training over.
        """
        try:
            data, self._version = self._folder.read_version(self._name)
        except FileNotFoundError:
            return False
        try:
            run.load_state_dict(self._unpack(data)[0])
        except (CheckpointError, StorageError):
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise CheckpointError(
                f"its checkpoint {self._name} does not match: {reason}"
            ) from error
        return True

    def _read(self) -> tuple[bytes, Any]:
        try:
            return self._folder.read_version(self._name)
        except FileNotFoundError as error:
            reason = "another process has ended this training"
            raise StorageError(errno.ENOENT, reason, self._path) from error

    def _unpack(self, data: bytes) -> tuple[dict[str, Any], int]:
        """Return the state of the run, and the number of the lock that it was written under."""
        try:
            content = unpack_checkpoint(data)
            found = tuple(content.get(key) for key in ("format", "name", "seed", "epochs"))
            number: int = content.get("lock_number", 0)
            state: dict[str, Any] = content["run"]
        except Exception as error:
            raise CheckpointError(f"its checkpoint {self._name} is damaged") from error
        if 0 < self._folder.lock_number < number:
            reason = "another process has taken this training over"
            raise StorageError(errno.EBUSY, reason, self._path)
        own = self._assignment
        if found != (_FORMAT, own.name, own.seed, own.epochs):
            raise CheckpointError(
                f"its checkpoint {self._name} was written for another assignment, or by another "
                "version"
            )
        return state, number


def unpack_checkpoint(data: bytes) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU: tensors and plain data, never code.

    Damaged bytes raise a dozen kinds of exception, of zipfile, zlib, pickle and torch.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if archive.testzip() is not None:  # `torch.load` does not check the checksums
            raise zipfile.BadZipFile("checksum")
    content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return content
