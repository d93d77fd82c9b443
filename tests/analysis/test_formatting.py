from functools import partial

import pytest

from analysis.formatting import (
    count,
    duration,
    interval,
    p_value,
    percent,
    percent_number,
    points,
    printable,
    probability,
    time_left,
)


@pytest.mark.parametrize(
    ("show", "arguments", "expected"),
    [
        (percent, (0.99125,), "99.12 %"),
        (percent, (0.5, 0), "50 %"),
        (percent, (None,), "–"),
        (percent_number, (0.00032, 3), "0.032"),
        (probability, (0.99991,), "> 99.99 %"),
        (probability, (0.9999,), "99.99 %"),
        (probability, (0.00001,), "< 0.01 %"),
        (points, (0.0012345,), "0.12"),
        (points, (-0.0012345, 3), "-0.123"),
        (points, (-0.00001,), "0.00"),  # never a negative zero
        (partial(points, sign=True), (0.0012,), "+0.12"),
        (partial(points, sign=True), (-0.00001,), "+0.00"),
        (interval, ((0.1, 0.25), percent_number), "10.00 to 25.00"),
        (interval, (None, percent_number), "–"),
        (p_value, (0.00099,), "< 0.001"),
        (p_value, (0.001,), "0.001"),
        (p_value, (1.0,), "1.000"),
        (p_value, (None,), "–"),
        (duration, (0.4,), "0 s"),
        (duration, (59.4,), "59 s"),
        (duration, (59.6,), "1 min 00 s"),
        (duration, (3599,), "59 min 59 s"),
        (duration, (3600,), "1 h 00 min"),
        (duration, (4_000_000,), "1,111 h 06 min"),
        (time_left, (None,), ""),
        (time_left, (0.0,), "about 5 s left"),
        (time_left, (41,), "about 45 s left"),
        (time_left, (61,), "about 65 s left"),
        (time_left, (121,), "about 3 min left"),
        (time_left, (3540,), "about 59 min left"),
        (time_left, (3541,), "about 1 h 00 min left"),
        (time_left, (7201,), "about 2 h 05 min left"),
        (count, (1, "trial"), "1 trial"),
        (count, (0, "trial"), "0 trials"),
        (count, (1024, "trial"), "1,024 trials"),
        (printable, ("a\x1b[31m\nb",), "a\\x1b[31m\\nb"),
        (printable, ("Straße ✓",), "Straße ✓"),
        (printable, ("abcdef", 4), "abc…"),
        (printable, ("abcd", 4), "abcd"),
    ],
)
def test_formatting(show, arguments, expected):
    assert show(*arguments) == expected
