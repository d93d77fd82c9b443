from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont

from analysis.plots.style import arm_looks, counted, one_line, plot_style, sequence


def test_arm_looks_are_all_different() -> None:
    roles = {"a": "finalist", "b": "finalist", "c": "finalist", "hand-tuned": "baseline"}
    roles |= {"own": "baseline", "lenet5": "baseline", "mlp": "baseline"}
    looks = arm_looks(roles)
    assert list(looks) == list(roles)
    for part in ("color", "marker"):
        assert len({getattr(look, part) for look in looks.values()}) == len(roles)


def test_arm_looks_of_the_common_baselines_do_not_depend_on_others() -> None:
    few = arm_looks({"a": "finalist", "lenet5": "baseline"})
    many = arm_looks({"own": "baseline", "hand-tuned": "baseline", "lenet5": "baseline"})
    assert few["lenet5"] == many["lenet5"]


def test_plot_style_ignores_the_users_settings_and_keeps_them() -> None:
    with mpl.rc_context({"lines.linewidth": 9.0, "font.size": 40.0, "axes.facecolor": "red"}):
        with plot_style():
            assert mpl.rcParams["lines.linewidth"] == 1.8
            assert mpl.rcParams["font.size"] == 10.0
            assert mpl.rcParams["axes.facecolor"] == "white"
        assert mpl.rcParams["lines.linewidth"] == 9.0


def test_sequence_gets_darker() -> None:
    red, green, blue, alpha = sequence(np.linspace(0, 1, 9)).T
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert np.all(np.diff(luminance) < 0)
    assert np.all(alpha == 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\nlines\tand  more\x07", "two lines and more"),
        ("abcdefghijk", "abcdefghi…"),
        ("", ""),
    ],
)
def test_one_line(text: str, expected: str) -> None:
    assert one_line(text, 10 if len(text) == 11 else 60) == expected


@pytest.mark.parametrize(
    ("n", "expected"), [(0, "0 trials"), (1, "1 trial"), (1000, "1,000 trials")]
)
def test_counted(n: int, expected: str) -> None:
    assert counted(n, "trial") == expected


def test_plot_style_draws_with_the_font_that_comes_with_matplotlib() -> None:
    with plot_style():
        found = findfont(FontProperties())
    assert found == str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
