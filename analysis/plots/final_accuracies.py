"""The arms' final test accuracies: every seed, the mean and its interval."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

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
from analysis.records.confirmation import Confirmation
from analysis.results.comparison import summarize_arm
from analysis.results.statistics import Summary


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
    ranges = split_at_gap([value for row in rows for value in _extent(row)])
    frame = Frame(
        "Final test accuracy of all arms",
        f"{results.name} · after the last epoch of each run, trained on all 60,000 images",
        keys=1,
        note="Interval: Student's, for the mean over seeds; another 10,000 test images would "
        "move all of them together (standard error 0.09 points at 99.2 %). The axis is "
        f"logarithmic in the error{', and broken at //' if len(ranges) > 1 else ''}. "
        "The published figures are of single runs.",
    )
    figure = new_figure(2.7 + 0.56 * len(rows), frame)
    widths = [1.0] if len(ranges) == 1 else [1.0, 3.4]
    panels = figure.subplots(1, len(ranges), sharey=True, width_ratios=widths, squeeze=False)[0]
    for axes, values in zip(panels, ranges, strict=True):
        set_accuracy_scale(axes, "x", values, n_ticks=8 if axes is panels[-1] else 2)
        axes.grid(visible=False, axis="y")
        for place, row in enumerate(reversed(rows)):
            _draw_row(axes, place, row, looks[row.arm])
    _label_rows(panels[0], rows)
    panels[-1].set_xlabel("test accuracy (%)")
    _draw_references(panels[-1])
    if len(panels) > 1:
        _mark_break(panels[0], panels[1])
    add_keys(
        figure,
        [
            Line2D([], [], color=MUTED, ls="", marker="o", mew=0, alpha=0.8, label="one seed"),
            Line2D(
                [], [], color=INK, marker="|", ms=13, mew=2.4, lw=2, label="mean, 95 % interval"
            ),
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


def split_at_gap(values: Sequence[float]) -> list[list[float]]:
    """Returns the values in one group, or in two if a wide gap lies between them.

    The references belong to the upper group. A gap is wide if it takes two fifths of the
    way from the lowest to the highest error, in factors: what lies beyond it would leave
    too little room for the rest, whose differences are what matters.

    Args:
        values: Fractions, at least one.

    Returns:
        The groups, lower accuracies first, the references' among the last.
    """
    ends = sorted([*values, *(reference.accuracy for reference in REFERENCES)])
    lowest_reference = min(reference.accuracy for reference in REFERENCES)
    errors = [math.log(max(1 - value, 1e-4)) for value in ends]
    gaps = [lower - upper for lower, upper in itertools.pairwise(errors)]
    widest = max(range(len(gaps)), key=gaps.__getitem__)
    if gaps[widest] < 0.4 * sum(gaps) or ends[widest] >= lowest_reference:
        return [ends]
    return [ends[: widest + 1], ends[widest + 1 :]]


def _extent(row: FinalAccuracies) -> list[float]:
    ends = [*row.by_seed.values(), *(row.summary.interval or ())]
    return [min(end, 1.0) for end in ends]


def _label_rows(axes: Axes, rows: list[FinalAccuracies]) -> None:
    axes.set_ylim(-0.6, len(rows) - 0.4)
    labels = [f"{row.title}\n{describe_summary(row.summary)}" for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, linespacing=1.35)
    axes.tick_params(axis="y", length=0)


def _mark_break(lower: Axes, upper: Axes) -> None:
    """Shows that the axis leaves something out between the two."""
    upper.spines["left"].set_visible(False)
    upper.tick_params(axis="y", length=0)
    for axes, end in ((lower, 1.0), (upper, 0.0)):
        axes.plot(
            [end],
            [0],
            ls="",
            marker=[(-0.5, -1), (0.5, 1)],
            ms=10,
            mew=1,
            color=MUTED,
            transform=axes.transAxes,
            clip_on=False,
        )


def _draw_row(axes: Axes, place: int, row: FinalAccuracies, look: Look) -> None:
    accuracies = list(row.by_seed.values())
    n = len(accuracies)
    # The seeds lie above each other, in order, so that none hides another.
    heights = [place + 0.32 - 0.3 * (i / (n - 1) if n > 1 else 0.5) for i in range(n)]
    axes.plot(
        accuracies, heights, ls="", marker=look.marker, ms=5.5, mew=0, alpha=0.85, color=look.color
    )
    below = place - 0.2
    axes.plot([row.summary.mean], [below], ls="", marker="|", ms=11, mew=2.6, color=INK)
    if row.summary.interval is not None:
        axes.plot([min(end, 1.0) for end in row.summary.interval], [below] * 2, lw=2, color=INK)


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
