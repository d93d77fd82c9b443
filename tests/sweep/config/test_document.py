import math

import pytest

from analysis.yaml_text import yaml_text
from sweep.config.document import read_yaml
from sweep.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("-1E5", -100000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("+3", 3),
        ("2001-01-01", "2001-01-01"),
        ("-.Inf", -math.inf),
        ("1e999", math.inf),
        ("Off", False),
        ("~", None),
        ("none", "none"),
        ("'1'", "1"),
        ('"yes"', "yes"),
        ("{1: a, yes: b, null: c}", {"1": "a", "yes": "b", "null": "c"}),
        ("a: 1\nb:\n  c: [1]", {"a": 1, "b": {"c": [1]}}),
    ],
)
def test_read_yaml_gives_plain_data(text, expected):
    value = read_yaml(text, "a.yaml").value
    assert value == expected
    assert type(value) is type(expected)


def test_read_yaml_knows_the_line_of_each_key_and_item():
    source = read_yaml("a: 1\nb:\n  c:\n    [1,\n     2]\n", "a.yaml")
    locations = [("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1)]
    assert [source.lines[at] for at in locations] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", "expected ',' or ']', but got ':' (a.yaml:2, column 2)"),
        ("a:\n\t- 1", "found character '\\t' that cannot start any token (a.yaml:2, column 1)"),
        ("a: 1\n---\nb: 2", "but found another document (a.yaml:2, column 1)"),
        ("a: &x 1\nb: *x", "aliases (*x) are not supported (a.yaml:2, column 4)"),
        ("a: &x [*x]", "aliases (*x) are not supported (a.yaml:1, column 8)"),
        ("- !!python/name:os.system", "tags (!!python/name:os.system) are not supported"),
        ("a: !!float 1", "tags (!!float) are not supported (a.yaml:1, column 4)"),
        ("%YAML 9.9\n---\na: 1", "found incompatible YAML document"),
        ("a: 1\n\nb: \x00", "the character U+0000 is not allowed (a.yaml:3)"),
        ("a: \ud800", "the character U+D800 is not allowed (a.yaml:1)"),
        ('a: "\\U00110000"', "an escape or a number is out of range (a.yaml)"),
        ("a: " + "9" * 5000, "an escape or a number is out of range (a.yaml)"),
        ("[" * 100_000, "it is nested too deeply (a.yaml:1, column 10)"),
        ("- " * 60_000, "it is nested too deeply (a.yaml:1, column 19)"),
        ("? " * 60_000, "it is nested too deeply (a.yaml:1, column 19)"),
        ("#" * 140_000, "a.yaml is longer than 128 KiB"),
        ("a: 1\na: 2\n", "`a` is given twice, first in line 1 (a.yaml:2, column 1)"),
        ("b: {c: 1, c: 2}\n", "`c` is given twice, first in line 1 (a.yaml:1, column 11)"),
        ("? [a]\n: 1", "a key must be a name (a.yaml:1, column 3)"),
        ('"\\e[2J": 1\n"\\e[2J": 1', "`\\x1b[2J` is given twice"),
    ],
)
def test_read_yaml_rejects_and_says_where(text, message):
    with pytest.raises(UsageError) as caught:
        read_yaml(text, "a.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["1e3", "+1.E-3", "1:30", "2020-01-01", "yes"])
def test_text_that_looks_like_another_value_stays_text_in_a_config(text):
    assert read_yaml(yaml_text({"act": text}), "a.yaml").value == {"act": text}
