"""The network of a sweep's best trial, from the checkpoint of its training."""

import contextlib
import sys
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.errors import StorageError
from analysis.formatting import percent
from analysis.hyperparameters import complete, own_arguments
from analysis.records.confirmation import Run, read_confirmation
from analysis.records.files import CONFIRMATION_FILE, checkpoint_name, run_name, trial_name
from analysis.records.ledger import Ledger, Trial
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder
from data_utils.batches import normalize
from data_utils.dataset import DatasetSpec
from models import build_model
from models.own import NetworkError
from sweep.networks import load_network, spec_of
from sweep.training.checkpoints import unpack_checkpoint

CONFIDENT = 0.9
"""A smaller probability is called a low confidence."""

_BATCH = 256  # images that are classified at once


class Classifier(nn.Module):
    """A network together with what comes before and after it."""

    def __init__(self, network: nn.Module, spec: DatasetSpec) -> None:
        super().__init__()
        self.network, self._spec = network, spec

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities [n, n_classes] of the classes of images, uint8 [n, *shape].

        A pixel of a digit is 0 for paper, up to 255 for ink.
        """
        pixels = images.unsqueeze(1) if self._spec.channels == 1 else images
        normalized = normalize(pixels.float(), self._spec.mean, self._spec.std)
        logits: Tensor = self.network(normalized)
        return logits.float().softmax(1)


@dataclass(frozen=True)
class BestModel:
    """The network of the best trial, in evaluation mode, on the CPU.

    `origin` is the training that the weights come from, which the other attributes describe. The
    accuracy is that of its last epoch, on the test images in the confirmation, on the validation
    images in the search.
    """

    trial_id: int
    model: str
    hyperparameters: dict[str, Any]
    seed: int
    epochs: int
    origin: Literal["confirmation", "search"]
    accuracy: float
    network: nn.Module
    spec: DatasetSpec

    def describe(self) -> str:
        """Return a description of the weights, as a clause."""
        if self.origin == "confirmation":
            return (
                f"the weights of the confirmation's first seed, {self.seed}, trained on all "
                f"training images: test accuracy {percent(self.accuracy)}"
            )
        return (
            f"the weights of the search, seed {self.seed}, trained without the validation "
            f"images: validation accuracy {percent(self.accuracy)} after the last epoch"
        )

    def predict(self, images: list[NDArray[np.uint8]]) -> list[list[float]]:
        """Return for each image, uint8 [*shape], the probabilities of the classes."""
        probabilities: list[list[float]] = []
        classify = Classifier(self.network, self.spec)
        with torch.inference_mode(), contextlib.redirect_stdout(sys.stderr):
            for first in range(0, len(images), _BATCH):
                pixels = torch.from_numpy(np.stack(images[first : first + _BATCH]))
                probabilities += classify(pixels).tolist()
        return probabilities


def load_best_model(folder: Folder, ledger: Ledger, trial: Trial) -> BestModel:
    """Load the network of the best trial.

    If the trial is confirmed, the weights are those of the confirmation's first seed,
    whichever seed is best on the test images; otherwise they are those of the search.

    Raises:
        StorageError: The checkpoint is missing, damaged or from another training.
        NetworkError: The user's own network cannot be built, here.
    """
    record: Trial | Run
    if run := _first_confirmed(folder, ledger, trial.trial_id):
        name, record = run_name(run.arm, run.seed), run
        remedy = (
            f"; restore it, or delete {folder.display_path(CONFIRMATION_FILE)} and confirm the "
            "sweep again"
        )
    else:
        name, record = trial_name(trial.trial_id), trial
        remedy = f"; `sweep confirm {folder.name}` trains it again"
    where = f"the checkpoint {folder.display_path(checkpoint_name(name))}"
    try:
        data = folder.read(checkpoint_name(name))
    except FileNotFoundError as error:
        lost = f"the weights of trial {trial.trial_id}"
        if folder.is_locked():
            remedy = "; the running sweep has perhaps found a better trial: try again"
        raise StorageError(f"{where}, with {lost}, is missing{remedy}") from error
    try:
        content = unpack_checkpoint(data)
        history = content["run"]["history"]
        spec = spec_of(ledger.data)
        hyperparameters = complete(content["hyperparameters"])
        load_network(folder, content["model"])
        network = build_model(
            content["model"],
            dropout=hyperparameters["dropout"],
            shape=spec.network,
            arguments=own_arguments(hyperparameters),
        )
        network.load_state_dict(content["run"]["model"])
        best = BestModel(
            trial_id=trial.trial_id,
            model=content["model"],
            hyperparameters=hyperparameters,
            seed=content["seed"],
            epochs=len(history),
            origin="confirmation" if run else "search",
            accuracy=history[-1]["val_accuracy"],
            network=network.eval(),
            spec=spec,
        )
        found = content["name"]
    except (NetworkError, StorageError):
        raise
    except Exception as error:
        raise StorageError(f"{where} is damaged{remedy}") from error
    recorded = (name, record.seed, len(record.epochs), record.epochs[-1].val_accuracy)
    if (found, best.seed, best.epochs, best.accuracy) != recorded:
        raise StorageError(f"{where} does not match the recorded training{remedy}")
    return best


def _first_confirmed(folder: Folder, ledger: Ledger, trial_id: int) -> Run | None:
    """Return the trial's run with the confirmation's first seed, if it is complete."""
    confirmation = read_confirmation(folder, ledger)
    arm = confirmation.finalist(trial_id) if confirmation else None
    (seed,) = confirmation_seeds(ledger.config["seed"], 1)
    if confirmation and arm and seed in confirmation.test_accuracies(arm.arm):
        return confirmation.runs[arm.arm, seed]
    return None
