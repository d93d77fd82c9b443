import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.records.files import checkpoint_name
from analysis.storage.folder import Folder, LocalFolder
from sweep.training.assignment import Assignment
from sweep.training.checkpoints import (
    CheckpointError,
    CheckpointWriteError,
    load_checkpoint,
    save_checkpoint,
)
from sweep.training.loop import TrainingRun

ASSIGNMENT = Assignment(
    name="trial-0001",
    seed=3,
    model="mlp",
    epochs=3,
    hyperparameters={
        "dropout": 0.2,
        "rotation": 10.0,
        "shift": 0.05,
        "weight_decay": 1e-3,
        "batch_size": 64,
        "learning_rate": 0.05,
        "schedule": "linear",
        "warmup_epochs": 1.0,
        "momentum": 0.9,
        "nesterov": True,
    },
)
NAME = checkpoint_name(ASSIGNMENT.name)


class _Evil:
    """Something that would run code on being unpickled."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._target,))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the checkpoint of a run that has not begun."""
    folder = LocalFolder(tmp_path)
    save_checkpoint(folder, ASSIGNMENT, _start())
    return folder


def _start() -> TrainingRun:
    hyperparameters = ASSIGNMENT.hyperparameters
    return TrainingRun.start(ASSIGNMENT.model, hyperparameters, seed=ASSIGNMENT.seed)


def _save(folder: Folder, content: Any) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    folder.write(NAME, buffer.getvalue())


def test_checkpoint_comes_back_as_it_was(folder: Folder) -> None:
    state = load_checkpoint(folder, ASSIGNMENT)
    assert state is not None
    run, other = _start(), _start()
    torch.rand(3, generator=other.generator)
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.zero_()
    other.load_state_dict(state)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name])
    assert torch.equal(run.generator.get_state(), other.generator.get_state())


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(LocalFolder(tmp_path), ASSIGNMENT) is None


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x80\x04N.", b"PK\x05\x06" + bytes(18)])
def test_bytes_that_are_no_checkpoint_are_damaged(data: bytes, folder: Folder) -> None:
    folder.write(NAME, data)
    with pytest.raises(CheckpointError, match=rf"^its checkpoint {NAME} is damaged$"):
        load_checkpoint(folder, ASSIGNMENT)


def test_damage_anywhere_is_found_or_does_no_harm(folder: Folder) -> None:
    data, state = folder.read(NAME), load_checkpoint(folder, ASSIGNMENT)
    assert state is not None
    n_found = 0
    # Each of 200 places across the whole file, its headers and directory included.
    for place in np.linspace(0, len(data) - 1, 200).astype(int):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        folder.write(NAME, bytes(damaged))
        try:
            found = load_checkpoint(folder, ASSIGNMENT)
        except CheckpointError:
            n_found += 1
            continue
        assert found is not None
        for name, tensor in state["model"].items():
            assert torch.equal(found["model"][name], tensor)
    assert n_found > 150  # most bytes are weights; the rest may be padding


@pytest.mark.parametrize("content", [None, [], 3, {"format": 1}, {"run": {}}], ids=str)
def test_file_that_holds_something_else_is_refused(content: Any, folder: Folder) -> None:
    _save(folder, content)
    with pytest.raises(CheckpointError, match="is damaged|for another assignment"):
        load_checkpoint(folder, ASSIGNMENT)


def test_code_in_a_checkpoint_is_not_run(folder: Folder, tmp_path: Path) -> None:
    target = tmp_path / "ran"
    _save(folder, {"run": _Evil(target)})
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(folder, ASSIGNMENT)
    assert not target.exists()


def test_storage_that_does_not_take_a_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = LocalFolder(tmp_path / "file")
    with pytest.raises(CheckpointWriteError, match=f"^cannot write {folder}/{NAME}: Not a dir"):
        save_checkpoint(folder, ASSIGNMENT, _start())
