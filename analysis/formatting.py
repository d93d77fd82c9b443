"""Formats of numbers, times and names in messages, tables and plots."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any

WIDEST = 10_000
"""Width of the output, in columns, where it is not a terminal."""


def percent(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction in percent, such as `99.12 %`, or a dash for None."""
    return "–" if fraction is None else f"{percent_number(fraction, digits)} %"


def percent_number(fraction: float, digits: int = 2) -> str:
    """Return a fraction in percent without the sign, such as `99.12`."""
    return f"{100 * fraction:.{digits}f}"


def probability(value: float) -> str:
    """Return a probability in percent; never 0 or 100 %, because a network is never certain."""
    if value > 0.9999:
        return "> 99.99 %"
    return "< 0.01 %" if value < 0.0001 else percent(value)


def points(difference: float, digits: int = 2, *, sign: bool = False) -> str:
    """Return a difference of fractions in percentage points, never as a negative zero."""
    rounded = round(100 * difference, digits) + 0.0
    return f"{rounded:+.{digits}f}" if sign else f"{rounded:.{digits}f}"


def interval(ends: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    """Return an interval such as `98.85 to 99.35`, or a dash for None; `show` formats an end."""
    return "–" if ends is None else " to ".join(map(show, ends))


def digits_beside_zero(ends: tuple[float, float] | None) -> int:
    """Return how many digits an interval in points needs, so that no end looks like 0; up to 4."""
    digits = 2
    while ends is not None and digits < 4 and not ends[0] <= 0 <= ends[1]:
        if all(round(100 * end, digits) for end in ends):
            break
        digits += 1
    return digits


def points_interval(ends: tuple[float, float] | None, *, sign: bool = False) -> str:
    """Return an interval of differences in points, with the digits that it needs."""
    digits = digits_beside_zero(ends)
    return interval(ends, lambda end: points(end, digits, sign=sign))


def mean_accuracy(mean: float, ends: tuple[float, float] | None, n_seeds: int) -> str:
    """Return a mean test accuracy with its interval, if it has one, and its number of seeds."""
    within = "" if ends is None else f" (95 % interval {interval(ends, percent)})"
    return f"{percent(mean)}{within}, mean of {count(n_seeds, 'seed')}"


def p_value(p: float | None) -> str:
    """Return a p value in three digits, or a dash for None."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, such as `58 s`, `4 min 09 s`, `2 h 05 min`."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min"


def time_left(seconds: float | None) -> str:
    """Return a rounded estimate of the time left, such as `about 5 min left`; empty for None."""
    return "" if seconds is None else f"about {rough_duration(seconds)} left"


def rough_duration(seconds: float) -> str:
    """Return an estimated time, rounded up, such as `90 s`, `5 min`, `1 h 15 min`."""
    if seconds <= 120:
        return f"{max(5, 5 * math.ceil(seconds / 5))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return duration(300 * math.ceil(minutes / 5))


def count(n: int, noun: str) -> str:
    """Return a number with its noun, such as `1 trial` or `1,024 trials`."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def dataset_name(config: Mapping[str, Any]) -> str:
    """Return the dataset of a config, such as `mnist`, or the last part of its path."""
    return printable(PurePath(config["dataset"]).name, 40)


def network_name(config: Mapping[str, Any]) -> str:
    """Return the network of a config, such as `lenet5`, or `Net@2f0c5a81` of the user's own."""
    name, _, digest = str(config["model"]).removeprefix("model.py:").partition("@")
    return printable(name, 40) + (digest and f"@{digest[:8]}")


def is_usual(config: Mapping[str, Any]) -> bool:
    """Return whether a config has the dataset and the network that need not be named."""
    return (config["dataset"], config["model"]) == ("mnist", "lenet5")


def short_names(names: Iterable[str], longest: int) -> list[str]:
    """Return names cut in the middle, or nearby if that tells more of them apart.

    Those that still look alike end in their number among all names.
    """
    whole = [printable(name, 200) for name in names]
    heads = sorted(range(1, longest - 1), key=lambda head: abs(head - longest // 2))
    cuts = (
        [n if len(n) <= longest else f"{n[:head]}…{n[head + 1 - longest :]}" for n in whole]
        for head in heads
    )
    best = max(cuts, key=lambda cut: len(set(cut)))
    return [
        cut if best.count(cut) == 1 else f"{name[: longest - 1 - len(str(i))]}…{i}"
        for i, (name, cut) in enumerate(zip(whole, best, strict=True), start=1)
    ]


def printable(text: str, longest: int = 60) -> str:
    """Return a text with its control characters escaped, cut to a length."""
    clean = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: longest + 1])
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"
