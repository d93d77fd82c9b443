"""The arms' final test accuracies: every seed, the mean and its interval."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.comparison import summarize_arm
from analysis.confirmation import Confirmation
from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scales import percent, set_accuracy_scale
from analysis.plots.style import (
    INK,
    MUTED,
    Frame,
    Look,
    add_keys,
    arm_looks,
    counted,
    new_figure,
    one_line,
)
from analysis.statistics import Summary


@dataclass(frozen=True)
class Reference:
    """A published result, to compare with by eye: other code, and one run."""

    label: str
    accuracy: float


# The first is the published hand-tuned recipe at its best; the second LeNet-5 without
# distortions: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
# recognition", Proc. IEEE 86 (11), 1998, section III.C, 0.95 % error.
REFERENCES = (
    Reference("hand-tuned, as published: 99.25 %", 0.9925),
    Reference("LeNet-5 in 1998: 99.05 %", 0.9905),
)


@dataclass(frozen=True)
class FinalAccuracies:
    """One arm's test accuracies after the last epoch, by seed, and what they say."""

    arm: str
    title: str
    by_seed: dict[int, float]
    summary: Summary


def final_accuracies(confirmation: Confirmation) -> list[FinalAccuracies]:
    """Returns the final accuracies of the arms that have finished runs, in their order.

    Raises:
        NothingToDrawError: If none has.
    """
    found = []
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        if summary is not None:
            by_seed = confirmation.test_accuracies(arm.arm)
            found.append(FinalAccuracies(arm.arm, one_line(arm.title, 36), by_seed, summary))
    if not found:
        raise NothingToDrawError("no run of the confirmation has finished")
    return found


def draw_final_accuracies(results: Results) -> Picture:
    """Draws the final accuracies, a row an arm."""
    confirmation = results.confirmed()
    rows = final_accuracies(confirmation)
    looks = arm_looks({name: arm.role for name, arm in confirmation.arms.items()})
    frame = Frame(
        "Final test accuracy of all arms",
        f"{results.ledger.name} · after the last epoch of each run, trained on all 60,000 images",
        keys=1,
        note="Interval: Student's, for the mean over seeds; another 10,000 test images would "
        "move all of them together (standard error 0.09 points at 99.2 %). The axis is "
        "logarithmic in the error. The published figures are of single runs.",
    )
    figure = new_figure(2.7 + 0.52 * len(rows), frame)
    axes = figure.subplots()
    _set_axes(axes, rows)
    for place, row in enumerate(reversed(rows)):
        _draw_row(axes, place, row, looks[row.arm])
    _draw_references(axes)
    add_keys(
        figure,
        [
            Line2D([], [], color=MUTED, ls="", marker="o", ms=5, alpha=0.6, label="one seed"),
            Line2D([], [], color=INK, marker="|", ms=13, mew=2.4, lw=2, label="mean, 95 % interval"),
        ],
    )
    words = "; ".join(f"{row.title} {describe_summary(row.summary)}" for row in rows)
    return Picture(figure, f"Final test accuracy by arm and seed: {words}.")


def describe_summary(summary: Summary) -> str:
    """Returns a mean with its interval, in percent."""
    mean = f"{percent(summary.mean, 2)} %"
    if summary.interval is None:
        return f"{mean} ({counted(summary.n, 'seed')}, no interval)"
    low, high = (percent(end, 2) for end in summary.interval)
    return f"{mean} ({low} to {high})"


def _set_axes(axes: Axes, rows: list[FinalAccuracies]) -> None:
    values = [reference.accuracy for reference in REFERENCES]
    for row in rows:
        values += [*row.by_seed.values(), *(row.summary.interval or ())]
    set_accuracy_scale(axes, "x", [min(value, 1.0) for value in values], n_ticks=8)
    axes.set_xlabel("test accuracy (%)")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    labels = [f"{row.title}\n{describe_summary(row.summary)}" for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, linespacing=1.35)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _draw_row(axes: Axes, place: int, row: FinalAccuracies, look: Look) -> None:
    accuracies = list(row.by_seed.values())
    n = len(accuracies)
    # The seeds lie under each other, in order, so that none hides another.
    heights = [place + 0.26 * (1 - 2 * i / (n - 1)) if n > 1 else place for i in range(n)]
    axes.plot(accuracies, heights, ls="", marker=look.marker, ms=5, mew=0, alpha=0.6, color=look.color)
    axes.plot([row.summary.mean], [place], ls="", marker="|", ms=15, mew=2.6, color=INK)
    if row.summary.interval is not None:
        axes.plot([min(end, 1.0) for end in row.summary.interval], [place] * 2, lw=2, color=INK)


def _draw_references(axes: Axes) -> None:
    for i, reference in enumerate(REFERENCES):
        axes.axvline(reference.accuracy, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
        axes.annotate(
            reference.label,
            (reference.accuracy, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, 3 + 12 * i),
            textcoords="offset points",
            ha="right",
            size=8.5,
            color=MUTED,
        )
