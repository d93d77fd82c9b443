"""The arms' final test accuracies: every seed, the mean and its interval."""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.formatting import count, interval, percent, percent_number, printable
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.scales import AXIS_NOTE, set_accuracy_scale
from analysis.plots.style import INK, MUTED, add_legend, arm_looks, new_figure
from analysis.plots.titles import set_titles
from analysis.records.confirmation import Arm, Confirmation
from analysis.results.comparison import summarize_arm
from analysis.results.statistics import Summary

# Published results of single runs of other code, to compare with by eye.
# The first is the published hand-tuned recipe at its best; the second LeNet-5 without
# distortions: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
# recognition", Proc. IEEE 86 (11), 1998, section III.C, 0.95 % error.
_REFERENCES = {"hand-tuned, as published: 99.25 %": 0.9925, "LeNet-5 in 1998: 99.05 %": 0.9905}
_REFERENCE_EPOCHS = 10  # shorter runs cannot be compared with the published ones


def describe_summary(summary: Summary) -> str:
    """Return a mean with its interval, in percent."""
    if summary.interval is None:
        return f"{percent(summary.mean)} ({count(summary.n, 'seed')}, no interval)"
    return f"{percent(summary.mean)} ({interval(summary.interval, percent_number)})"


def draw_final_accuracies(results: Results) -> Picture:
    """Draw the final accuracies, one row per arm."""
    confirmation = results.confirmed()
    rows = [
        (arm, summary)
        for arm in confirmation.arms.values()
        if (summary := summarize_arm(confirmation, arm.arm)) is not None
    ]
    if not rows:
        raise NothingToDrawError("no run of the confirmation has finished")
    epochs = min(arm.epochs for arm, _ in rows)
    references = _REFERENCES if epochs >= _REFERENCE_EPOCHS else {}
    has_interval = any(summary.interval for _, summary in rows)
    note = "Interval: Student's, for the mean over seeds. " if has_interval else ""
    note += "Other test images would shift all arms alike (standard error 0.09 points at 99.2 %). "
    note += AXIS_NOTE
    if references:
        note += " The published results are of single runs."
    about = f"{results.name} · after the last epoch of each run, trained on all 60,000 images"
    figure = new_figure(2.7 + 0.56 * len(rows), about, note, legend_rows=1)
    _draw_rows(figure.subplots(), confirmation, rows, references)
    seed = Line2D([], [], color=MUTED, ls="", marker="o", mew=0, alpha=0.8, label="one seed")
    label, line = ("mean, 95 % interval", "-") if has_interval else ("mean", "")
    mean = Line2D([], [], color=INK, ls=line, marker="|", ms=13, mew=2.4, lw=2, label=label)
    add_legend(figure, [seed, mean])
    words = "; ".join(f"{_title(arm)} {describe_summary(summary)}" for arm, summary in rows)
    return Picture(figure, f"Final test accuracy by arm and seed: {words}.")


def _draw_rows(
    axes: Axes,
    confirmation: Confirmation,
    rows: list[tuple[Arm, Summary]],
    references: dict[str, float],
) -> None:
    """Draw the seeds, the mean and the interval of each arm, the first arm at the top."""
    looks, shown = arm_looks(confirmation.arms), list(references.values())
    for y, (arm, summary) in enumerate(reversed(rows)):
        by_seed = confirmation.test_accuracies(arm.arm)
        accuracies = list(by_seed.values())
        shown += [*accuracies, *(summary.interval or ())]
        # The seeds are drawn at different heights, in order, so that none hides another.
        n, look = summary.n, looks[arm.arm] | {"ls": ""}
        heights = [y + 0.32 - 0.3 * (i / (n - 1) if n > 1 else 0.5) for i in range(n)]
        (marks,) = axes.plot(accuracies, heights, **look, ms=5.5, mew=0, alpha=0.85)
        set_titles(marks, (f"seed {seed}: {percent(a)}" for seed, a in by_seed.items()))
        axes.plot([summary.mean], [y - 0.2], ls="", marker="|", ms=11, mew=2.6, color=INK)
        if summary.interval:
            axes.plot(summary.interval, [y - 0.2] * 2, lw=2, color=INK)
    set_accuracy_scale(axes, "x", shown, n_ticks=8)
    labels = [f"{_title(arm)}\n{describe_summary(summary)}" for arm, summary in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, linespacing=1.35)
    axes.tick_params(axis="y", length=0, pad=9)  # another font may be wider
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="test accuracy (%)", ylim=(-0.6, len(rows) - 0.4))
    for i, (label, accuracy) in enumerate(references.items()):
        axes.axvline(accuracy, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
        axes.annotate(
            label,
            (accuracy, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, 3 + 12 * i),
            textcoords="offset points",
            ha="right",
            size=8.5,
            color=MUTED,
        )


def _title(arm: Arm) -> str:
    return printable(arm.title, 36)
