import json

from measuring import Spread
from results import Section, Target

ROWS = [
    {"arm": "ours", "s": Spread.of([10.0, 12.04, 11.0]), "n": 16},
    {"arm": "another", "s": Spread.of([2.0]), "n": 1_600},
]


def test_table_shows_medians_with_their_range():
    text = Section("Sweep", "In turn.", [ROWS]).to_markdown()
    assert "## Sweep\n\nIn turn.\n\n| arm | s | n |\n| --- | ---: | ---: |\n" in text
    assert "\n| ours | 11.0 (10.0 to 12.0) | 16 |\n| another | 2.0 | 1,600 |\n" in text


def test_targets_say_whether_they_are_met():
    ratio = Target("the ratio", 4.6, 3.7, "×", at_least=True)
    assert str(ratio) == "the ratio: 4.6×, at least 3.7× wanted: met"
    cost = Target("a trial", 93.0, 80, " ms")
    assert str(cost) == "a trial: 93 ms, at most 80 ms wanted: MISSED"
    section = Section("Overhead", "", [ROWS], [ratio, cost])
    assert [target["met"] for target in section.to_json()["targets"]] == [True, False]


def test_json_has_every_measurement():
    plain = json.loads(json.dumps(Section("Sweep", "", [ROWS]).to_json()))
    assert plain["tables"][0][0]["s"]["values"] == [10.0, 12.04, 11.0]
