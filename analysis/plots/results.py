"""The results of a sweep, from which all plots are drawn, and the picture that a plot returns."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.formatting import count, printable
from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.predictions import Predictions, ShownImages, load_images, load_predictions
from analysis.results.completeness import confirm_command
from analysis.results.selection import best_finalist, describe_rule
from analysis.storage.folder import Folder


class NothingToDrawError(Exception):
    """The results lack what a plot shows; the message says what is missing."""


@dataclass(frozen=True)
class Picture:
    """A figure, and its alternative text for readers who cannot see it."""

    figure: Figure
    alt: str


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    `predictions` has those of the best trial's finished runs by seed, the first derived seed
    first.
    """

    ledger: Ledger
    confirmation: Confirmation | None
    predictions: dict[int, Predictions]
    images: ShownImages

    @property
    def name(self) -> str:
        """The sweep's name, shortened for a picture."""
        return printable(self.ledger.name, 40)

    @property
    def about_search(self) -> str:
        """The search in a few words, such as `mnist · 32 trials of 15 epochs`."""
        return f"{self.name} · {self.size}"

    @property
    def size(self) -> str:
        """The size of the search, such as `32 trials of 15 epochs`."""
        trials = self.ledger.trials.values()
        epochs = sorted({int(self.ledger.config["epochs"]), *(t.planned_epochs for t in trials)})
        each = " or ".join([*map(str, epochs[:-1]), count(epochs[-1], "epoch")])
        return f"{count(len(self.ledger.trials), 'trial')} of {each}"

    @property
    def about_score(self) -> str:
        """How a trial's score is computed, as a sentence."""
        return f"Score: {describe_rule(self.ledger).removeprefix('highest ')}."

    @property
    def _next_step(self) -> str:
        """The command that completes the verdict, as a sentence; empty if nothing is missing."""
        command = confirm_command(self.ledger, self.confirmation)
        return "" if command is None else f". Run `{command}`"

    def confirmed(self) -> Confirmation:
        """Return the confirmation; NothingToDrawError if there is none."""
        if self.confirmation is None:
            message = "the sweep is not confirmed yet, so no test image was used"
            raise NothingToDrawError(message + self._next_step)
        return self.confirmation

    def shown_finalist(self) -> tuple[Arm, dict[int, Predictions]]:
        """Return the best trial's arm and its predictions by seed, or raise NothingToDrawError."""
        arm = best_finalist(self.ledger, self.confirmed())
        if arm is None:
            raise NothingToDrawError(f"the best trial is not confirmed yet{self._next_step}")
        if not self.predictions:
            raise NothingToDrawError(
                f"no finished run of {printable(arm.title)} has its predictions"
            )
        return arm, self.predictions


def read_results(folder: Folder) -> Results:
    """Read the results of a sweep; FileNotFoundError if there is none, LedgerError if damaged."""
    ledger = read_ledger(folder)
    confirmation = read_confirmation(folder, ledger)
    arm = best_finalist(ledger, confirmation) if confirmation else None
    predictions = {}
    if confirmation is not None and arm is not None:
        finished = confirmation.test_accuracies(arm.arm)
        for seed in confirmation.ordered_seeds(ledger.config["seed"]):
            if seed in finished and (
                loaded := load_predictions(folder, arm.arm, seed, finished[seed])
            ):
                predictions[seed] = loaded
    return Results(ledger, confirmation, predictions, load_images(folder))
