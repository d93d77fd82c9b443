"""All arms in one picture: test accuracy and test loss by epoch."""

from matplotlib.lines import Line2D

from analysis.formatting import count, percent, printable
from analysis.plots.arm_curves import arm_curves, draw_band, extent
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.scales import AXIS_NOTE, set_accuracy_scale, set_loss_scale
from analysis.plots.style import add_legend, arm_looks, new_figure


def draw_comparison_curves(results: Results) -> Picture:
    """Draw the test accuracy and test loss of all arms with a finished run."""
    confirmation = results.confirmed()
    curves, missing = {}, []
    for name in confirmation.arms:
        try:
            curves[name] = arm_curves(confirmation, name)
        except NothingToDrawError:
            missing.append(printable(confirmation.arms[name].title))
    if not curves:
        raise NothingToDrawError("no run of the confirmation has finished")
    note = "Lines: mean over seeds; bands: lowest to highest seed. Trained on all 60,000 training "
    note += f"images, tested on the 10,000 test images. {AXIS_NOTE}"
    if n_unfinished := sum(arm.n_unfinished for arm in curves.values()):
        note += f" Left out: {count(n_unfinished, 'run')} that did not finish."
    if missing:
        note += f" No finished run yet: {', '.join(missing)}."
    n_seeds = sorted({arm.n for arm in curves.values()})
    seeds = " or ".join([*map(str, n_seeds[:-1]), count(n_seeds[-1], "seed")])
    about = f"{results.name} · {seeds} per arm, mean after the last epoch beside each name"
    n_rows = -(-len(curves) // 2)
    figure = new_figure(4.5 + 0.2 * n_rows, about, note, legend_rows=n_rows)
    accuracy, loss = figure.subplots(1, 2)
    set_accuracy_scale(accuracy, "y", extent(*(arm.test_accuracy for arm in curves.values())))
    set_loss_scale(loss, extent(*(arm.test_loss for arm in curves.values())))
    looks, legend, finals = arm_looks(confirmation.arms), [], []
    # The first arm, a finalist, is drawn on top.
    for name, arm in reversed(curves.items()):
        draw_band(accuracy, arm.test_accuracy, looks[name])
        draw_band(loss, arm.test_loss, looks[name])
    for name, arm in curves.items():
        title, final = confirmation.arms[name].title, percent(float(arm.test_accuracy.mean[-1]))
        legend.append(Line2D([], [], label=f"{printable(title, 36)}: {final}", **looks[name]))
        finals.append(f"{printable(title)} {final}")
    accuracy.set(title="test accuracy (%)", xlabel="epoch")
    loss.set(title="test loss (cross-entropy)", xlabel="epoch")
    add_legend(figure, legend, n_rows)
    alt = f"Test accuracy and loss by epoch. After the last epoch: {', '.join(finals)}."
    return Picture(figure, alt)
