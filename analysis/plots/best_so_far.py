"""The best score so far, against the epochs and the time that the search had used."""

from dataclasses import dataclass

from matplotlib.axes import Axes

from analysis.formatting import count, percent
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.scales import AXIS_NOTE, in_view, set_accuracy_scale
from analysis.plots.style import BLUE, FAINT, INK, add_legend, new_figure
from analysis.records.ledger import EpochRecord, Ledger, TrialEnded
from analysis.results.cost import working_clock
from analysis.results.selection import trial_score


@dataclass(frozen=True)
class Finish:
    """The moment at which a trial had run all its epochs.

    `epochs` are those of all trials by then, and `seconds` leaves out the pauses between
    sessions. `best` is the highest score by then, a fraction as `score` is.
    """

    trial_id: int
    epochs: int
    seconds: float
    score: float
    best: float


@dataclass(frozen=True)
class BestSoFar:
    """The finishes in order, and the epochs and seconds of the whole search."""

    finishes: tuple[Finish, ...]
    epochs: int
    seconds: float

    @property
    def winner(self) -> int:
        """The index of the best trial's finish; of equal scores, the trial started first wins."""
        ranks = [(-finish.score, finish.trial_id) for finish in self.finishes]
        return ranks.index(min(ranks))


def best_so_far(ledger: Ledger) -> BestSoFar:
    """Return the best score so far at each finish of a trial.

    Raises:
        NothingToDrawError: If no trial ran all its epochs.
    """
    finishes: list[Finish] = []
    epochs, seconds = 0, 0.0
    for seconds, record in working_clock(ledger):
        epochs += isinstance(record, EpochRecord)
        if isinstance(record, TrialEnded):
            score = trial_score(ledger.trials[record.trial_id])
            if score is not None:
                best = max(score, finishes[-1].best) if finishes else score
                finishes.append(Finish(record.trial_id, epochs, seconds, score, best))
    if not finishes:
        raise NothingToDrawError("no trial has run all its epochs")
    return BestSoFar(tuple(finishes), epochs, seconds)


def draw_best_so_far(results: Results) -> Picture:
    """Draw the best score so far, against epochs and against time."""
    data = best_so_far(results.ledger)
    final, winner = data.finishes[-1].best, data.finishes[data.winner]
    scores = [finish.score for finish in data.finishes]
    note = f"{results.about_score} {AXIS_NOTE}"
    if n := len(scores) - len(in_view(scores)):
        note += f" Not drawn: {count(n, 'trial')} far below."
    about = f"{results.about_search} · best: trial {winner.trial_id}, {percent(final)}"
    figure = new_figure(4.2, about, note, legend_rows=1)
    left, right = figure.subplots(1, 2, sharey=True)
    # The unit that gives numbers of two or three digits.
    unit, name = (3600, "hours") if data.seconds >= 3 * 3600 else (60, "minutes")
    if data.seconds < 180:
        unit, name = 1, "seconds"
    _draw_steps(left, data, [f.epochs for f in data.finishes], data.epochs)
    _draw_steps(right, data, [f.seconds / unit for f in data.finishes], data.seconds / unit)
    left.set(xlabel="epochs of all trials", ylabel="validation accuracy (%)")
    right.set(xlabel=f"{name}, without pauses")
    add_legend(figure, left.get_lines())
    alt = (
        f"The best validation accuracy rises from {percent(data.finishes[0].best)} to "
        f"{percent(final)}, reached by trial {winner.trial_id} after {winner.epochs:,} of "
        f"{data.epochs:,} epochs."
    )
    return Picture(figure, alt)


def _draw_steps(axes: Axes, data: BestSoFar, used: list[float], end: float) -> None:
    """Draw the scores and the best so far against what was `used` by each finish."""
    scores, best = ([getattr(f, name) for f in data.finishes] for name in ("score", "best"))
    set_accuracy_scale(axes, "y", in_view(scores))
    label = "a trial that ran all its epochs"
    axes.plot(used, scores, ls="", marker="o", ms=4, color=FAINT, label=label)
    axes.step([*used, end], [*best, best[-1]], where="post", color=BLUE, label="best so far")
    star = used[data.winner]
    axes.plot([star], [best[-1]], ls="", marker="*", ms=11, color=INK, label="the best")
    axes.set_xlim(0, end * 1.03)
