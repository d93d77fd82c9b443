import io
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch

from analysis.errors import StorageError
from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from store_model import ModelFolder, Objects
from sweep.training.assignment import Assignment
from sweep.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    unpack_checkpoint,
)
from sweep.training.loop import TrainingRun

ASSIGNMENT = Assignment(
    name="trial-0001", seed=3, model="mlp", epochs=3, hyperparameters={"dropout": 0.2}
)
NAME = checkpoint_name(ASSIGNMENT.name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the checkpoint of a run."""
    folder = LocalFolder(tmp_path)
    Checkpoint(folder, ASSIGNMENT).save(_start())
    return folder


def _start() -> TrainingRun:
    run = TrainingRun(ASSIGNMENT.model, ASSIGNMENT.hyperparameters, seed=ASSIGNMENT.seed)
    run.history.append(Epoch(1, 0.3, 0.8, 0.2, 0.9, 1.0, 1e4))
    return run


def _start_other() -> TrainingRun:
    """A run of the same assignment with other weights and numbers."""
    return TrainingRun(ASSIGNMENT.model, ASSIGNMENT.hyperparameters, seed=99)


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _require_equal(run: TrainingRun, other: TrainingRun) -> None:
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name])
    assert torch.equal(run.generator.get_state(), other.generator.get_state())
    assert run.history == other.history


def test_checkpoint_is_loaded_as_it_was_saved_also_before_a_hyperparameter_existed(folder):
    content = unpack_checkpoint(folder.read(NAME))
    del content["run"]["hyperparameters"]["nesterov"]
    for data in (folder.read(NAME), _saved(content)):
        folder.write(NAME, data)
        other = _start_other()
        assert Checkpoint(folder, ASSIGNMENT).load(other)
        _require_equal(_start(), other)
    folder.delete(NAME)
    assert not Checkpoint(folder, ASSIGNMENT).load(_start())


@pytest.mark.parametrize("data", [b"", b"garbage", b"PK\x05\x06" + bytes(18), _saved([])])
def test_other_bytes_are_a_damaged_checkpoint(data, folder):
    folder.write(NAME, data)
    with pytest.raises(CheckpointError, match=rf"^its checkpoint {NAME} is damaged$"):
        Checkpoint(folder, ASSIGNMENT).load(_start())


def test_damage_anywhere_is_found_or_harmless(folder):
    data, run = folder.read(NAME), _start()
    n_found = 0
    # Each of 100 bytes across the whole file, its headers and directory included.
    for position in np.linspace(0, len(data) - 1, 100).astype(int):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        folder.write(NAME, bytes(damaged))
        other = _start_other()
        try:
            Checkpoint(folder, ASSIGNMENT).load(other)
        except CheckpointError:
            n_found += 1
            continue
        _require_equal(run, other)
    assert n_found > 75  # most bytes are weights; the rest may be padding


@pytest.mark.parametrize(
    "other",
    [
        replace(ASSIGNMENT, name="trial-0002"),
        replace(ASSIGNMENT, seed=4),
        replace(ASSIGNMENT, epochs=4),
    ],
)
def test_checkpoint_of_another_assignment_is_refused(other, folder):
    folder.write(checkpoint_name(other.name), folder.read(NAME))
    with pytest.raises(CheckpointError, match="was written for another assignment"):
        Checkpoint(folder, other).load(_start())


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("device", "cuda", "the state's `device` must be cpu, but is cuda"),
        ("model_name", "lenet5", "the state's `model_name` must be mlp, but is lenet5"),
        ("hyperparameters", {"dropout": 0.1}, "the state's `hyperparameters` must be "),
    ],
)
def test_checkpoint_of_another_run_is_refused(name, value, reason, folder):
    content = unpack_checkpoint(folder.read(NAME))
    content["run"][name] = value
    folder.write(NAME, _saved(content))
    with pytest.raises(CheckpointError, match=f"^its checkpoint {NAME} does not match: {reason}"):
        Checkpoint(folder, ASSIGNMENT).load(_start())


def test_worker_of_an_earlier_driver_replaces_nothing_of_a_later_one():
    folder = ModelFolder(PurePosixPath("bucket"), "s3://bucket", objects=Objects())
    first, second = (replace(folder, lock_number=number) for number in (1, 2))
    # The first driver lost the record of the start, so the second drew other hyperparameters.
    later = replace(ASSIGNMENT, hyperparameters={"dropout": 0.1})
    earlier_worker, later_worker = Checkpoint(first, ASSIGNMENT), Checkpoint(second, later)
    earlier_worker.save(_start())
    with pytest.raises(CheckpointError, match="does not match"):
        later_worker.load(TrainingRun(later.model, later.hyperparameters, seed=3))
    run = _start()
    run.history *= 2
    earlier_worker.save(run)
    later_worker.save(TrainingRun(later.model, later.hyperparameters, seed=3))
    for attempt in (earlier_worker.save, Checkpoint(first, ASSIGNMENT).load):
        with pytest.raises(StorageError, match="another process has taken this training over"):
            attempt(run)
    assert unpack_checkpoint(folder.read(NAME))["hyperparameters"] == {"dropout": 0.1}


def test_worker_that_was_given_up_replaces_only_fewer_epochs():
    folder = ModelFolder(PurePosixPath("bucket"), "s3://bucket", objects=Objects())
    given_up, other = Checkpoint(folder, ASSIGNMENT), Checkpoint(folder, ASSIGNMENT)
    given_up.save(_start())
    run = _start()
    other.load(run)
    run.history *= 3
    other.save(run)
    shorter = _start()
    shorter.history *= 2
    given_up.save(shorter)
    assert len(unpack_checkpoint(folder.read(NAME))["run"]["history"]) == 3
    run.history *= 2
    given_up.save(run)
    assert len(unpack_checkpoint(folder.read(NAME))["run"]["history"]) == 6
