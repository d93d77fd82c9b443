"""The best accuracy so far, against the epochs and the time that the search had spent."""

from dataclasses import dataclass

from matplotlib.axes import Axes

from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scales import AXIS_NOTE, in_view, percent, set_accuracy_scale
from analysis.plots.style import BLUE, FAINT, INK, Frame, add_keys, counted, new_figure
from analysis.records.ledger import EpochRecord, Ledger, TrialEnded
from analysis.results.selection import describe_rule, trial_score


@dataclass(frozen=True)
class Finish:
    """A trial that ran all its epochs, at the moment when it did.

    Attributes:
        trial_id: Its number.
        epochs: Epochs that all trials together had run by then.
        seconds: Time that a driver had been at work by then, pauses left out.
        score: What it is ranked by, a fraction.
        best: The highest score by then.
    """

    trial_id: int
    epochs: int
    seconds: float
    score: float
    best: float


@dataclass(frozen=True)
class Rise:
    """The finishes in order, and what the search had spent in the end."""

    finishes: tuple[Finish, ...]
    epochs: int
    seconds: float

    @property
    def winner(self) -> int:
        """Which finish is the best trial's: of equal scores, the earlier trial's."""
        ranks = [(-finish.score, finish.trial_id) for finish in self.finishes]
        return ranks.index(min(ranks))


def rise(ledger: Ledger) -> Rise:
    """Returns how the search came on.

    Raises:
        NothingToDrawError: If no trial ran all its epochs.
    """
    finishes: list[Finish] = []
    epochs, seconds, previous = 0, 0.0, ledger.created.time
    for time, what, trial_id in _events(ledger):
        # A session begins after a pause in which nobody worked.
        seconds += 0.0 if what == "session" else time - previous
        previous = time
        epochs += what == "epoch"
        if what == "end":
            trial = ledger.trials[trial_id]
            score = trial_score(trial)
            if score is not None:
                best = max(score, finishes[-1].best) if finishes else score
                finishes.append(Finish(trial_id, epochs, seconds, score, best))
    if not finishes:
        raise NothingToDrawError("no trial has run all its epochs")
    return Rise(tuple(finishes), epochs, seconds)


def _events(ledger: Ledger) -> list[tuple[float, str, int]]:
    events = [(session.time, "session", 0) for session in ledger.sessions]
    for record in ledger.records:
        if isinstance(record, EpochRecord):
            events.append((record.time, "epoch", record.trial_id))
        elif isinstance(record, TrialEnded):
            events.append((record.time, "end", record.trial_id))
    order = {"session": 0, "epoch": 1, "end": 2}
    return sorted(events, key=lambda event: (event[0], order[event[1]], event[2]))


def draw_best_so_far(results: Results) -> Picture:
    """Draws the best accuracy so far."""
    data = rise(results.ledger)
    final = data.finishes[-1].best
    winner = data.finishes[data.winner]
    rule = describe_rule(results.ledger.config).removeprefix("highest ")
    frame = Frame(
        "Best so far",
        f"{results.about_search} · best: trial {winner.trial_id}, {percent(final, 2)} %",
        keys=1,
        note=" ".join(_notes(data, rule)),
    )
    figure = new_figure(4.2, frame)
    left, right = figure.subplots(1, 2, sharey=True)
    unit, name = _time_unit(data.seconds)
    _panel(left, data, [f.epochs for f in data.finishes], data.epochs)
    _panel(right, data, [f.seconds / unit for f in data.finishes], data.seconds / unit)
    left.set(xlabel="epochs spent, all trials together", ylabel="validation accuracy (%)")
    right.set(xlabel=f"{name} of work, pauses left out")
    add_keys(figure, left.get_lines())
    alt = (
        f"The best validation accuracy rises from {percent(data.finishes[0].best, 2)} % to "
        f"{percent(final, 2)} %, reached by trial {winner.trial_id} after {winner.epochs:,} of "
        f"{data.epochs:,} epochs."
    )
    return Picture(figure, alt)


def _notes(data: Rise, rule: str) -> list[str]:
    notes = [f"Score: {rule}.", AXIS_NOTE]
    scores = [finish.score for finish in data.finishes]
    if n := len(scores) - len(in_view(scores)):
        notes.append(f"Not drawn: {counted(n, 'trial')} far below.")
    return notes


def _panel(axes: Axes, data: Rise, spent: list[float], end: float) -> None:
    set_accuracy_scale(axes, "y", in_view(f.score for f in data.finishes))
    axes.plot(
        spent,
        [f.score for f in data.finishes],
        linestyle="none",
        marker="o",
        markersize=4,
        color=FAINT,
        label="a trial that ran all its epochs",
    )
    best = [f.best for f in data.finishes]
    axes.step([*spent, end], [*best, best[-1]], where="post", color=BLUE, label="best so far")
    axes.plot(
        [spent[data.winner]],
        [best[-1]],
        marker="*",
        markersize=11,
        color=INK,
        linestyle="none",
        label="the best",
    )
    axes.set_xlim(0, end * 1.03)


def _time_unit(seconds: float) -> tuple[float, str]:
    """The unit that gives numbers of two or three digits, in seconds and by name."""
    if seconds < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")
