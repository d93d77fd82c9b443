"""Axes for accuracies and losses on which a tenth of a point near 99 % is visible.

An accuracy axis is logarithmic in the error, 1 - accuracy: the step from 98 to 99 % is as
long as the step from 96 to 98 %, because both halve the error.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.scale import FuncScale
from matplotlib.ticker import Formatter, Locator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

AXIS_NOTE = "Accuracy axes are logarithmic in the error."

Array = NDArray[np.float64]

_SMALLEST_LOSS = 1e-6
# From dense to sparse; the first that gives few enough ticks is used.
_MANTISSAS = (
    (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 6, 8),
    (1, 2, 3, 5),
    (1, 2, 5),
    (1, 3),
    (1,),
)
_FAR_BELOW = 3  # times the third quartile of the errors
_MARGIN = 0.06  # at both ends, as a fraction of the range of the values
_MOST_EMPTY = 0.15  # of an accuracy axis at its high end, without a tick
_FEW_WRONG = 5  # images; an axis of fewer, up to 100 %, has a tick for each number of them
_EVEN_BELOW = 3  # the ratio of an axis' ends below which evenly spaced ticks fit best


def _half(n_images: int) -> float:
    """Half an image, which is added to errors, so that 100 % has a finite position."""
    return 0.5 / n_images


def in_view(accuracies: Iterable[float], n_images: int) -> list[float]:
    """Return the accuracies whose error is at most three times the third quartile of all.

    They are measured on `n_images`.
    """
    values = list(accuracies)
    errors = 1 + _half(n_images) - np.array(values)
    # One image less than 100 % is exactly three times the error of 100 %, but for rounding.
    largest = _FAR_BELOW * np.quantile(errors, 0.75) + 1e-9
    return [value for value, error in zip(values, errors, strict=True) if error <= largest]


def stretch(accuracy: Any, n_images: int) -> Array:
    """Return the position of accuracies on n images, on an axis logarithmic in the error."""
    error = 1 + _half(n_images) - np.asarray(accuracy, np.float64)
    return np.asarray(-np.log10(np.maximum(error, _half(n_images) / 100)))


def _unstretch(position: Any, n_images: int) -> Array:
    return np.asarray(1 + _half(n_images) - 10.0 ** -np.asarray(position, np.float64))


class RoundLocator(Locator):
    """About `n` round numbers above 0 for a logarithmic axis, evenly spaced in a short range."""

    def __init__(self, n: int = 6) -> None:
        self.n = n

    def __call__(self) -> list[float]:
        """Return the ticks of the axis."""
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Return the ticks from `vmin` to `vmax`."""
        if vmax / vmin < _EVEN_BELOW:
            return even_ticks(vmin, vmax, self.n)
        for mantissas in _MANTISSAS:
            ticks = LogLocator(subs=mantissas, numticks=15).tick_values(vmin, vmax)
            inside = _inside(ticks, vmin, vmax)
            if len(inside) <= self.n + 2:
                break
        return inside


class AccuracyLocator(RoundLocator):
    """About `n` round accuracies (fractions) on `n_images`, none below `lowest`."""

    def __init__(self, n_images: int, n: int = 6, lowest: float = 0.0) -> None:
        super().__init__(n)
        self.n_images = n_images
        self.lowest = lowest

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Return the ticks from `vmin` to `vmax`."""
        one, lowest = 1 / self.n_images, max(vmin, self.lowest)
        smallest_error, largest_error = max(1 - vmax, one), 1 - lowest
        if largest_error < _FEW_WRONG * one:
            if vmax < 1:
                return even_ticks(lowest, vmax, self.n)
            most_wrong = int(largest_error / one + 1e-6)
            return [round(1 - k * one, 5) for k in range(most_wrong, -1, -1)]
        errors = super().tick_values(smallest_error, largest_error)
        # Without a tick near the high end, where the best are, their values are hard to read.
        unit = 10.0 ** np.floor(np.log10(smallest_error))
        first = float(np.ceil(smallest_error / unit) * unit)
        empty = np.log(errors[0] / smallest_error) / np.log(largest_error / smallest_error)
        if first < errors[0] and empty > _MOST_EMPTY:
            errors = [first, *errors]
        ticks = [1 - error for error in reversed(errors)]
        return [*ticks, 1.0] if vmax >= 1 else ticks


class RoundFormatter(Formatter):
    """Numbers times `factor`, with equally many decimals if they are evenly spaced."""

    def __init__(self, factor: float = 1) -> None:
        self.factor = factor

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of one tick."""
        return np.format_float_positional(self.factor * x, 6, fractional=False, trim="-")

    def format_ticks(self, values: list[float]) -> list[str]:
        """Return the labels of all ticks of an axis."""
        labels = [self(tick) for tick in values]
        steps = np.diff(values)
        if len(steps) and np.allclose(steps, steps[0], rtol=1e-3, atol=0):
            decimals = max(len(label.partition(".")[2]) for label in labels)
            labels = [f"{self.factor * tick:.{decimals}f}" for tick in values]
        return labels


def set_accuracy_scale(
    axes: Axes,
    side: Literal["x", "y"],
    values: Iterable[float],
    n_images: int,
    *,
    n_ticks: int = 6,
    strip: float = 0.0,
) -> None:
    """Turn one side of `axes` into an accuracy axis that contains `values` (fractions).

    They are measured on `n_images`; of several datasets this is the largest number. `strip` is
    the fraction of the axis at its low end that is left free, without ticks.
    """
    low, high = _with_margin(stretch(list(values), n_images))
    end = low - (high - low) * strip / (1 - strip)
    lowest, above_strip, highest = _unstretch([end, low, high], n_images).tolist()
    functions = (partial(stretch, n_images=n_images), partial(_unstretch, n_images=n_images))
    scale = FuncScale(None, functions)
    axes.set(**{f"{side}scale": scale, f"{side}lim": (lowest, highest)})
    axis = axes.xaxis if side == "x" else axes.yaxis
    locator = AccuracyLocator(n_images, n_ticks, max(above_strip, 0.0))
    _set_ticks(axis, locator, RoundFormatter(100))


def set_loss_scale(axes: Axes, values: Iterable[float]) -> None:
    """Turn the y-axis of `axes` into a logarithmic loss axis that contains `values`."""
    logs = np.log10(np.maximum(list(values), _SMALLEST_LOSS))
    low, high = _with_margin(logs)
    axes.set(yscale="log", ylim=(10**low, 10**high))
    _set_ticks(axes.yaxis, RoundLocator(), RoundFormatter())


def even_ticks(lowest: float, highest: float, n: int) -> list[float]:
    """Return about `n` evenly spaced round numbers in a range."""
    ticks = MaxNLocator(n, steps=[1, 2, 5, 10]).tick_values(lowest, highest)
    return _inside(ticks, lowest, highest)


def _inside(ticks: Iterable[float], lowest: float, highest: float) -> list[float]:
    tolerance = 1e-9 * (abs(lowest) + abs(highest))
    return [float(t) for t in ticks if lowest - tolerance <= t <= highest + tolerance]


def _set_ticks(axis: Axis, locator: Locator, formatter: Formatter) -> None:
    axis.set_major_locator(locator)
    axis.set_major_formatter(formatter)
    axis.set_minor_locator(NullLocator())


def _with_margin(positions: Array) -> tuple[float, float]:
    low, high = float(positions.min()), float(positions.max())
    width = max(high - low, 0.05)  # a single value gets an axis, too
    middle = (low + high) / 2
    return middle - width * (0.5 + _MARGIN), middle + width * (0.5 + _MARGIN)
