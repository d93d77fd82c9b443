"""What a sweep left behind, read once for all of its pictures."""

from dataclasses import dataclass

from analysis.plots.picture import NothingToDrawError
from analysis.plots.style import counted, one_line
from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.predictions import Predictions, ShownImages, load_images, load_predictions
from analysis.results.selection import best_finalist
from analysis.storage.folder import Folder


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        ledger: The search.
        confirmation: None where nothing was confirmed yet.
        predictions: By arm and seed, of the finalists' finished runs that have them.
        images: The test images that may be shown.
    """

    ledger: Ledger
    confirmation: Confirmation | None
    predictions: dict[tuple[str, int], Predictions]
    images: ShownImages

    @property
    def name(self) -> str:
        """The sweep's name, fit for a picture."""
        return one_line(self.ledger.name, 40)

    @property
    def about_search(self) -> str:
        """The sweep in a few words."""
        epochs = counted(int(self.ledger.config["epochs"]), "epoch")
        return f"{self.name} · {counted(len(self.ledger.trials), 'trial')} of {epochs}"

    def confirmed(self) -> Confirmation:
        """Returns the confirmation.

        Raises:
            NothingToDrawError: If there is none.
        """
        if self.confirmation is None:
            raise NothingToDrawError(
                "not confirmed yet: the test images were never used. "
                f"`sweep confirm {self.name}` does it"
            )
        return self.confirmation

    def shown_finalist(self) -> tuple[Arm, dict[int, Predictions]]:
        """Returns the best trial's arm, with its runs' predictions by seed.

        Raises:
            NothingToDrawError: If it is not confirmed, or left none.
        """
        arm = best_finalist(self.ledger, self.confirmed())
        if arm is None:
            raise NothingToDrawError(
                "the trial that is now the best is not confirmed yet. "
                f"`sweep confirm {self.name}` does it"
            )
        by_seed = {
            seed: predictions
            for (name, seed), predictions in sorted(self.predictions.items())
            if name == arm.arm
        }
        if not by_seed:
            raise NothingToDrawError(
                f"no run of {one_line(arm.title)} has finished and left its predictions"
            )
        return arm, by_seed


def read_results(folder: Folder) -> Results:
    """Reads the results of the sweep in `folder`.

    Raises:
        FileNotFoundError: If there is no sweep.
        LedgerError: If one of its files is damaged.
    """
    confirmation = read_confirmation(folder)
    predictions = {}
    if confirmation is not None:
        for arm in confirmation.in_role("finalist"):
            for seed in confirmation.test_accuracies(arm.arm):
                loaded = load_predictions(folder, arm.arm, seed)
                if loaded is not None:
                    predictions[arm.arm, seed] = loaded
    return Results(read_ledger(folder), confirmation, predictions, load_images(folder))
