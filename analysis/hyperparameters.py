"""The hyperparameters of a training: the one table from which everything else is derived.

Derived from it are the recipe and the search space of a config, the checks, the defaults of
values that an old file lacks, and how values look on the screen, in reports and on axes. To
add a hyperparameter, add a row here and use its value in `sweep.training.loop`.
"""

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Any, Literal

from analysis.formatting import printable

Value = bool | int | float | str

_LARGEST_OWN = 1e15  # integers up to it are exact as the floats of samplers and plots


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter.

    Attributes:
        kind: `own` is any value, of a network of the user's own.
        default: Value if none is given. The default of a new hyperparameter must have no
            effect, so that older files keep their meaning.
        low: Smallest number; excluded if `above_low`.
        high: Largest number; excluded if `below_high`.
        unit: What the numbers count, for messages and axes.
        symbol: Unit that follows a number directly, such as `°`.
        words: Name in words; if empty, `name` with spaces.
        role: An augmentation is passed to `data_utils.augment` under its name. Augmentations and
            other regularizers are 0 in a network without regularizers.
        is_extra: Whether it is hidden where it is fixed to its default.
    """

    name: str
    kind: Literal["float", "int", "bool", "choice", "own"] = "float"
    default: Value = 0.0
    _: KW_ONLY
    low: float = 0
    high: float = math.inf
    above_low: bool = False
    below_high: bool = False
    choices: tuple[str, ...] = ()
    unit: str = ""
    symbol: str = ""
    words: str = ""
    role: Literal["augmentation", "regularizer", "recipe"] = "recipe"
    is_extra: bool = False

    @property
    def is_number(self) -> bool:
        """Whether its values have an order, so that a range of them can be searched."""
        return self.kind in ("float", "int", "own")

    @property
    def label(self) -> str:
        """Name in words with the unit, for axes."""
        words = self.words or in_words(self.name)
        return f"{words} ({self.unit})" if self.unit else words

    def check(self, value: object) -> Value:
        """Return the value, a float where the kind is float; ValueError if it is not allowed."""
        if self.kind == "own":
            if isinstance(value, str) or (
                isinstance(value, int | float) and abs(value) <= _LARGEST_OWN
            ):
                return value
            kinds = f"a number up to {_LARGEST_OWN:g}, a text, true or false"
            raise ValueError(f"must be {kinds}, but got {show_value(value)}")
        if not self.is_number:
            for allowed in self.choices or (False, True):
                if type(value) is type(allowed) and value == allowed:
                    return allowed
            raise ValueError(f"must be {self.allowed}, but got {show_value(value)}")
        types = int if self.kind == "int" else int | float
        if isinstance(value, bool) or not isinstance(value, types):
            number = "an integer" if self.kind == "int" else "a number"
            raise ValueError(f"must be {number} {self.allowed}, but got {show_value(value)}")
        above = value > self.low if self.above_low else value >= self.low
        below = value < self.high if self.below_high else value <= self.high
        if not (above and below):  # NaN is neither
            raise ValueError(f"must be {self.allowed}, but got {show_value(value)}")
        return value if self.kind == "int" else float(value)

    @property
    def allowed(self) -> str:
        """Which values are allowed, such as `between 0 and 180 degrees`."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        if self.above_low or self.below_high:
            low = f"above {self.low:,}" if self.above_low else f"at least {self.low:,}"
            high = f"below {self.high:,}" if self.below_high else f"at most {self.high:,}"
            text = f"{low} and {high}"
        else:
            text = f"between {self.low:,} and {self.high:,}"
        return f"{text} {self.unit}".rstrip()


_TABLE = (
    # Probability of dropping an activation, after each convolution block.
    Hyperparameter("dropout", high=1, below_high=True, role="regularizer"),
    # Largest angle by which an image is rotated, to either side.
    Hyperparameter("rotation", high=180, unit="degrees", symbol="°", role="augmentation"),
    # Largest distance by which an image is shifted, along each axis.
    Hyperparameter("shift", high=1, unit="of the image side", role="augmentation"),
    # L2 coefficient of SGD.
    Hyperparameter("weight_decay", high=100, role="regularizer"),
    # Largest change of an image's size, as a fraction of it, to either side.
    Hyperparameter(
        "scale",
        high=1,
        below_high=True,
        unit="of the image size",
        role="augmentation",
        is_extra=True,
    ),
    # Largest angle by which an image is sheared along its rows, to either side.
    Hyperparameter(
        "shear",
        high=90,
        below_high=True,
        unit="degrees",
        symbol="°",
        role="augmentation",
        is_extra=True,
    ),
    # Largest displacement of the points of a grid, between which an image is bent smoothly.
    Hyperparameter(
        "elastic",
        high=1,
        unit="of the image side",
        words="elastic distortion",
        role="augmentation",
        is_extra=True,
    ),
    # Probability that is taken from a label and spread over all classes, in training.
    Hyperparameter("label_smoothing", high=1, below_high=True, role="regularizer", is_extra=True),
    # Images per step.
    Hyperparameter("batch_size", "int", 64, low=1, high=50_000, unit="images"),
    # Highest learning rate that the schedule reaches.
    Hyperparameter("learning_rate", "float", 0.01, high=100, above_low=True),
    # Learning rate after the warm-up; linear and cosine fall to 0 in the last step.
    Hyperparameter("schedule", "choice", "constant", choices=("constant", "linear", "cosine")),
    # Epochs in which the learning rate climbs from 0; may be a fraction.
    Hyperparameter("warmup_epochs", high=10_000, unit="epochs", words="warm-up"),
    # Momentum of SGD.
    Hyperparameter("momentum", "float", 0.9, high=1, below_high=True),
    # Whether the momentum is Nesterov's, which needs a momentum above 0.
    Hyperparameter("nesterov", "bool", False),
    # How much of the average of the weights each step keeps. It is measured and exported.
    Hyperparameter(
        "ema_decay",
        high=1,
        below_high=True,
        words="decay of the average of the weights",
        is_extra=True,
    ),
)

HYPERPARAMETERS: Mapping[str, Hyperparameter] = MappingProxyType({row.name: row for row in _TABLE})
DEFAULTS: Mapping[str, Value] = MappingProxyType(
    {name: row.default for name, row in HYPERPARAMETERS.items()}
)
HAND_TUNED: Mapping[str, float] = MappingProxyType(
    {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}
)
"""The regularizers of the hand-tuned baseline; its other values are `DEFAULTS`."""
REGULARIZERS = tuple(row.name for row in _TABLE if row.role != "recipe")
AUGMENTATIONS = tuple(row.name for row in _TABLE if row.role == "augmentation")

OWN = Hyperparameter("model.…", "own", 0, words="argument of a network of your own")
"""Stands for every hyperparameter of a network of the user's own, which has no default."""


def is_own_argument(name: str) -> bool:
    """Return whether a name is that of an argument of the user's own network: `model.width`."""
    return name.startswith("model.") and name.removeprefix("model.").isidentifier()


def own_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments among hyperparameters, such as `width` for `model.width`."""
    return {name.removeprefix("model."): v for name, v in values.items() if is_own_argument(name)}


def complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all hyperparameters, checked, in the table's order; a missing one gets its default.

    Those of a network of the user's own follow. ValueError if a name is unknown, or a value is
    not allowed.
    """
    own = [name for name in values if is_own_argument(name)]
    for name in values.keys() - HYPERPARAMETERS.keys() - set(own):
        raise ValueError(f"there is no hyperparameter `{printable(name)}`")
    completed = {}
    for name, row in (*HYPERPARAMETERS.items(), *((name, OWN) for name in own)):
        try:
            completed[name] = row.check(values.get(name, row.default))
        except ValueError as error:
            raise ValueError(f"`{name}` {error}") from None
    if completed["nesterov"] and not completed["momentum"]:
        raise ValueError("`nesterov` must be false where `momentum` is 0")
    return completed


def in_words(name: str) -> str:
    """Return the name of a hyperparameter as words."""
    return name.replace("_", " ")


def without_idle_extras(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters without the extra ones that have no effect."""
    unsaid = {name: row.default for name, row in HYPERPARAMETERS.items() if row.is_extra}
    return {k: value for k, value in values.items() if k not in unsaid or value != unsaid[k]}


def format_value(name: str, value: Any) -> str:
    """Return a value in three significant digits, such as `10°`, or a dash for None.

    Just below 1 they are six: a decay of 0.9995 is not 1.
    """
    if value is None:
        return "–"
    symbol = HYPERPARAMETERS[name].symbol if name in HYPERPARAMETERS else ""
    if not isinstance(value, float):
        return show_value(value).strip("'") + symbol
    return f"{value:.{6 if 0.99 < value < 1 else 3}g}{symbol}"


def show_value(value: object) -> str:
    """Return a value for a message: as in YAML, on one short line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int():
            # Python refuses to write integers of thousands of digits.
            return str(value) if abs(value) < 10**60 else "a huge number"
        case float() if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        case float():
            # Without a dot YAML 1.1 reads an exponent as text.
            text = repr(value)
            return text.replace("e", ".0e") if "e" in text and "." not in text else text
        case str():
            return f"'{printable(value)}'"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return printable(repr(value))
