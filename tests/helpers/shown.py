"""Drawn pictures, as a reader sees them."""

from collections.abc import Callable

from analysis.plots.results import Picture, Results
from analysis.plots.style import plot_style
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from analysis.records.predictions import Predictions, ShownImages


class Shown(Picture):
    """A drawn picture, and what a reader sees of it."""

    @property
    def text(self) -> str:
        """The subtitle and the note."""
        return " ".join(text.get_text() for text in self.figure.texts).replace("\n", " ")

    @property
    def legend(self) -> list[str]:
        return [text.get_text() for text in self.figure.legends[0].get_texts()]


def show(
    draw: Callable[..., Picture],
    ledger: Ledger,
    confirmation: Confirmation | None = None,
    predictions: dict[int, Predictions] | None = None,
    **arguments: str,
) -> Shown:
    """Draw a picture with the function that draws it, of a ledger, and a confirmation if any."""
    results = Results(ledger, confirmation, predictions or {}, ShownImages.none())
    with plot_style():
        picture = draw(results, **arguments)
    return Shown(picture.figure, picture.alt)
