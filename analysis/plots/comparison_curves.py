"""All arms in one picture: test accuracy and test loss by epoch."""

from dataclasses import dataclass

from matplotlib.lines import Line2D

from analysis.plots.arm_curves import ArmCurves, arm_curves, draw_band
from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scales import AXIS_NOTE, percent, set_accuracy_scale, set_loss_scale
from analysis.plots.style import (
    Frame,
    Look,
    add_keys,
    arm_looks,
    counted,
    new_figure,
    one_line,
)
from analysis.records.confirmation import Confirmation


@dataclass(frozen=True)
class ComparisonCurves:
    """The curves of the arms that have finished runs, and the titles of the others."""

    arms: tuple[ArmCurves, ...]
    missing: tuple[str, ...]


def comparison_curves(confirmation: Confirmation) -> ComparisonCurves:
    """Returns every arm's curves, in the order of the arms.

    Raises:
        NothingToDrawError: If no run has finished.
    """
    arms, missing = [], []
    for arm in confirmation.arms.values():
        try:
            arms.append(arm_curves(confirmation, arm.arm))
        except NothingToDrawError:
            missing.append(one_line(arm.title))
    if not arms:
        raise NothingToDrawError("no run of the confirmation has finished")
    return ComparisonCurves(tuple(arms), tuple(missing))


def draw_comparison_curves(results: Results) -> Picture:
    """Draws the arms' test accuracy and test loss."""
    confirmation = results.confirmed()
    data = comparison_curves(confirmation)
    looks = arm_looks({name: arm.role for name, arm in confirmation.arms.items()})
    n_rows = -(-len(data.arms) // 2)
    frame = Frame(
        "Test accuracy and loss of all arms",
        f"{results.name} · {_seeds(data)}, mean after the last epoch behind each name",
        keys=n_rows,
        note=_note(data),
    )
    figure = new_figure(4.5 + 0.2 * n_rows, frame)
    accuracy, loss = figure.subplots(1, 2)
    bands = [arm.test_accuracy for arm in data.arms]
    set_accuracy_scale(accuracy, "y", [float(v) for b in bands for v in (*b.low, *b.high)])
    bands = [arm.test_loss for arm in data.arms]
    set_loss_scale(loss, "y", [float(v) for b in bands for v in (*b.low, *b.high)])
    # The first arm, the finalist, lies on top.
    for arm in reversed(data.arms):
        draw_band(accuracy, arm.test_accuracy, looks[arm.arm])
        draw_band(loss, arm.test_loss, looks[arm.arm])
    accuracy.set(title="test accuracy (%)", xlabel="epoch")
    loss.set(title="test loss (cross-entropy)", xlabel="epoch")
    keys = [_key(arm, looks[arm.arm]) for arm in data.arms]
    add_keys(figure, keys, n_rows)
    finals = ", ".join(f"{arm.title} {_final(arm)}" for arm in data.arms)
    return Picture(figure, f"Test accuracy and loss by epoch. After the last epoch: {finals}.")


def _seeds(data: ComparisonCurves) -> str:
    counts = sorted({len(arm.seeds) for arm in data.arms})
    if counts == [1]:
        return "1 seed each"
    return " or ".join(str(count) for count in counts) + " seeds each"


def _final(arm: ArmCurves) -> str:
    return f"{percent(float(arm.test_accuracy.mean[-1]), 2)} %"


def _key(arm: ArmCurves, look: Look) -> Line2D:
    label = f"{one_line(arm.title, 36)}: {_final(arm)}"
    return Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, label=label)


def _note(data: ComparisonCurves) -> str:
    note = "Lines: mean over seeds; bands: from the lowest to the highest seed. Trained on all "
    note += f"60,000 training images, tested on the 10,000 test images. {AXIS_NOTE}"
    n_left_out = sum(arm.n_left_out for arm in data.arms)
    if n_left_out:
        note += f" Left out: {counted(n_left_out, 'run')} that did not finish."
    if data.missing:
        note += f" No finished run yet: {', '.join(data.missing)}."
    return note
