"""What a sweep left behind, read once for all of its pictures."""

from dataclasses import dataclass

from analysis.confirmation import Arm, Confirmation, read_confirmation
from analysis.folder import Folder
from analysis.ledger import Ledger, read_ledger
from analysis.plots.picture import NothingToDrawError
from analysis.plots.style import counted, one_line
from analysis.predictions import Predictions, ShownImages, load_images, load_predictions


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
        """Returns the first finalist that has predictions, with them by seed.

        Raises:
            NothingToDrawError: If none has.
        """
        for arm in self.confirmed().in_role("finalist"):
            by_seed = {
                seed: predictions
                for (name, seed), predictions in sorted(self.predictions.items())
                if name == arm.arm
            }
            if by_seed:
                return arm, by_seed
        raise NothingToDrawError("no finalist's run has finished and left its predictions")


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
