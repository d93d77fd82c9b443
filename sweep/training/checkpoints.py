"""The checkpoint of a training, in the sweep's own storage."""

import io
import zipfile
from typing import Any

import torch

from analysis.errors import describe_cause
from analysis.hyperparameters import complete
from analysis.records.files import checkpoint_name
from analysis.storage.folder import Folder
from sweep.training.assignment import Assignment
from sweep.training.loop import TrainingRun

_FORMAT = 2


class CheckpointError(Exception):
    """There is a checkpoint, but nothing can go on from it; the message says why."""


class CheckpointWriteError(Exception):
    """The storage does not take a checkpoint; the message says why."""


def save_checkpoint(folder: Folder, assignment: Assignment, run: TrainingRun) -> None:
    """Writes or replaces a training's checkpoint, whole or not at all.

    Raises:
        CheckpointWriteError: The storage does not take it.
    """
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, **assignment.to_dict(), "run": run.state_dict()}, buffer)
    name = checkpoint_name(assignment.name)
    try:
        folder.write(name, buffer.getvalue())
    except OSError as error:
        raise CheckpointWriteError(
            f"cannot write {folder.display_path(name)}: {describe_cause(error)}"
        ) from error


def unpack_checkpoint(data: bytes) -> dict[str, Any]:
    """Returns what a checkpoint holds, on the CPU: tensors and plain data, and nothing run.

    Raises:
        Exception: The bytes are damaged, or hold anything else; zipfile, zlib, pickle and
            torch have a dozen kinds of error between them for that.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if archive.testzip() is not None:  # `torch.load` does not look at the checksums
            raise zipfile.BadZipFile("checksum")
    content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return content


def load_checkpoint(folder: Folder, assignment: Assignment) -> dict[str, Any] | None:
    """Returns the state for `TrainingRun.load_state_dict`; None if there is no checkpoint.

    Nothing but tensors and plain data is ever unpickled.

    Raises:
        CheckpointError: It is damaged, or not of this assignment and version.
    """
    name = checkpoint_name(assignment.name)
    try:
        data = folder.read(name)
    except FileNotFoundError:
        return None
    try:
        content = unpack_checkpoint(data)
        state: dict[str, Any] = content.pop("run")
        content["hyperparameters"] = complete(content["hyperparameters"])
    except Exception as error:
        raise CheckpointError(f"its checkpoint {name} is damaged") from error
    expected = {**assignment.to_dict(), "hyperparameters": complete(assignment.hyperparameters)}
    if content != {"format": _FORMAT, **expected}:
        raise CheckpointError(
            f"its checkpoint {name} was written for another assignment, or by another version"
        )
    return state
