"""The checkpoint of a training, in the sweep's own storage."""

import io
import zipfile
from dataclasses import asdict
from typing import Any

import torch

from analysis.records.files import checkpoint_name
from analysis.storage.folder import Folder
from sweep.training.assignment import Assignment
from sweep.training.loop import TrainingRun

_FORMAT = 2


class CheckpointError(Exception):
    """There is a checkpoint, but nothing can go on from it; the message says why."""


def save_checkpoint(folder: Folder, assignment: Assignment, run: TrainingRun) -> None:
    """Write or replace the checkpoint of a training.

    Raises:
        StorageError: It cannot be written; the old one, if any, is unchanged.
    """
    content = {"format": _FORMAT, **asdict(assignment), "run": run.state_dict()}
    del content["key"]
    buffer = io.BytesIO()
    torch.save(content, buffer)
    folder.write(checkpoint_name(assignment.name), buffer.getvalue())


def unpack_checkpoint(data: bytes) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU: tensors and plain data, never code.

    Raises:
        Exception: The bytes are damaged, or contain something else. The kinds of exception
            are a dozen, of zipfile, zlib, pickle and torch.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if archive.testzip() is not None:  # `torch.load` does not check the checksums
            raise zipfile.BadZipFile("checksum")
    content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return content


def load_checkpoint(folder: Folder, assignment: Assignment, run: TrainingRun) -> bool:
    """Load the checkpoint of a training into its run; return False if there is none.

    Raises:
        CheckpointError: It is damaged or of another training. The run is to be started anew.
        StorageError: It cannot be read.
    """
    name = checkpoint_name(assignment.name)
    try:
        data = folder.read(name)
    except FileNotFoundError:
        return False
    try:
        content = unpack_checkpoint(data)
        found = tuple(content.get(key) for key in ("format", "name", "seed", "epochs"))
        state = content["run"]
    except Exception as error:
        raise CheckpointError(f"its checkpoint {name} is damaged") from error
    if found != (_FORMAT, assignment.name, assignment.seed, assignment.epochs):
        raise CheckpointError(
            f"its checkpoint {name} was written for another assignment, or by another version"
        )
    try:
        run.load_state_dict(state)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"its checkpoint {name} does not fit: {reason}") from error
    return True
