"""How messages show values, names and alternatives."""

import difflib
import math
from collections.abc import Iterable, Mapping

_LONGEST = 60
_MOST_LINES = 10


def shown(value: object) -> str:
    """Returns a value as a message shows it: as YAML would write it, on one short line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int():
            # Python refuses to write out integers of thousands of digits.
            return str(value) if abs(value) < 10**_LONGEST else "a huge number"
        case float():
            return number(value)
        case str():
            return f"'{printable(value)}'"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return printable(repr(value))


def number(value: float) -> str:
    """Returns a number as YAML 1.1 and 1.2 both read it, without loss.

    Python's `1e-06` is a string to YAML 1.1, which wants a dot: `1.0e-06`.
    """
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    mantissa, exponent, power = repr(value).partition("e")
    if exponent and "." not in mantissa:
        mantissa += ".0"
    return mantissa + exponent + power


def printable(text: str, longest: int = _LONGEST) -> str:
    """Returns text that cannot move the cursor, cut to a length."""
    clean = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: longest + 1])
    return clean if len(clean) <= longest else clean[:longest] + "…"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns `; did you mean …?`, or all there is to choose from where nothing is close."""
    known = list(names)
    close = difflib.get_close_matches(name[:_LONGEST].lower(), known, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; there is {listed(known, 'and')}"


def listed(names: Iterable[str], last: str) -> str:
    """Returns names as a sentence lists them: `a`, `b` and `c`."""
    *firsts, end = [f"`{name}`" for name in names]
    return f"{', '.join(firsts)} {last} {end}" if firsts else end


def first_few(lines: list[str]) -> str:
    """Returns the first ten of some lines as one text, and how many are left."""
    n_left = len(lines) - _MOST_LINES
    return "\n".join(lines[:_MOST_LINES] + ([f"and {n_left} more"] if n_left > 0 else []))
