"""The arms' final test accuracies: every seed, the mean and its interval."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.formatting import count, percent, percent_number, printable
from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scales import set_accuracy_scale
from analysis.plots.style import INK, MUTED, Look, add_legend, arm_looks, new_figure
from analysis.records.confirmation import Confirmation
from analysis.results.comparison import summarize_arm
from analysis.results.statistics import Summary


@dataclass(frozen=True)
class Reference:
    """A published result of a single run of other code, to compare with by eye."""

    label: str
    accuracy: float


# The first is the published hand-tuned recipe at its best; the second LeNet-5 without
# distortions: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
# recognition", Proc. IEEE 86 (11), 1998, section III.C, 0.95 % error.
REFERENCES = (
    Reference("hand-tuned, as published: 99.25 %", 0.9925),
    Reference("LeNet-5 in 1998: 99.05 %", 0.9905),
)
_REFERENCE_EPOCHS = 10  # shorter runs are no match for the published ones


@dataclass(frozen=True)
class FinalAccuracies:
    """One arm's test accuracies after the last epoch, by seed, and their summary."""

    arm: str
    title: str
    by_seed: dict[int, float]
    summary: Summary

    @property
    def interval(self) -> tuple[float, ...]:
        """The ends of the interval as far as accuracies reach; empty without an interval."""
        return tuple(np.clip(self.summary.interval or (), 0, 1).tolist())


def final_accuracies(confirmation: Confirmation) -> list[FinalAccuracies]:
    """Return the final accuracies of the arms that have finished runs, in order.

    Raises:
        NothingToDrawError: If no run has finished.
    """
    found = []
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        if summary is not None:
            by_seed = confirmation.test_accuracies(arm.arm)
            found.append(FinalAccuracies(arm.arm, printable(arm.title, 36), by_seed, summary))
    if not found:
        raise NothingToDrawError("no run of the confirmation has finished")
    return found


def describe_summary(summary: Summary) -> str:
    """Return a mean with its interval, in percent."""
    if summary.interval is None:
        return f"{percent(summary.mean)} ({count(summary.n, 'seed')}, no interval)"
    low, high = (percent_number(end) for end in np.clip(summary.interval, 0, 1))
    return f"{percent(summary.mean)} ({low} to {high})"


def split_at_gap(values: Sequence[float], references: Sequence[float]) -> list[list[float]]:
    """Return values and references in one group, or in two if there is a wide gap.

    A gap is wide if it takes two fifths of the distance from the lowest to the highest error,
    in factors: the rest, whose differences matter, would be crowded. The references belong to
    the upper group.

    Args:
        values: Fractions, at least one.
        references: Fractions.

    Returns:
        The groups, lower accuracies first.
    """
    ends = sorted([*values, *references])
    errors = [math.log(max(1 - value, 1e-4)) for value in ends]
    gaps = [lower - upper for lower, upper in itertools.pairwise(errors)]
    widest = int(np.argmax(gaps)) if gaps else 0
    if not gaps or gaps[widest] < 0.4 * sum(gaps) or ends[widest] >= min(references, default=1):
        return [ends]
    return [ends[: widest + 1], ends[widest + 1 :]]


def draw_final_accuracies(results: Results) -> Picture:
    """Draw the final accuracies, one row per arm."""
    confirmation = results.confirmed()
    rows = final_accuracies(confirmation)
    epochs = min(confirmation.arms[row.arm].epochs for row in rows)
    references = REFERENCES if epochs >= _REFERENCE_EPOCHS else ()
    ranges = split_at_gap(
        [value for row in rows for value in (*row.by_seed.values(), *row.interval)],
        [reference.accuracy for reference in references],
    )
    note = (
        "Interval: Student's, for the mean over seeds. Another 10,000 test images would move all "
        "arms together (standard error 0.09 points at 99.2 %). The axis is logarithmic in the "
        f"error{', and broken at //' if len(ranges) > 1 else ''}."
    )
    if references:
        note += " The published figures are of single runs."
    figure = new_figure(
        2.7 + 0.56 * len(rows),
        f"{results.name} · after the last epoch of each run, trained on all 60,000 images",
        note,
        legend_rows=1,
    )
    widths = [1.0] if len(ranges) == 1 else [1.0, 3.4]
    panels = figure.subplots(1, len(ranges), sharey=True, width_ratios=widths, squeeze=False)[0]
    looks = arm_looks(confirmation.arms)
    for axes, values in zip(panels, ranges, strict=True):
        set_accuracy_scale(axes, "x", values, n_ticks=8 if axes is panels[-1] else 2)
        axes.grid(visible=False, axis="y")
        draw_rows(axes, rows, looks)
    panels[0].set_ylim(-0.6, len(rows) - 0.4)
    labels = [f"{row.title}\n{describe_summary(row.summary)}" for row in reversed(rows)]
    panels[0].set_yticks(range(len(rows)), labels, linespacing=1.35)
    panels[0].tick_params(axis="y", length=0)
    panels[-1].set_xlabel("test accuracy (%)")
    for i, reference in enumerate(references):
        _draw_reference(panels[-1], reference, 3 + 12 * i)
    if len(panels) > 1:
        _mark_break(panels[0], panels[1])
    mean: dict[str, Any] = {"color": INK, "marker": "|", "ms": 13, "mew": 2.4, "lw": 2}
    has_interval = any(row.interval for row in rows)
    label = "mean, 95 % interval" if has_interval else "mean"
    legend = [
        Line2D([], [], color=MUTED, ls="", marker="o", mew=0, alpha=0.8, label="one seed"),
        Line2D([], [], label=label, **mean | ({} if has_interval else {"ls": ""})),
    ]
    add_legend(figure, legend)
    words = "; ".join(f"{row.title} {describe_summary(row.summary)}" for row in rows)
    return Picture(figure, f"Final test accuracy by arm and seed: {words}.")


def draw_rows(axes: Axes, rows: Sequence[FinalAccuracies], looks: dict[str, Look]) -> None:
    """Draw the seeds, the mean and the interval of each arm, the first arm at the top."""
    for y, row in enumerate(reversed(rows)):
        look, accuracies = looks[row.arm], list(row.by_seed.values())
        # The seeds are drawn at different heights, in order, so that none hides another.
        n = len(accuracies)
        heights = [y + 0.32 - 0.3 * (i / (n - 1) if n > 1 else 0.5) for i in range(n)]
        axes.plot(accuracies, heights, look.marker, color=look.color, ms=5.5, mew=0, alpha=0.85)
        axes.plot([row.summary.mean], [y - 0.2], ls="", marker="|", ms=11, mew=2.6, color=INK)
        if row.interval:
            axes.plot(row.interval, [y - 0.2] * 2, lw=2, color=INK)


def _mark_break(lower: Axes, upper: Axes) -> None:
    """Mark that the axis is broken between two panels."""
    upper.spines["left"].set_visible(False)
    upper.tick_params(axis="y", length=0)
    slash: dict[str, Any] = {"marker": [(-0.5, -1), (0.5, 1)], "ms": 10, "mew": 1, "ls": ""}
    for axes, end in ((lower, 1.0), (upper, 0.0)):
        axes.plot([end], [0], color=MUTED, transform=axes.transAxes, clip_on=False, **slash)


def _draw_reference(axes: Axes, reference: Reference, height: float) -> None:
    """Draw a published accuracy as a line, with its label `height` points above the axes."""
    axes.axvline(reference.accuracy, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
    axes.annotate(
        reference.label,
        (reference.accuracy, 1),
        xycoords=("data", "axes fraction"),
        xytext=(2, height),
        textcoords="offset points",
        ha="right",
        size=8.5,
        color=MUTED,
    )
