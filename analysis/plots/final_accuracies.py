"""The arms' final test accuracies: every seed, the mean and its interval."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.formatting import count, interval, percent, percent_number, points, printable
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
_REFERENCES = (
    ("hand-tuned, as published: 99.25 %", 0.9925, (0, (4, 3))),
    ("LeNet-5 in 1998: 99.05 %", 0.9905, (0, (1, 2))),
)
_REFERENCE_EPOCHS = 10  # shorter runs cannot be compared with the published ones


def describe_summary(summary: Summary) -> str:
    """Return a mean with its interval, in percent."""
    if summary.interval is None:
        without = ", no interval" if summary.n > 1 else ""
        return f"{percent(summary.mean)} ({count(summary.n, 'seed')}{without})"
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
    is_alike = results.ledger.config["dataset"] == "mnist"
    references = _REFERENCES if is_alike and epochs >= _REFERENCE_EPOCHS else ()
    has_interval = any(summary.interval for _, summary in rows)
    note = "Interval: of each arm alone, for the mean over seeds. " if has_interval else ""
    data, highest = results.ledger.data, max(summary.mean for _, summary in rows)
    error = f"{points(data.image_error(highest))} points at {percent(highest, 1)}"
    note += f"Other test images would shift all arms, mostly together (standard error {error}). "
    note += AXIS_NOTE
    note += left_out(confirmation, confirmation.arms)
    if references:
        note += " The published results are of single runs."
    about = (
        f"{results.name} · after the last epoch of each run, trained on {data.n_train:,} images"
    )
    figure = new_figure(2.7 + 0.56 * len(rows), about, note, legend_rows=1)
    axes = figure.subplots()
    shown = [accuracy for _, accuracy, _ in references]
    _draw_rows(axes, confirmation, rows, shown, data.n_test)
    seed = Line2D([], [], color=MUTED, ls="", marker="o", mew=0, alpha=0.8, label="one seed")
    legend = [seed]
    if any(summary.n > 1 for _, summary in rows):
        label, line = ("mean, 95 % interval", "-") if has_interval else ("mean", "")
        mean = Line2D([], [], color=INK, ls=line, marker="|", ms=13, mew=2.4, lw=2, label=label)
        legend.append(mean)
    for label, accuracy, dashes in references:
        legend.append(axes.axvline(accuracy, color=MUTED, lw=1, ls=dashes, zorder=1, label=label))
    add_legend(figure, legend)
    words = "; ".join(f"{_title(arm)} {describe_summary(summary)}" for arm, summary in rows)
    return Picture(figure, f"Final test accuracy by arm and seed: {words}.")


def left_out(confirmation: Confirmation, arms: Iterable[str]) -> str:
    """Return a sentence about the runs of some arms that have no result; "" if there are none."""
    n = sum(len(confirmation.runs_of(a)) - len(confirmation.test_accuracies(a)) for a in arms)
    return f" Left out: {count(n, 'run')} that did not finish." if n else ""


def _draw_rows(
    axes: Axes,
    confirmation: Confirmation,
    rows: list[tuple[Arm, Summary]],
    shown: list[float],
    n_images: int,
) -> None:
    """Draw seeds, mean and interval of each arm, the first on top; the axis contains `shown`."""
    looks = arm_looks(confirmation.arms)
    for y, (arm, summary) in enumerate(reversed(rows)):
        by_seed = confirmation.test_accuracies(arm.arm)
        accuracies = list(by_seed.values())
        shown = [*shown, *accuracies, *(summary.interval or ())]
        # The seeds are drawn at different heights, in order, so that none hides another.
        n, look = summary.n, looks[arm.arm] | {"ls": ""}
        heights = [y + 0.32 - 0.3 * i / (n - 1) for i in range(n)] if n > 1 else [y]
        (marks,) = axes.plot(accuracies, heights, **look, ms=5.5, mew=0, alpha=0.85)
        set_titles(marks, (f"seed {seed}: {percent(a)}" for seed, a in by_seed.items()))
        if n > 1:
            axes.plot([summary.mean], [y - 0.2], ls="", marker="|", ms=11, mew=2.6, color=INK)
        if summary.interval:
            axes.plot(summary.interval, [y - 0.2] * 2, lw=2, color=INK)
    set_accuracy_scale(axes, "x", shown, n_images, n_ticks=8)
    labels = [f"{_title(arm)}\n{describe_summary(summary)}" for arm, summary in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, linespacing=1.35)
    axes.tick_params(axis="y", length=0, pad=9)  # another font may be wider
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="test accuracy (%)", ylim=(-0.6, len(rows) - 0.4))


def _title(arm: Arm) -> str:
    return printable(arm.title, 36)
