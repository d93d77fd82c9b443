"""The best scores so far of several sweeps, against the epochs that each has used."""

from collections.abc import Mapping

from analysis.formatting import percent, printable, short_names
from analysis.plots.results import NothingToDrawError, Picture
from analysis.plots.scales import AXIS_NOTE, in_view, set_accuracy_scale
from analysis.plots.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    add_legend,
    new_figure,
)
from analysis.records.ledger import Ledger
from analysis.results.progress import sweep_curve
from analysis.results.selection import describe_rule

_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, INK)
_SHORT = 28  # characters of a label of which three fit side by side
_STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))


def draw_sweeps_so_far(ledgers: Mapping[str, Ledger]) -> Picture:
    """Draw the best score so far of each sweep, by name, against its epochs.

    NothingToDrawError if no trial of any sweep ran all its epochs.
    """
    found = {name: sweep_curve(ledger) for name, ledger in ledgers.items()}
    curves = {name: curve for name, curve in found.items() if curve[0]}
    if not curves:
        raise NothingToDrawError("no trial of these sweeps has run all its epochs")
    rules = {describe_rule(ledgers[name]).removeprefix("highest ") for name in curves}
    note = f"Score: {rules.pop()}." if len(rules) == 1 else "The sweeps have different scores."
    if len({ledgers[name].data.fingerprint for name in curves}) > 1:
        note += " Their datasets differ: the accuracies cannot be compared."
    if missing := [printable(name, 40) for name in found if name not in curves]:
        note += f" Not drawn, because no trial ran all its epochs: {', '.join(missing)}."
    names = zip(short_names(curves, 30), curves.values(), strict=True)
    labels = [f"{name}: {percent(best[-1])}" for name, (_, best) in names]
    n_rows = -(-len(curves) // (3 if max(map(len, labels)) <= _SHORT else 2))
    figure = new_figure(
        4.0 + 0.2 * n_rows,
        "Best validation accuracy of the trials that ran all their epochs",
        f"{note} {AXIS_NOTE}",
        legend_rows=n_rows,
    )
    axes = figure.subplots()
    n_images = max(ledgers[name].data.n_validation for name in curves)
    shown = [score for _, best in curves.values() for score in in_view(best, n_images)]
    set_accuracy_scale(axes, "y", shown, n_images)
    for number, (label, (epochs, best)) in enumerate(zip(labels, curves.values(), strict=True)):
        color, style = _COLORS[number % len(_COLORS)], _STYLES[number % len(_STYLES)]
        axes.step(epochs, best, where="post", color=color, ls=style, label=label)
        reached = best.index(best[-1])
        axes.plot(epochs[reached], best[-1], marker="*", ms=10, color=color)
    axes.set_xlim(0, max(epochs[-1] for epochs, _ in curves.values()) * 1.03)
    axes.set(xlabel="epochs of all trials", ylabel="validation accuracy (%)")
    add_legend(figure, [line for line in axes.get_lines() if line.get_marker() != "*"])
    reached_all = ", ".join(
        f"{name} {percent(best[-1])} in {epochs[-1]:,} epochs"
        for name, (epochs, best) in curves.items()
    )
    return Picture(figure, f"Best validation accuracy reached: {printable(reached_all, 500)}.")
