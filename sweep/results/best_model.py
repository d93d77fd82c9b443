"""The network of a sweep's best trial: which weights those are, and reading them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from analysis.errors import StorageError
from analysis.hyperparameters import complete
from analysis.records.confirmation import Run, read_confirmation
from analysis.records.files import checkpoint_name, run_name, trial_name
from analysis.records.ledger import Ledger
from analysis.records.seeds import confirmation_seeds
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from models import build_model
from sweep.errors import NoTrialError
from sweep.training.checkpoints import unpack_checkpoint


@dataclass(frozen=True)
class BestModel:
    """The best trial's network.

    Attributes:
        trial_id: The trial.
        model: Its name in the model registry.
        hyperparameters: All of them.
        seed: Of the training that the weights come from.
        epochs: Of that training.
        origin: Whether it was the confirmation's or the search's.
        accuracy: After its last epoch: of the test images in the confirmation, of the
            validation images in the search.
        network: In evaluation mode, on the CPU.
    """

    trial_id: int
    model: str
    hyperparameters: dict[str, Any]
    seed: int
    epochs: int
    origin: Literal["confirmation", "search"]
    accuracy: float
    network: nn.Module

    def describe(self) -> str:
        """Returns which weights these are, in a clause."""
        percent = f"{100 * self.accuracy:.2f} %"
        if self.origin == "confirmation":
            return (
                f"the weights of the confirmation's first seed, {self.seed}, trained on all "
                f"training images: {percent} of the test images"
            )
        return (
            f"the weights of the search, seed {self.seed}, trained without the validation "
            f"images: {percent} of those, and not confirmed"
        )


@dataclass(frozen=True)
class _Training:
    """A finished training, as it is recorded; its checkpoint is called by its name."""

    name: str
    origin: Literal["confirmation", "search"]
    seed: int
    epochs: int
    accuracy: float


def load_best_model(folder: Folder, ledger: Ledger) -> BestModel:
    """Loads the network of the trial that `sweep best` shows.

    If the trial is confirmed, its weights are those of the confirmation's first seed,
    whichever seed turned out best on the test images; else those of the search.

    Raises:
        NoTrialError: No trial ran all its epochs.
        StorageError: The checkpoint is missing, damaged or not that training's.
        LedgerError: The confirmation's file is damaged.
    """
    ranking = rank_trials(ledger)
    if not ranking:
        raise NoTrialError(f"no trial of {ledger.name} has run all its epochs yet")
    trial = ranking[0].trial
    run = _first_confirmed(folder, ledger, trial.trial_id)
    if run is None:
        training = _Training(
            trial_name(trial.trial_id),
            "search",
            trial.seed,
            len(trial.epochs),
            trial.epochs[-1].val_accuracy,
        )
    else:
        training = _Training(
            run_name(run.arm, run.seed),
            "confirmation",
            run.seed,
            len(run.epochs),
            run.epochs[-1].val_accuracy,
        )
    return _load(folder, training, trial.trial_id)


def _first_confirmed(folder: Folder, ledger: Ledger, trial_id: int) -> Run | None:
    """The finished run of the trial with the confirmation's first seed, if there is one."""
    confirmation = read_confirmation(folder)
    if confirmation is None:
        return None
    (seed,) = confirmation_seeds(ledger.config["seed"], 1)
    arm = confirmation.finalist(trial_id)
    if arm is None or seed not in confirmation.test_accuracies(arm.arm):
        return None
    return confirmation.runs[arm.arm, seed]


def _load(folder: Folder, training: _Training, trial_id: int) -> BestModel:
    name = checkpoint_name(training.name)
    place = f"the checkpoint {folder.display_path(name)}"
    remedy = f"; `sweep confirm {folder.name}` trains anew" if training.origin == "search" else ""
    try:
        data = folder.read(name)
    except FileNotFoundError as error:
        raise StorageError(
            f"{place} is missing, and with it the weights of trial {trial_id}{remedy}"
        ) from error
    try:
        content = unpack_checkpoint(data)
        history = content["run"]["history"]
        network = _network(content["model"], content["run"]["model"])
        hyperparameters = complete(content["hyperparameters"])
        found = _Training(
            content["name"],
            training.origin,
            content["seed"],
            len(history),
            history[-1]["val_accuracy"],
        )
    except Exception as error:
        raise StorageError(f"{place} is damaged{remedy}") from error
    if found != training:
        raise StorageError(f"{place} is of another training than the one recorded for it{remedy}")
    return BestModel(
        trial_id=trial_id,
        model=content["model"],
        hyperparameters=hyperparameters,
        seed=training.seed,
        epochs=training.epochs,
        origin=training.origin,
        accuracy=training.accuracy,
        network=network,
    )


def _network(model: str, weights: Mapping[str, Any]) -> nn.Module:
    network = build_model(model, dropout=0.0, generator=torch.Generator())
    network.load_state_dict(weights)
    return network.eval()
