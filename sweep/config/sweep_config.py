"""The config of a sweep: what is fixed, what is searched, and how."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from analysis.formatting import printable
from analysis.hyperparameters import DEFAULTS, HAND_TUNED, complete, show_value
from analysis.results.budget import DURATION, read_duration
from analysis.yaml_text import yaml_text
from data_utils import DEFAULT_SPLIT, Split
from data_utils.registry import DATASETS, is_path
from models.own import is_own
from models.registry import MODELS
from sweep.config.dimensions import FloatRange, Location, Point, Section, Space, reject
from sweep.config.registry import SCHEDULERS, SEARCHERS


def _one_of(names: Iterable[str]) -> GetPydanticSchema:
    """Return the type of a name in a registry."""
    return GetPydanticSchema(lambda *_: core_schema.literal_schema(list(names)))


def _named(raw: object) -> object:
    """Return a bare name as `{name: …}`; the parameters of `none` are the defaults."""
    name = raw.get("name") if isinstance(raw, Mapping) else raw or "none"
    return {"name": name} if isinstance(raw, str | None) or name == "none" else raw


class Scheduler(Section):
    """What stops a trial early."""

    name: Annotated[str, _one_of(SCHEDULERS)] = "asha"
    """`none` stops no trial; `preview` trains most trials with a short schedule."""
    grace_period: Annotated[int, Field(ge=1, le=10_000)] = 3
    """Epochs before the first decision; those of a preview."""
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    """At each rung one trial in this many continues, and the next rung comes after this many
    times as many epochs. With `preview` every trial whose number is a multiple of it, but for the
    first two, repeats the best preview with all epochs."""


def _check_gpu(gpu: float) -> float:
    if (gpu > 1 and gpu != round(gpu)) or 0 < gpu < 0.01:
        # Ray assigns whole GPUs, or shares of one.
        choices = "0, a share between 0.01 and 1, or an integer up to 64"
        raise ValueError(f"must be {choices}, but got {show_value(gpu)}")
    return gpu


class Resources(Section):
    """What one trial uses of the machine or the cluster."""

    cpu: Annotated[float, Field(ge=0.01, le=1024)] = 1.0
    """Cores, or a share of one; a trial trains with one thread in any case."""
    gpu: Annotated[float, Field(ge=0, le=64), AfterValidator(_check_gpu)] = 0.0
    """GPUs, or a share of one; 0 trains on the CPU."""

    def slots(self, cpus: float, gpus: float) -> int:
        """Return how many trials run at a time where there are so many cores and GPUs."""
        slots = int(cpus / self.cpu)
        return min(slots, int(gpus / self.gpu)) if self.gpu else slots


class Confirm(Section):
    """How many of the best trials are compared with the baselines, and with how many seeds.

    With `max_seeds`, seeds are added until the verdict is clear; `seeds` then does not count.
    """

    top_k: Annotated[int, Field(ge=1, le=100)] = 1
    seeds: Annotated[int, Field(ge=1, le=1000)] = 5
    max_seeds: Annotated[int, Field(ge=4, le=1000)] | None = None


def _check_duration(raw: object) -> str | None:
    if raw is None or raw == "none":
        return None
    try:
        read_duration(raw if isinstance(raw, str) else "")
    except ValueError:
        choices = "`none` or a duration above 0, such as 90s, 30m or 1h30m"
        raise ValueError(f"must be {choices}, but got {show_value(raw)}") from None
    return str(raw)


def _check_dataset(name: str) -> str:
    if name not in DATASETS and not is_path(name):
        names, path = ", ".join(DATASETS), printable(f"./{name or 'images'}")
        close = get_close_matches(name.lower().replace("_", "-"), DATASETS, n=1)
        meant = f"; did you mean `{close[0]}`?" if close else ""
        got = f"but got {show_value(name)}{meant}"
        raise ValueError(f"must be {names} or a path such as {path}, {got}")
    return name


def _check_model(name: str) -> str:
    if name not in MODELS and not is_own(name):
        names = ", ".join(MODELS)
        raise ValueError(f"must be {names} or FILE.py:NAME, but got {show_value(name)}")
    return name


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what NumPy, and so Optuna, accepts


_SPACE: Space = {
    "dropout": FloatRange(low=0.0, high=0.5),
    "rotation": FloatRange(low=0.0, high=30.0),
    "shift": FloatRange(low=0.0, high=0.15),
    "weight_decay": FloatRange(low=1e-6, high=1e-2, log=True),
}


class SweepConfig(Section):
    """The resolved config of a sweep; the defaults are `classic` without its initial points."""

    dataset: Annotated[
        str,
        AfterValidator(_check_dataset),
        Field(json_schema_extra={"pattern": f"^({'|'.join(DATASETS)})$|/|\\\\|[.][nN][pP][zZ]$"}),
    ] = "mnist"
    model: Annotated[
        str,
        AfterValidator(_check_model),
        Field(json_schema_extra={"pattern": f"^({'|'.join(MODELS)})$|[.]py:[^\\d\\W]\\w*(@|$)"}),
    ] = "lenet5"
    """A network's name. In a file one of the user's own is `FILE.py:NAME`, a path and a class or
    function; resolved, it is `model.py:NAME@SHA256`."""
    seed: Seed = 0
    """Seed of the searcher and, with its number, of each trial."""
    split: Split = DEFAULT_SPLIT
    """`contiguous`: the images for validation follow one another in their class, so that those of
    one writer are nearly all on one side. `random`: they are drawn one by one. Own data without
    test images has some chosen likewise. A sweep that is continued keeps its split."""
    split_seed: Seed = 0
    """Which of the successive parts is for validation, or the seed of the random draw."""
    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    time_budget: Annotated[
        str | None,
        BeforeValidator(_check_duration),
        Field(json_schema_extra={"pattern": f"^({DURATION}|none)$"}),
    ] = None
    """No new trial starts after this time, such as `30m`, in all sessions together; trials that
    have started are finished. The confirmation does not count."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 15
    """Epochs of a trial that is not stopped early."""
    recipe: Annotated[Point, AfterValidator(lambda given: {**DEFAULTS, **given})] = Field(
        default_factory=lambda: dict(DEFAULTS)
    )
    """The fixed values of all hyperparameters; a missing one has its default."""
    space: Annotated[Space, Field(min_length=1)] = _SPACE
    """Ranges and choices by hyperparameter, never empty; they override the recipe."""
    initial_points: Annotated[tuple[Point, ...], Field(max_length=200, strict=False)] = ()
    """Points to try before anything the searcher proposes; the searcher adds the searched names
    that a point lacks. A fixed name may be given only with its fixed value, and is dropped."""
    searcher: Annotated[str, _one_of(SEARCHERS)] = "tpe"
    scheduler: Annotated[Scheduler, BeforeValidator(_named)] = Scheduler()
    resources: Resources = Resources()
    confirm: Annotated[
        Confirm | None, BeforeValidator(lambda raw: None if raw == "none" else raw)
    ] = Confirm()
    """None ends the sweep after the search; `sweep confirm` can still be run."""

    def hyperparameters(self, draw: Mapping[str, object]) -> dict[str, Any]:
        """Return all hyperparameters of a training: the recipe, overridden by the draw.

        A ValueError says what the draw lacks, does not know or may not have.
        """
        missing = [name for name in self.space if name not in draw]
        if missing:
            raise ValueError(f"the draw lacks {', '.join(missing)}")
        return complete({**self.recipe, **draw})

    @property
    def preview_epochs(self) -> int | None:
        """The epochs of a preview; None without previews."""
        epochs = self.scheduler.grace_period
        return epochs if self.scheduler.name == "preview" and epochs < self.epochs else None

    def epochs_of(self, number: int, n_trials: int) -> int:
        """Return the epochs of a trial's schedule, by its number from 1; the last has all."""
        factor = self.scheduler.reduction_factor
        has_all = number == n_trials or (number % factor == 0 and number > 2 * factor)
        return self.epochs if has_all or self.preview_epochs is None else self.preview_epochs

    def reported(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that results show: the searched ones, then other regularizers."""
        return {name: hyperparameters[name] for name in dict.fromkeys((*self.space, *HAND_TUNED))}

    def off(self) -> list[str]:
        """Return the regularizers that are neither searched nor fixed to more than 0."""
        return [name for name in HAND_TUNED if name not in self.space and not self.recipe[name]]

    def notes(self) -> Iterator[str]:
        """Yield notes about settings that are valid but may surprise, one sentence each."""
        epochs, n_points = f"`epochs` is {self.epochs}", len(self.initial_points)
        scheduler, grace_period = self.scheduler.name, self.scheduler.grace_period
        warmup = float(self.recipe["warmup_epochs"])
        given = f"`scheduler.grace_period` is {grace_period}"
        if scheduler != "none" and grace_period >= self.epochs:
            effect = "is a preview" if scheduler == "preview" else "will be stopped early"
            yield f"no trial {effect}: {given}, {epochs}"
        if self.preview_epochs and self.preview_epochs <= warmup < self.epochs:
            yield f"previews only warm up: `recipe.warmup_epochs` is {warmup:g}, {given}"
        if "warmup_epochs" not in self.space and warmup >= self.epochs:
            given = f"`recipe.warmup_epochs` is {warmup:g}, {epochs}"
            yield f"the learning rate will warm up until the end: {given}"
        if self.searcher == "tpe" and n_points < self.trials <= 10:
            yield f"`tpe` draws 10 trials at random first, and there are {self.trials}: try gp"
        if self.searcher == "gp" and scheduler == "asha" and grace_period < self.epochs:
            yield "`gp` learns nothing from trials that `asha` stops: try the scheduler preview"
        repeats = self.preview_epochs is not None and self.trials > 1  # the last trial
        n_tried = self.trials - repeats
        if n_points > n_tried:
            yield f"only {n_tried} of the {n_points} initial points will be tried"

    def to_yaml(self) -> str:
        """Return the config as YAML that gives the same config over any preset."""
        tree = self.model_dump()
        tree["model"] = self.model.partition("@")[0]
        tree["recipe"] = {k: v for k, v in tree["recipe"].items() if k not in self.space}
        if self.scheduler.name == "none":
            tree["scheduler"] = "none"
        tree["confirm"] = tree["confirm"] or "none"
        return yaml_text(tree)

    @field_validator("space")
    @classmethod
    def _check_space(cls, space: Space, info: ValidationInfo) -> Space:
        recipe = info.data.get("recipe", DEFAULTS)
        fixed = [name for name in space if recipe.get(name) != DEFAULTS.get(name)]
        reject({(name,): "is also fixed in `recipe`: keep one of them" for name in fixed})
        return space

    @field_validator("initial_points")
    @classmethod
    def _check_points(cls, points: tuple[Point, ...], info: ValidationInfo) -> tuple[Point, ...]:
        """Check points against the space, and drop what is fixed.

        A hyperparameter is `newer`, in the validation's context, if a higher source than the
        points' fixes or searches it. A point outside its range is no error: it is left out,
        and `left_out` receives its index and the reason.
        """
        if "space" not in info.data or "recipe" not in info.data:
            return points
        space, recipe, context = info.data["space"], info.data["recipe"], info.context or {}
        newer, left_out = context.get("newer", ()), context.get("left_out", {})
        problems: dict[Location, str] = {}
        kept = []
        for i, point in enumerate(points):
            if not point:
                problems[(i,)] = "must have a value, such as `{dropout: 0.25, rotation: 10}`"
            for name, value in point.items():
                reason, fixed = None, recipe.get(name)
                if name in space:
                    reason = space[name].why_invalid(value)
                elif fixed is None:
                    reason = "is neither searched nor fixed: leave it out"
                elif value != fixed and name not in newer:
                    got = f"got {show_value(value)}"
                    reason = f"is fixed at {show_value(fixed)}, not searched: leave it out; {got}"
                if reason and name in newer:
                    left_out[i] = f"`{name}` {reason}"
                elif reason:
                    problems[i, name] = reason
            searched = {name: value for name, value in point.items() if name in space}
            if searched and i not in left_out:
                kept.append(searched)
        reject(problems)
        return tuple(kept)

    @model_validator(mode="after")
    def _check_nesterov(self) -> "SweepConfig":
        """Reject a momentum of 0 where a draw may use Nesterov's."""

        def can_be(name: str, value: float) -> bool:
            if name in self.space:
                return self.space[name].why_invalid(value) is None
            return self.recipe[name] == value

        if can_be("nesterov", True) and can_be("momentum", 0.0):
            where = "space" if "momentum" in self.space else "recipe"
            reject({(where, "momentum"): "must be above 0 where `nesterov` may be true"})
        return self
