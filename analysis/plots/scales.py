"""Axes for accuracies and losses, on which a tenth of a point near 99 % is still seen.

An accuracy axis is logarithmic in the error, 1 - accuracy: the way from 98 to 99 % is as
long as that from 96 to 98 %, because either halves the error.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray

AXIS_NOTE = "Accuracy axes are logarithmic in the error."

Side = Literal["x", "y"]
Array = NDArray[np.float64]

_HALF_AN_IMAGE = 5e-5  # of 10,000; added to errors, so that 100 % has a place
_SMALLEST_LOSS = 1e-6
# The densest that leaves few enough ticks is taken.
_MANTISSAS = (
    (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 6, 8),
    (1, 2, 3, 5),
    (1, 2, 5),
    (1, 3),
    (1,),
)
_FAR_BELOW = 3  # times the error of most
_ROOM = 0.06  # left at both ends, as a part of what the values take
_EVEN_BELOW = 3  # the ratio of an axis' ends below which round even steps fit it best


def in_view(accuracies: Iterable[float]) -> list[float]:
    """Returns the accuracies without the few so low that the others would be crowded together.

    Those have more than three times the error that three quarters of all stay within.
    """
    values = list(accuracies)
    errors = 1 + _HALF_AN_IMAGE - np.array(values)
    largest = _FAR_BELOW * np.quantile(errors, 0.75)
    return [value for value, error in zip(values, errors, strict=True) if error <= largest]


def accuracy_ticks(lowest: float, highest: float, n: int = 6) -> dict[float, str]:
    """Returns about `n` round accuracies from `lowest` to `highest`, each with its label.

    Where the error changes little they are evenly spaced, else 90, 95, 98, 99, 99.5, …
    Accuracies are fractions, labels percent.
    """
    if lowest > 1 - 2 * _HALF_AN_IMAGE:
        return {1.0: "100"}
    errors = max(1 - highest, 2 * _HALF_AN_IMAGE), 1 - lowest
    if errors[1] / errors[0] < _EVEN_BELOW:
        even = even_ticks(100 * lowest, min(100 * highest, 100), n)
        return {float(label) / 100: label for label in even.values()}
    ticks = [1 - error for error in log_ticks(*errors, n)][::-1]
    if highest >= 1:
        ticks.append(1.0)
    return {tick: percent(tick) for tick in ticks}


def loss_ticks(lowest: float, highest: float, n: int = 6) -> dict[float, str]:
    """Returns about `n` round losses from `lowest` to `highest`, above 0, with labels."""
    if highest / lowest < _EVEN_BELOW:
        return even_ticks(lowest, highest, n)
    return {tick: f"{tick:g}" for tick in log_ticks(lowest, highest, n)}


def even_ticks(lowest: float, highest: float, n: int) -> dict[float, str]:
    """Returns about `n` evenly spaced round numbers in a range, with labels alike."""
    rough = (highest - lowest) / n
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(lowest / step - 1e-6), math.floor(highest / step + 1e-6)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return {i * step: f"{i * step:.{decimals}f}" for i in range(first, last + 1)}


def log_ticks(lowest: float, highest: float, n: int) -> list[float]:
    """Returns about `n` round numbers in a range above 0, as far apart as powers are."""
    powers = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    ticks: list[float] = []
    for mantissas in _MANTISSAS:
        every = [mantissa * 10.0**power for power in powers for mantissa in mantissas]
        ticks = [t for t in every if lowest * (1 - 1e-9) <= t <= highest * (1 + 1e-9)]
        if len(ticks) <= n + 2:
            break
    return ticks


def percent(accuracy: float, decimals: int | None = None) -> str:
    """Returns an accuracy in percent, without needless zeros unless `decimals` are asked for."""
    if decimals is not None:
        return f"{100 * accuracy:.{decimals}f}"
    return f"{100 * accuracy:.4f}".rstrip("0").rstrip(".")


def set_accuracy_scale(
    axes: Axes, side: Side, values: Iterable[float], *, n_ticks: int = 6, strip: float = 0.0
) -> None:
    """Makes `axes`' `side` an accuracy axis that holds `values` (fractions, at least one).

    `strip` is the part of the axis at its low end that is kept free for other things.
    """
    low, high = _with_room(_stretch(_extremes(values)))
    end = low - (high - low) * strip / (1 - strip)
    lowest, above_strip, highest = _shrink(np.array([end, low, high])).tolist()
    _set_scale(axes, side, (_stretch, _shrink), (lowest, highest))
    _set_ticks(axes, side, accuracy_ticks(above_strip, highest, n_ticks))


def set_loss_scale(axes: Axes, side: Side, values: Iterable[float], *, n_ticks: int = 6) -> None:
    """Makes `axes`' `side` a logarithmic loss axis that holds `values` (at least one)."""
    lowest, highest = np.exp(_with_room(_log(_extremes(values)))).tolist()
    _set_scale(axes, side, (_log, np.exp), (lowest, highest))
    _set_ticks(axes, side, loss_ticks(lowest, highest, n_ticks))


def accuracy_positions(values: Sequence[float]) -> tuple[Array, dict[float, str]]:
    """Returns where accuracies lie between their lowest (0) and highest (1), on such an axis.

    Those that are not `in_view` lie at its low end, too.

    Returns:
        The positions [n] of the n `values` (at least one), and those of ticks with labels.
    """
    lowest, highest = min(in_view(values)), max(values)
    if highest == lowest:
        return np.where(np.array(values) < lowest, 0.0, 0.5), {0.5: percent(lowest, 2)}
    low, high = _stretch(np.array([lowest, highest])).tolist()

    def place(accuracies: Array) -> Array:
        return np.asarray((_stretch(accuracies) - low) / (high - low))

    ticks = accuracy_ticks(lowest, highest)
    positions = place(np.array(list(ticks))).tolist()
    return place(np.maximum(values, lowest)), dict(zip(positions, ticks.values(), strict=True))


def _extremes(values: Iterable[float]) -> Array:
    array = np.fromiter(values, float)
    return np.array([array.min(), array.max()])


def _with_room(span: Array) -> tuple[float, float]:
    low, high = span.tolist()
    width = max(high - low, 0.05)  # one value alone gets an axis, too
    middle = (low + high) / 2
    return middle - width * (0.5 + _ROOM), middle + width * (0.5 + _ROOM)


def _stretch(accuracy: Array) -> Array:
    return -np.log10(np.maximum(1 + _HALF_AN_IMAGE - accuracy, _HALF_AN_IMAGE / 100))


def _shrink(position: Array) -> Array:
    return np.asarray(1 + _HALF_AN_IMAGE - 10.0**-position)


def _log(loss: Array) -> Array:
    return np.log(np.maximum(loss, _SMALLEST_LOSS))


def _set_scale(
    axes: Axes,
    side: Side,
    functions: tuple[Callable[[Array], Array], Callable[[Array], Array]],
    limits: tuple[float, float],
) -> None:
    if side == "x":
        axes.set_xscale("function", functions=functions)
        axes.set_xlim(limits)
    else:
        axes.set_yscale("function", functions=functions)
        axes.set_ylim(limits)


def _set_ticks(axes: Axes, side: Side, ticks: dict[float, str]) -> None:
    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FixedFormatter(list(ticks.values())))
    axis.set_minor_locator(NullLocator())
