"""The search space: for each searched hyperparameter a range or a list of choices."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import TypedDict, override

from analysis.hyperparameters import (
    HYPERPARAMETERS,
    OWN,
    Hyperparameter,
    Value,
    is_own_argument,
    show_value,
)

_MAX_CHOICES = 100
_MAX_STEPS = 1_000_000

Location = tuple[str | int, ...]


class Section(BaseModel):
    """A mapping in a config; unknown keys are rejected, and values are never converted."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class FloatRange(Section):
    """All numbers from `low` to `high`, both included, or every `step` of them.

    With `log` the logarithm is drawn uniformly.
    """

    low: float
    high: float
    log: bool = False
    step: PositiveFloat | None = None

    def describe(self, show: Callable[[Value], str]) -> str:
        """Return the range in words; `show` formats a value."""
        steps = "" if self.step is None else f" in steps of {show(self.step)}"
        return f"{show(self.low)} to {show(self.high)}{' (log)' if self.log else steps}"

    def why_invalid(self, value: Value) -> str | None:
        """Return why a value is not in the search space, or None."""
        if isinstance(value, str | bool):
            return f"must be a number, but got {show_value(value)}"
        if not self.low <= value <= self.high:
            bounds = f"{show_value(self.low)} to {show_value(self.high)}"
            return f"must be in the searched range, {bounds}, but got {show_value(value)}"
        if self.step is not None:
            steps = (value - self.low) / self.step
            if abs(steps - round(steps)) > 1e-8:
                grid = f"{show_value(self.low)} plus a multiple of {show_value(self.step)}"
                return f"must be {grid}, but got {show_value(value)}"
        return None

    @model_validator(mode="after")
    def _check_consistency(self) -> "FloatRange":
        low, high, step = self.low, self.high, self.step
        if not low < high:
            raise ValueError(f"must have a `high` above its `low` of {low}, but got {high}")
        if self.log and low <= 0:
            raise ValueError(f"must have a `low` above 0 where `log` is true, but got {low}")
        if step is None:
            return self
        if self.log:
            raise ValueError("must not have both a `step` and `log: true`")
        if not 1 <= (high - low) / step <= _MAX_STEPS:
            raise ValueError(f"must have between 1 and {_MAX_STEPS:,} steps of {step}")
        # In decimals, as in Optuna: in binary 0.3 is not a multiple of 0.1.
        if (Decimal(repr(high)) - Decimal(repr(low))) % Decimal(repr(step)):
            raise ValueError(
                f"must have a `high` that is {low} plus a multiple of {step}, not {high}"
            )
        return self


class IntRange(FloatRange):
    """All integers from `low` to `high`, both included; as `FloatRange`."""

    low: int
    high: int
    step: PositiveInt | None = None

    @override
    def why_invalid(self, value: Value) -> str | None:
        if type(value) is not int:
            return f"must be an integer, but got {show_value(value)}"
        return super().why_invalid(value)


class Choices(Section):
    """A few values without an order."""

    choices: Annotated[tuple[Any, ...], Field(min_length=2, max_length=_MAX_CHOICES, strict=False)]

    def describe(self, show: Callable[[Value], str]) -> str:
        """Return the choices in words; `show` formats a value."""
        return " or ".join(map(show, self.choices))

    def why_invalid(self, value: Value) -> str | None:
        """Return why a value is not in the search space, or None."""
        if any(type(value) is type(choice) and value == choice for choice in self.choices):
            return None
        choices = ", ".join(map(show_value, self.choices))
        return f"must be one of the searched choices, {choices}, but got {show_value(value)}"

    @model_serializer
    def _to_plain(self) -> list[Value]:
        return list(self.choices)


Dimension = FloatRange | IntRange | Choices


def reject(problems: Mapping[Location, str]) -> None:
    """Raise pydantic's ValidationError if there are problems, each at its location."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("rejected", "{text}", {"text": text}),
            loc=location,
            input=None,
        )
        for location, text in problems.items()
    ]
    if details:
        raise ValidationError.from_exception_data("value", details)


def _validate(row: Hyperparameter, raw: object) -> Dimension:
    """Validate a dimension by its shape, then every value of it by the table."""
    if isinstance(raw, list | tuple):
        raw = {"choices": raw}
    is_list = isinstance(raw, Mapping) and "choices" in raw
    if not isinstance(raw, Mapping) or not (row.is_number or is_list):
        shapes = "a range `{low: …, high: …}` or " if row.is_number else ""
        hint = "" if isinstance(raw, Mapping) else "; a fixed value belongs in `recipe`"
        raise ValueError(f"must be {shapes}a list of choices, but got {show_value(raw)}{hint}")
    is_whole = row.kind == "int"
    if row.kind == "own":
        is_whole = type(raw.get("low")) is type(raw.get("high")) is int
    kind = Choices if is_list else IntRange if is_whole else FloatRange
    dimension: Dimension = kind.model_validate(raw)
    values: dict[Any, Value]
    if isinstance(dimension, Choices):
        values = dict(enumerate(dimension.choices))
    else:
        values = {"low": dimension.low, "high": dimension.high}
    problems: dict[Location, str] = {}
    checked: list[Value] = []
    for key, value in values.items():
        try:
            checked.append(row.check(value))
        except ValueError as error:
            problems[(key,)] = str(error)
        else:
            if checked[-1] in checked[:-1]:
                problems[(key,)] = f"repeats the choice {show_value(checked[-1])}"
    reject(problems)
    if isinstance(dimension, Choices):
        return dimension.model_copy(update={"choices": tuple(checked)})
    return dimension


def _with_own(own: TypeAdapter[dict[str, Any]], raw: Any, handler: Callable[[Any], Any]) -> Any:
    """Validate a mapping, with the hyperparameters of the user's own network last."""
    if not isinstance(raw, Mapping):
        return handler(raw)
    names = [name for name in raw if isinstance(name, str) and is_own_argument(name)]
    others = handler({name: value for name, value in raw.items() if name not in names})
    return {**others, **own.validate_python({name: raw[name] for name in names})}


if TYPE_CHECKING:
    Space = Mapping[str, Dimension]
    Point = Mapping[str, Value]
else:

    def _mapping(name: str, check: Callable[[Hyperparameter, Any], Any], dump: Any) -> Any:
        """Return a type that is validated to a dict in the order of the table.

        Optuna's draws depend on the order.
        """
        types = {
            row.name: Annotated[Any, PlainValidator(partial(check, row))]
            for row in (*HYPERPARAMETERS.values(), OWN)
        }
        own = TypeAdapter(dict[str, types.pop(OWN.name)])
        table = TypedDict(name, types, total=False)
        table.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
        return Annotated[table, WrapValidator(partial(_with_own, own)), PlainSerializer(dump)]

    def _dump(space: Any) -> dict[str, Any]:
        return {k: dimension.model_dump(exclude_defaults=True) for k, dimension in space.items()}

    Space = _mapping("Space", _validate, _dump)
    Point = _mapping("Point", Hyperparameter.check, dict)
