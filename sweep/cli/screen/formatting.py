"""How figures are written on the screen."""

import math
from collections.abc import Mapping
from typing import Any

WIDEST = 10_000  # columns: what is no terminal takes lines of any length
_UNITS = {"rotation": "°"}


def percent(fraction: float | None) -> str:
    """Returns a fraction in percent, or a dash for none."""
    return "–" if fraction is None else f"{100 * fraction:.2f} %"


def duration(seconds: float) -> str:
    """Returns a time as a clock shows it, `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def time_left(seconds: float | None) -> str:
    """Returns an estimate, no finer than it is; nothing for none."""
    if seconds is None:
        return ""
    minutes = math.ceil(seconds / 60)
    return f"about {minutes} min left" if minutes > 1 else "about a minute left"


def hyperparameter(name: str, value: Any) -> str:
    """Returns a value in three significant digits, with its unit."""
    if isinstance(value, float):
        text = f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    return text + _UNITS.get(name, "")


def hyperparameters(values: Mapping[str, Any]) -> str:
    """Returns hyperparameters in one line."""
    return "  ".join(f"{name} {hyperparameter(name, value)}" for name, value in values.items())


def count(n: int, noun: str) -> str:
    """Returns a number with its noun, in the plural where that is right."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
