"""All arms in one picture: test accuracy and test loss by epoch."""

from dataclasses import dataclass

from matplotlib.lines import Line2D

from analysis.formatting import count, percent, printable
from analysis.plots.arm_curves import ArmCurves, arm_curves, draw_band, extent
from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scales import AXIS_NOTE, set_accuracy_scale, set_loss_scale
from analysis.plots.style import Look, add_legend, arm_looks, new_figure
from analysis.records.confirmation import Confirmation


@dataclass(frozen=True)
class ComparisonCurves:
    """The curves of the arms that have finished runs, and the titles of the others."""

    arms: tuple[ArmCurves, ...]
    missing: tuple[str, ...]


def comparison_curves(confirmation: Confirmation) -> ComparisonCurves:
    """Return every arm's curves, in the order of the arms.

    Raises:
        NothingToDrawError: If no run has finished.
    """
    arms, missing = [], []
    for arm in confirmation.arms.values():
        try:
            arms.append(arm_curves(confirmation, arm.arm))
        except NothingToDrawError:
            missing.append(printable(arm.title))
    if not arms:
        raise NothingToDrawError("no run of the confirmation has finished")
    return ComparisonCurves(tuple(arms), tuple(missing))


def draw_comparison_curves(results: Results) -> Picture:
    """Draw the arms' test accuracy and test loss."""
    confirmation = results.confirmed()
    data = comparison_curves(confirmation)
    looks = arm_looks(confirmation.arms)
    n_seeds = sorted({len(arm.seeds) for arm in data.arms})
    seeds = " or ".join([*map(str, n_seeds[:-1]), count(n_seeds[-1], "seed")])
    about = f"{results.name} · {seeds} per arm, mean after the last epoch beside each name"
    n_rows = -(-len(data.arms) // 2)
    figure = new_figure(4.5 + 0.2 * n_rows, about, _note(data), legend_rows=n_rows)
    accuracy, loss = figure.subplots(1, 2)
    set_accuracy_scale(accuracy, "y", extent(*(arm.test_accuracy for arm in data.arms)))
    set_loss_scale(loss, extent(*(arm.test_loss for arm in data.arms)))
    # The first arm, a finalist, is drawn on top.
    for arm in reversed(data.arms):
        draw_band(accuracy, arm.test_accuracy, looks[arm.arm])
        draw_band(loss, arm.test_loss, looks[arm.arm])
    accuracy.set(title="test accuracy (%)", xlabel="epoch")
    loss.set(title="test loss (cross-entropy)", xlabel="epoch")
    add_legend(figure, [_entry(arm, looks[arm.arm]) for arm in data.arms], n_rows)
    finals = ", ".join(f"{arm.title} {_final(arm)}" for arm in data.arms)
    return Picture(figure, f"Test accuracy and loss by epoch. After the last epoch: {finals}.")


def _final(arm: ArmCurves) -> str:
    return percent(float(arm.test_accuracy.mean[-1]))


def _entry(arm: ArmCurves, look: Look) -> Line2D:
    label = f"{printable(arm.title, 36)}: {_final(arm)}"
    return Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, label=label)


def _note(data: ComparisonCurves) -> str:
    note = "Lines: mean over seeds; bands: lowest to highest seed. Trained on all 60,000 training "
    note += f"images, tested on the 10,000 test images. {AXIS_NOTE}"
    if n_unfinished := sum(arm.n_unfinished for arm in data.arms):
        note += f" Left out: {count(n_unfinished, 'run')} that did not finish."
    if data.missing:
        note += f" No finished run yet: {', '.join(data.missing)}."
    return note
