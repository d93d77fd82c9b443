import io
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from analysis.errors import StorageError
from analysis.records.files import checkpoint_name, run_name, trial_name
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder
from sweep.errors import NoTrialError
from sweep.results.best_model import BestModel, load_best_model
from sweep.training.loop import TrainingRun

Make = Callable[..., Folder]
CHECKPOINT = checkpoint_name(trial_name(1))


def load(folder: Folder) -> BestModel:
    return load_best_model(folder, read_ledger(folder))


def has_weights_of(best: BestModel, run: TrainingRun) -> bool:
    own, theirs = best.network.state_dict(), run.model.state_dict()
    return own.keys() == theirs.keys() and all(torch.equal(own[k], theirs[k]) for k in own)


def test_unconfirmed_weights_are_those_of_the_search(
    make: Make, tiny_runs: list[TrainingRun]
) -> None:
    best = load(make())
    assert has_weights_of(best, tiny_runs[0])
    assert (best.trial_id, best.origin, best.seed, best.epochs) == (1, "search", 7, 2)
    assert best.accuracy == tiny_runs[0].history[-1].val_accuracy
    assert not best.network.training


def test_confirmed_weights_are_those_of_the_first_seed_even_if_another_is_better(
    make: Make, tiny_runs: list[TrainingRun]
) -> None:
    worse, better = sorted((1, 2), key=lambda i: tiny_runs[i].history[-1].val_accuracy)
    assert tiny_runs[worse].history[-1].val_accuracy < tiny_runs[better].history[-1].val_accuracy
    best = load(make(worse, better))
    assert has_weights_of(best, tiny_runs[worse])
    assert (best.origin, best.seed) == ("confirmation", confirmation_seeds(0, 1)[0])
    assert best.accuracy == tiny_runs[worse].history[-1].val_accuracy
    assert best.describe().startswith("the weights of the confirmation's first seed, ")


def test_weights_are_those_of_the_search_until_the_first_seed_is_complete(
    make: Make, tiny_runs: list[TrainingRun]
) -> None:
    failed = load(make(None, 1))
    assert has_weights_of(failed, tiny_runs[0])
    assert failed.origin == "search"
    folder = make(1)
    lines = folder.read("confirm.jsonl").splitlines(keepends=True)
    folder.write("confirm.jsonl", b"".join(lines[:-1]))
    assert load(folder).origin == "search"


def test_weights_are_those_of_the_search_where_another_trial_was_confirmed(make: Make) -> None:
    folder = make(1)
    text = re.sub(rb'"trial_id": ?1', b'"trial_id": 2', folder.read("confirm.jsonl"))
    folder.write("confirm.jsonl", text)
    assert load(folder).origin == "search"


def test_missing_checkpoint_is_named(make: Make) -> None:
    folder = make()
    folder.delete(CHECKPOINT)
    with pytest.raises(StorageError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"the checkpoint {folder}/checkpoints/trial-0001.pt is missing, and with it the "
        "weights of trial 1; train it again with: sweep confirm trained"
    )


def test_missing_checkpoint_of_the_confirmation_is_not_replaced_by_the_search(make: Make) -> None:
    folder = make(1)
    (seed,) = confirmation_seeds(0, 1)
    folder.delete(checkpoint_name(run_name("trial-1", seed)))
    with pytest.raises(StorageError, match=rf"trial-1-seed-{seed}\.pt is missing.* of trial 1$"):
        load(folder)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    """One bit of the first layer's weights."""
    content = torch.load(io.BytesIO(data), weights_only=True)
    weights = content["run"]["model"]["c1.weight"].numpy().tobytes()
    where = data.index(weights) + 10
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]


def without_run(data: bytes) -> bytes:
    content = torch.load(io.BytesIO(data), weights_only=True)
    del content["run"]
    return saved(content)


def of_another_model(data: bytes) -> bytes:
    return saved(torch.load(io.BytesIO(data), weights_only=True) | {"model": "mlp"})


def of_an_unknown_model(data: bytes) -> bytes:
    return saved(torch.load(io.BytesIO(data), weights_only=True) | {"model": "lenet6"})


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"not a checkpoint",
        lambda data: saved([1, 2]),
        lambda data: pickle.dumps({"run": 1}),
        truncated,
        flipped,
        without_run,
        of_another_model,
        of_an_unknown_model,
    ],
)
def test_damaged_checkpoint_is_named(make: Make, damage: Callable[[bytes], bytes]) -> None:
    folder = make()
    folder.write(CHECKPOINT, damage(folder.read(CHECKPOINT)))
    with pytest.raises(StorageError) as caught:
        load(folder)
    where = f"the checkpoint {folder}/{CHECKPOINT}"
    expected = f"{where} is damaged; train it again with: sweep confirm trained"
    assert str(caught.value) == expected


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.victim),))


@pytest.mark.parametrize("legacy", [False, True])
def test_malicious_checkpoint_is_not_executed(make: Make, tmp_path: Path, legacy: bool) -> None:
    folder, victim = make(), tmp_path / "executed"
    content = torch.load(io.BytesIO(folder.read(CHECKPOINT)), weights_only=True)
    content["extra"] = Malicious(victim)
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    folder.write(CHECKPOINT, buffer.getvalue())
    with pytest.raises(StorageError, match=r"trial-0001\.pt is damaged"):
        load(folder)
    assert not victim.exists()
    # The file is as bad as it is meant to be.
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert victim.exists()


def without_last_epoch(data: bytes) -> bytes:
    content = torch.load(io.BytesIO(data), weights_only=True)
    content["run"]["history"].pop()
    return saved(content)


def of_another_seed(data: bytes) -> bytes:
    return saved(torch.load(io.BytesIO(data), weights_only=True) | {"seed": 8})


@pytest.mark.parametrize("change", [without_last_epoch, of_another_seed])
def test_checkpoint_of_another_training_is_refused(
    make: Make, change: Callable[[bytes], bytes]
) -> None:
    folder = make()
    folder.write(CHECKPOINT, change(folder.read(CHECKPOINT)))
    with pytest.raises(StorageError, match="is of another training than the one recorded"):
        load(folder)


def test_without_a_complete_trial_there_is_no_model(
    make_sweep: Callable[..., tuple[Folder, Ledger]],
) -> None:
    folder, ledger = make_sweep(n_trials=1, n_running=1)
    with pytest.raises(NoTrialError, match="no trial of synthetic has run all its epochs yet"):
        load_best_model(folder, ledger)
