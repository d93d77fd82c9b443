import math

import pytest

from sweep.config.reading import read_yaml
from sweep.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("-1E5", -100000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("+3", 3),
        ("010", 10),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("2001-01-01", "2001-01-01"),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("1e999", math.inf),
        ("yes", True),
        ("Off", False),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("none", "none"),
        ("'1'", "1"),
        ('"yes"', "yes"),
        ("''", ""),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_read_yaml_gives_plain_scalars_their_types(text, expected):
    value = read_yaml(text, "a.yaml").value
    assert value == expected
    assert type(value) is type(expected)


def test_read_yaml_reads_not_a_number():
    assert math.isnan(read_yaml(".nan", "a.yaml").value)


def test_read_yaml_knows_the_line_of_each_key_and_item():
    tree = read_yaml("a: 1\nb:\n  c:\n    [1,\n     2]\n", "a.yaml")
    assert tree.to_plain() == {"a": 1, "b": {"c": [1, 2]}}
    places = [("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1)]
    assert [tree.get(*place).where for place in places] == [
        "a.yaml:1",
        "a.yaml:2",
        "a.yaml:3",
        "a.yaml:4",
        "a.yaml:5",
    ]


def test_read_yaml_names_the_source_alone_where_lines_mean_nothing():
    assert read_yaml("[1]", "--set a=[1]", has_lines=False).get(0).where == "--set a=[1]"


def test_read_yaml_reads_keys_as_text():
    assert read_yaml("{1: a, yes: b, null: c}", "a.yaml").to_plain() == {
        "1": "a",
        "yes": "b",
        "null": "c",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", "expected ',' or ']', but got ':' (a.yaml:2, column 2)"),
        ("a:\n\t- 1", "found character '\\t' that cannot start any token (a.yaml:2, column 1)"),
        ("a: b: c", "mapping values are not allowed here (a.yaml:1, column 5)"),
        ("a: 1\n---\nb: 2", "but found another document (a.yaml:2, column 1)"),
        ("a: &x 1\nb: *x", "aliases (*x) are not supported (a.yaml:2, column 4)"),
        ("a: &x [*x]", "aliases (*x) are not supported (a.yaml:1, column 8)"),
        ("- !!python/name:os.system", "tags (!!python/name:os.system) are not supported"),
        ("a: !!float 1", "tags (!!float) are not supported (a.yaml:1, column 4)"),
        ("%YAML 9.9\n---\na: 1", "found incompatible YAML document"),
        ("a: 1\n\nb: \x00", "the character U+0000 is not allowed (a.yaml:3)"),
        ("a: \ud800", "the character U+D800 is not allowed (a.yaml:1)"),
        ('a: "\\U00110000"', "an escape or a number is out of range (a.yaml)"),
        ("[" * 100_000, "it is nested too deeply (a.yaml:1, column 10)"),
        ("- " * 60_000, "it is nested too deeply (a.yaml:1, column 19)"),
        ("? " * 60_000, "it is nested too deeply (a.yaml:1, column 19)"),
        ("#" * 140_000, "a.yaml is longer than 128 KiB"),
        ("a: 1\nb: 2\na: 3", "`a` is given twice (a.yaml:1 and a.yaml:3)"),
        ("b:\n  a: 1\n  a: 1", "`a` is given twice (a.yaml:2 and a.yaml:3)"),
        ("? [a]\n: 1", "a key must be a plain name (a.yaml:1)"),
        ("{a: 1}: 2", "a key must be a plain name (a.yaml:1)"),
        ("'\\e[2J': 1\n'\\e[2J': 1", "`\\e[2J` is given twice"),
        ('"\\e[2J": 1\n"\\e[2J": 1', "`\\x1b[2J` is given twice"),
    ],
)
def test_read_yaml_refuses_and_says_where(text, message):
    with pytest.raises(UsageError) as caught:
        read_yaml(text, "a.yaml")
    assert message in str(caught.value)


def test_read_yaml_lists_all_keys_given_twice():
    with pytest.raises(UsageError) as caught:
        read_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n", "a.yaml")
    assert str(caught.value).splitlines() == [
        "`a` is given twice (a.yaml:1 and a.yaml:2)",
        "`c` is given twice (a.yaml:3 and a.yaml:3)",
    ]
