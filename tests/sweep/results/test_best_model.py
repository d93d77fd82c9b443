import io
import os
import pickle
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

MakeTrained = Callable[..., Folder]
CHECKPOINT = checkpoint_name(trial_name(1))


def load(folder: Folder) -> BestModel:
    return load_best_model(folder, read_ledger(folder))


def has_weights_of(best: BestModel, run: TrainingRun) -> bool:
    own, theirs = best.network.state_dict(), run.model.state_dict()
    return own.keys() == theirs.keys() and all(torch.equal(own[k], theirs[k]) for k in own)


def test_unconfirmed_weights_are_the_searchs(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    best = load(make_trained_sweep(tiny_runs[0]))
    assert has_weights_of(best, tiny_runs[0])
    assert (best.trial_id, best.origin, best.seed, best.epochs) == (1, "search", 7, 2)
    assert best.accuracy == tiny_runs[0].history[-1].val_accuracy
    assert not best.network.training


def test_confirmed_weights_are_the_first_seeds_even_if_another_is_better(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    worse, better = sorted(tiny_runs[1:], key=lambda run: run.history[-1].val_accuracy)
    assert worse.history[-1].val_accuracy < better.history[-1].val_accuracy
    best = load(make_trained_sweep(tiny_runs[0], worse, better))
    assert has_weights_of(best, worse)
    assert (best.origin, best.seed) == ("confirmation", confirmation_seeds(0, 1)[0])
    assert best.accuracy == worse.history[-1].val_accuracy
    assert best.describe().startswith("the weights of the confirmation's first seed, ")


def test_weights_are_the_searchs_where_the_first_seed_failed(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    best = load(make_trained_sweep(tiny_runs[0], None, tiny_runs[1]))
    assert has_weights_of(best, tiny_runs[0])
    assert best.origin == "search"


def test_weights_are_the_searchs_while_the_first_seed_runs(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    folder = make_trained_sweep(tiny_runs[0])
    confirmed = make_trained_sweep(tiny_runs[0], tiny_runs[1])
    lines = confirmed.read("confirm.jsonl").splitlines(keepends=True)
    folder.write("confirm.jsonl", b"".join(lines[:-1]))
    assert load(folder).origin == "search"


def test_weights_are_the_searchs_where_another_trial_was_confirmed(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    folder = make_trained_sweep(tiny_runs[0], tiny_runs[1])
    text = folder.read("confirm.jsonl").replace(b'"trial_id": 1', b'"trial_id": 2')
    folder.write("confirm.jsonl", text)
    assert load(folder).origin == "search"


def test_missing_checkpoint_is_named(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    folder = make_trained_sweep(tiny_runs[0])
    folder.delete(CHECKPOINT)
    with pytest.raises(StorageError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"the checkpoint {folder}/checkpoints/trial-0001.pt is missing, and with it the "
        "weights of trial 1; `sweep confirm trained` trains anew"
    )


def test_missing_checkpoint_of_the_confirmation_is_not_replaced_by_the_searchs(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    folder = make_trained_sweep(tiny_runs[0], tiny_runs[1])
    (seed,) = confirmation_seeds(0, 1)
    folder.delete(checkpoint_name(run_name("trial-1", seed)))
    with pytest.raises(StorageError, match=rf"trial-1-seed-{seed}\.pt is missing.* of trial 1$"):
        load(folder)


def torn(data: bytes) -> bytes:
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
        torn,
        flipped,
        without_run,
        of_another_model,
        of_an_unknown_model,
    ],
)
def test_damaged_checkpoint_is_named(
    make_trained_sweep: MakeTrained,
    tiny_runs: list[TrainingRun],
    damage: Callable[[bytes], bytes],
) -> None:
    folder = make_trained_sweep(tiny_runs[0])
    folder.write(CHECKPOINT, damage(folder.read(CHECKPOINT)))
    with pytest.raises(StorageError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"the checkpoint {folder}/{CHECKPOINT} is damaged; `sweep confirm trained` trains anew"
    )


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.victim),))


@pytest.mark.parametrize("legacy", [False, True])
def test_malicious_checkpoint_is_not_executed(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun], tmp_path: Path, legacy: bool
) -> None:
    folder, victim = make_trained_sweep(tiny_runs[0]), tmp_path / "executed"
    content = torch.load(io.BytesIO(folder.read(CHECKPOINT)), weights_only=True)
    buffer = io.BytesIO()
    torch.save(
        content | {"extra": Malicious(victim)}, buffer, _use_new_zipfile_serialization=not legacy
    )
    folder.write(CHECKPOINT, buffer.getvalue())
    with pytest.raises(StorageError, match=r"trial-0001\.pt is damaged"):
        load(folder)
    assert not victim.exists()
    # The file is as bad as it is meant to be.
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert victim.exists()


def test_checkpoint_of_another_training_is_refused(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    folder, other = make_trained_sweep(tiny_runs[0]), make_trained_sweep(tiny_runs[1])
    folder.write(CHECKPOINT, other.read(CHECKPOINT))
    with pytest.raises(StorageError, match="is of another training than the one recorded"):
        load(folder)


def test_checkpoint_of_an_earlier_epoch_is_refused(
    make_trained_sweep: MakeTrained, tiny_runs: list[TrainingRun]
) -> None:
    folder = make_trained_sweep(tiny_runs[0])
    content = torch.load(io.BytesIO(folder.read(CHECKPOINT)), weights_only=True)
    content["run"]["history"].pop()
    folder.write(CHECKPOINT, saved(content))
    with pytest.raises(StorageError, match="is of another training than the one recorded"):
        load(folder)


def test_without_a_complete_trial_there_is_no_model(
    make_sweep: Callable[..., tuple[Folder, Ledger]],
) -> None:
    folder, ledger = make_sweep(n_trials=1, n_running=1)
    with pytest.raises(NoTrialError, match="no trial of synthetic has run all its epochs yet"):
        load_best_model(folder, ledger)
