from pathlib import Path

import matplotlib as mpl
from matplotlib.font_manager import FontProperties, findfont

from analysis.plots.style import arm_looks, plot_style
from in_memory import make_confirmation


def test_arm_looks_are_all_different():
    names = ["finalist-1", "finalist-2", "finalist-3", "hand-tuned", "own", "lenet5", "mlp"]
    looks = arm_looks(make_confirmation({name: {} for name in names}).arms)
    assert list(looks) == names
    for part in ("color", "marker"):
        assert len({look[part] for look in looks.values()}) == len(names)
    many = arm_looks(make_confirmation({f"finalist-{i}": {} for i in range(20)}).arms)
    assert len({(look["color"], look["marker"]) for look in many.values()}) == 20
    # The looks of the common baselines do not depend on the other arms.
    few = arm_looks(make_confirmation({"finalist": {}, "lenet5": {}}).arms)
    assert few["lenet5"] == looks["lenet5"]


def test_plot_style_ignores_the_users_settings_and_restores_them():
    with mpl.rc_context({"lines.linewidth": 9.0, "font.size": 40.0, "axes.facecolor": "red"}):
        with plot_style():
            assert mpl.rcParams["lines.linewidth"] == 1.8
            assert mpl.rcParams["font.size"] == 10.0
            assert mpl.rcParams["axes.facecolor"] == "white"
            found = findfont(FontProperties())
        assert mpl.rcParams["lines.linewidth"] == 9.0
    # The font comes with matplotlib, so it is on every machine.
    assert found == str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
