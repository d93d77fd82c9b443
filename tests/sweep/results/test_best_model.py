import io
import os
import re
from pathlib import Path

import pytest
import torch

from analysis.errors import StorageError
from analysis.records.files import checkpoint_name, run_name, trial_name
from analysis.records.ledger import read_ledger
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder
from sweep.results.best_model import BestModel, load_best_model
from sweep.training.loop import TrainingRun

CHECKPOINT = checkpoint_name(trial_name(1))


def load(folder: Folder) -> BestModel:
    ledger = read_ledger(folder)
    return load_best_model(folder, ledger, ledger.trials[1])


def has_weights_of(best: BestModel, run: TrainingRun) -> bool:
    own, theirs = best.network.state_dict(), run.model.state_dict()
    return own.keys() == theirs.keys() and all(torch.equal(own[k], theirs[k]) for k in own)


def test_unconfirmed_weights_are_those_of_the_search(make_trained, tiny_runs):
    best = load(make_trained())
    assert has_weights_of(best, tiny_runs[0])
    assert (best.trial_id, best.origin, best.seed, best.epochs) == (1, "search", 7, 2)
    assert best.accuracy == tiny_runs[0].history[-1].val_accuracy
    assert not best.network.training


def test_confirmed_weights_are_those_of_the_first_seed_even_if_another_is_better(
    make_trained, tiny_runs
):
    worse, better = sorted((1, 2), key=lambda i: tiny_runs[i].history[-1].val_accuracy)
    assert tiny_runs[worse].history[-1].val_accuracy < tiny_runs[better].history[-1].val_accuracy
    best = load(make_trained(worse, better))
    assert has_weights_of(best, tiny_runs[worse])
    assert (best.origin, best.seed) == ("confirmation", confirmation_seeds(0, 1)[0])
    assert best.accuracy == tiny_runs[worse].history[-1].val_accuracy
    assert best.describe().startswith("the weights of the confirmation's first seed, ")


def test_weights_are_those_of_the_search_until_the_first_seed_is_complete(make_trained, tiny_runs):
    failed = load(make_trained(None, 1))
    assert has_weights_of(failed, tiny_runs[0])
    assert failed.origin == "search"
    folder = make_trained(1)
    lines = folder.read("confirm.jsonl").splitlines(keepends=True)
    folder.write("confirm.jsonl", b"".join(lines[:-1]))
    assert load(folder).origin == "search"
    folder = make_trained(1)  # and where another trial was confirmed
    text = re.sub(rb'"trial_id": ?1', b'"trial_id": 2', folder.read("confirm.jsonl"))
    folder.write("confirm.jsonl", text)
    assert load(folder).origin == "search"


@pytest.mark.parametrize(
    ("confirmed", "name", "remedy"),
    [
        ([], trial_name(1), "; `sweep confirm trained` trains it again"),
        (
            [1],
            run_name("trial-1", *confirmation_seeds(0, 1)),
            "; restore it, or delete {}/confirm.jsonl and confirm the sweep again",
        ),
    ],
)
def test_missing_checkpoint_is_named(confirmed, name, remedy, make_trained):
    folder = make_trained(*confirmed)
    folder.delete(checkpoint_name(name))
    with pytest.raises(StorageError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"the checkpoint {folder}/checkpoints/{name}.pt, with the weights of trial 1, "
        f"is missing{remedy.format(folder)}"
    )
    with folder.lock(), pytest.raises(StorageError, match="better trial: try again$"):
        load(folder)


def flipped(data: bytes) -> bytes:
    """One bit of the first layer's weights."""
    content = torch.load(io.BytesIO(data), weights_only=True)
    weights = content["run"]["model"]["c1.weight"].numpy().tobytes()
    where = data.index(weights) + 10
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def changed(data: bytes, **values: object) -> bytes:
    return saved(torch.load(io.BytesIO(data), weights_only=True) | values)


def without_last_epoch(data: bytes) -> bytes:
    content = torch.load(io.BytesIO(data), weights_only=True)
    content["run"]["history"].pop()
    return saved(content)


DAMAGED, OTHER = "is damaged", "does not match the recorded training"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: b"", DAMAGED),
        (flipped, DAMAGED),
        (lambda data: changed(data, run=None), DAMAGED),
        (lambda data: changed(data, model="mlp"), DAMAGED),
        (lambda data: changed(data, model="lenet6"), DAMAGED),
        (lambda data: changed(data, seed=8), OTHER),
        (without_last_epoch, OTHER),
    ],
)
def test_checkpoint_that_is_damaged_or_of_another_training_is_refused(
    make_trained, change, problem
):
    folder = make_trained()
    folder.write(CHECKPOINT, change(folder.read(CHECKPOINT)))
    with pytest.raises(StorageError) as caught:
        load(folder)
    where = f"the checkpoint {folder}/{CHECKPOINT}"
    remedy = "`sweep confirm trained` trains it again"
    assert str(caught.value) == f"{where} {problem}; {remedy}"


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.victim),))


@pytest.mark.parametrize("legacy", [False, True])
def test_malicious_checkpoint_is_not_executed(make_trained, tmp_path, legacy):
    folder, victim = make_trained(), tmp_path / "executed"
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
