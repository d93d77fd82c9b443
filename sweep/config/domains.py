"""Which values each hyperparameter can take at all, searched or not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sweep.config.wording import listed, shown

Value = bool | int | float | str


@dataclass(frozen=True)
class Number:
    """An interval of numbers.

    Attributes:
        low: The smallest number, itself allowed unless `above_low`.
        high: The largest number, itself allowed unless `below_high`.
        unit: What the numbers count, for messages.
        whole: Whether only whole numbers are allowed.
    """

    low: float
    high: float
    unit: str = ""
    whole: bool = False
    above_low: bool = False
    below_high: bool = False

    def check(self, value: object) -> int | float:
        """Returns the number, as a float unless the numbers are whole.

        Raises:
            ValueError: It is no such number; the text says what it must be.
        """
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            kind = "a whole number" if self.whole else "a number"
            raise ValueError(f"must be {kind} {self._interval()}, but got {shown(value)}")
        above = value > self.low if self.above_low else value >= self.low
        below = value < self.high if self.below_high else value <= self.high
        if not (above and below):  # NaN is neither
            raise ValueError(f"must be {self._interval()}, but got {shown(value)}")
        return value if self.whole else float(value)

    def _interval(self) -> str:
        if math.isinf(self.high):
            return f"{'above' if self.above_low else 'at least'} {self.low:,} and finite"
        if self.above_low or self.below_high:
            low = f"above {self.low:,}" if self.above_low else f"at least {self.low:,}"
            high = f"below {self.high:,}" if self.below_high else f"at most {self.high:,}"
            text = f"{low} and {high}"
        else:
            text = f"between {self.low:,} and {self.high:,}"
        return f"{text} {self.unit}".rstrip()


@dataclass(frozen=True)
class OneOf:
    """A few values, with no order between them."""

    values: tuple[str, ...] | tuple[bool, ...]

    def check(self, value: object) -> Value:
        """Returns the value.

        Raises:
            ValueError: It is none of them; the text says what it must be.
        """
        for allowed in self.values:
            if type(value) is type(allowed) and value == allowed:
                return allowed
        names = listed((str(allowed).lower() for allowed in self.values), "or")
        raise ValueError(f"must be {names}, but got {shown(value)}")


Domain = Number | OneOf

REGULARIZERS = ("dropout", "rotation", "shift", "weight_decay")

HYPERPARAMETERS: Mapping[str, Domain] = MappingProxyType(
    {
        "dropout": Number(0, 1, below_high=True),
        "rotation": Number(0, 180, unit="degrees"),
        "shift": Number(0, 1, unit="of the image side"),
        "weight_decay": Number(0, 100),
        "batch_size": Number(1, 50_000, unit="images", whole=True),
        "learning_rate": Number(0, 100, above_low=True),
        "schedule": OneOf(("constant", "linear")),
        "warmup_epochs": Number(0, 10_000),
        "momentum": Number(0, 1, below_high=True),
        "nesterov": OneOf((False, True)),
    }
)
