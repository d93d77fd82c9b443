"""The comparison in one picture."""

from typing import Any

from matplotlib.axes import Axes

from analysis.plots.style import BLUE, FAINT, MUTED, add_title, new_figure, plot_style
from measuring import Spread
from results import Section, median
from sweeps import OURS


def draw(sections: dict[str, Section], about: str, path: Any) -> None:
    """Draw the wall times of the sweeps, the speeds of a step, and the parts of a step."""
    with plot_style():
        figure = new_figure(5.4, about)
        add_title(figure, "What a sweep costs, side by side")
        grid = figure.add_gridspec(2, 2, height_ratios=[1.45, 1])
        sweep, step, parts = (
            figure.add_subplot(cell) for cell in (grid[0, :], grid[1, 0], grid[1, 1])
        )
        rows = sections["sweep"].tables[0]
        values = {str(row[""]).replace("`", ""): row["wall time, s"] for row in rows}
        labels = [
            f"{median(row['wall time, s']):.0f} s"
            + ("" if row[""] == OURS else f", {median(row['times ours']):.1f} times ours")
            for row in rows
        ]
        _bars(sweep, values, labels)
        sweep.set_title("The same 16 trials, seconds to the last result")
        speed_rows, part_rows = sections["step"].tables[:2]
        speeds = {
            str(row["one thread, batch 64"]).replace(", ", ",\n", 1): row["images/s"]
            for row in speed_rows
        }
        _bars(step, speeds, [f"{median(v):,.0f}" for v in speeds.values()])
        step.set_title("A step, images per second, one thread")
        shares = {str(row["part of a step here"]): row["µs"] for row in part_rows}
        _bars(parts, shares, [f"{median(v):,.0f}" for v in shares.values()])
        parts.set_title("Where its time goes here, µs")
        figure.savefig(path)


def _bars(axes: Axes, values: dict[str, Any], labels: list[str]) -> None:
    """Draw horizontal bars, the first at the top, with their ranges and labels."""
    medians = [median(value) for value in values.values()]
    colors = [BLUE if name == OURS or len(values) > 6 else FAINT for name in values]
    heights = range(len(values))
    axes.barh(heights, medians, color=colors, height=0.66)
    gap = 0.02 * max(medians)
    for height, (value, label) in enumerate(zip(values.values(), labels, strict=True)):
        end = median(value)
        if isinstance(value, Spread):
            axes.plot([value.min, value.max], [height, height], color=MUTED, linewidth=1.2)
            end = value.max
        axes.text(end + gap, height, label, va="center", size=9)
    axes.set_yticks(heights, list(values))
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlim(0, 1.25 * max(medians))
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
