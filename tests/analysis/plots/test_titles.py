from xml.etree import ElementTree

import pytest

from analysis.plots.gallery import SEARCH_PLOTS, render
from analysis.plots.results import Results
from analysis.records.predictions import ShownImages

ENDED = {1: "98.50 %", 2: "stopped early, 80.00 % after 1 epoch", 3: "99.00 %", 4: "failed"}


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("best-so-far", [1, 3, 3] * 2),  # the best is marked as such, too
        ("learning-curves", [2, 5, 1, 3, 3]),
        ("slices", [1, 3, 2, 4] * 2),
        ("parallel-coordinates", [2, 1, 3]),
    ],
)
def test_every_mark_in_svg_says_its_trial(some_ledger, name, trials):
    (plot,) = [plot for plot in SEARCH_PLOTS if plot.name == name]
    results = Results(some_ledger, None, {}, ShownImages.none())
    svg = ElementTree.fromstring(render(plot, results, "svg")[0])
    titled = [element for element in svg.iter() if element.get("class") == "titled"]
    titles = [str(element[0].text) for element in titled]
    assert [int(title.split()[1].strip(":")) for title in titles] == trials
    for title in titles:
        number, outcome = title.split("\n")[0].removeprefix("trial ").split(": ")
        assert ENDED.get(int(number), "not finished, 94.00 % after 2 epochs") == outcome
    assert "trial 3: 99.00 %\ndropout 0\nweight decay 0.001" in titles
    if name == "slices":
        # The better trial is the higher one.
        assert float(titled[1].attrib["y"]) < float(titled[0].attrib["y"])
