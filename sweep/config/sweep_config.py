"""The config of a sweep: what is fixed, what is searched, and how."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from analysis.yaml_text import yaml_text
from sweep.config.dimensions import Choices, Dimension, Range, RefusedError, parse_space
from sweep.config.domains import HYPERPARAMETERS, REGULARIZERS, Number, OneOf
from sweep.config.points import Point, fit_points, parse_points
from sweep.config.sections import Confirm, Recipe, Resources, Scheduler, Section, checked_by
from sweep.config.wording import shown

HAND_TUNED: Mapping[str, float] = MappingProxyType(
    {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}
)
"""The point that a sweep is to beat; its recipe is `Recipe`'s defaults."""

_SEEDS = Number(0, 2**32 - 1, whole=True)  # what NumPy, and so Optuna, takes as a seed


class SweepConfig(Section):
    """A sweep, as resolved: the defaults are the preset `classic`.

    Attributes:
        model: A name of the model registry's.
        seed: Of the searcher and of each trial, with its number.
        split_seed: Of the split into training and validation images.
        trials: How many trials to run.
        epochs: Of a trial that nothing stops.
        recipe: What is fixed.
        space: What is searched; never empty. It wins over the recipe.
        first: Points tried before anything the searcher proposes, which also fills in the
            names that a point lacks. They have searched names only: a name that is fixed
            may be written only with its fixed value, and is then left out. Left out
            altogether, it is the hand-tuned point, as far as it lies in the space.
        searcher: `tpe`, `random` or `gp`.
        scheduler: Written `none`, it stops nothing.
        resources: Of one trial.
        confirm: None, written `none`, ends the sweep with the search; `sweep confirm` can
            still be called, and then takes `Confirm`'s defaults.
    """

    model: Annotated[str, checked_by(OneOf(("lenet5", "mlp")))] = "lenet5"
    seed: Annotated[int, checked_by(_SEEDS)] = 0
    split_seed: Annotated[int, checked_by(_SEEDS)] = 0
    trials: Annotated[int, checked_by(Number(1, 1_000_000, whole=True))] = 32
    epochs: Annotated[int, checked_by(Number(1, 10_000, whole=True))] = 15
    recipe: Recipe = Recipe()
    space: Mapping[str, Dimension] = {
        "dropout": Range(0.0, 0.5),
        "rotation": Range(0.0, 30.0),
        "shift": Range(0.0, 0.15),
        "weight_decay": Range(1e-6, 1e-2, log=True),
    }
    first: tuple[Point, ...] = Field(
        default_factory=lambda known: fit_points([HAND_TUNED], known["space"])
    )
    searcher: Annotated[str, checked_by(OneOf(("tpe", "random", "gp")))] = "tpe"
    scheduler: Scheduler = Scheduler()
    resources: Resources = Resources()
    confirm: Confirm | None = Confirm()

    @property
    def n_finalists(self) -> int:
        """How many finalists are confirmed at the end of the search; 0 without confirmation."""
        return 0 if self.confirm is None else self.confirm.top_k

    def hyperparameters(self, draw: Mapping[str, object]) -> dict[str, Any]:
        """Returns all that a run needs: the recipe, overridden by the draw.

        Args:
            draw: A value for every searched name; it may override fixed ones too.

        Raises:
            ValueError: A searched name is missing, a name is unknown, or a value is not
                one that its hyperparameter can take.
        """
        missing = [name for name in self.space if name not in draw]
        unknown = [name for name in draw if name not in HYPERPARAMETERS]
        if missing or unknown:
            raise ValueError(f"the draw lacks {missing} and has unknown {unknown}")
        values = self.recipe.model_dump()
        for name, value in draw.items():
            try:
                values[name] = HYPERPARAMETERS[name].check(value)
            except ValueError as error:
                raise ValueError(f"`{name}` {error}") from None
        return {name: values[name] for name in HYPERPARAMETERS}

    def reported(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """Returns those that results show: what is searched, then the other regularizers."""
        return {
            name: hyperparameters[name] for name in dict.fromkeys((*self.space, *REGULARIZERS))
        }

    def notes(self) -> tuple[str, ...]:
        """Returns what is allowed and may surprise, a sentence each."""
        notes = []
        grace_period = self.scheduler.grace_period
        if self.scheduler.name == "asha" and grace_period >= self.epochs:
            notes.append(
                f"no trial will be stopped early: `scheduler.grace_period` is {grace_period}, "
                f"`epochs` is {self.epochs}"
            )
        if "warmup_epochs" not in self.space and self.recipe.warmup_epochs >= self.epochs:
            notes.append(
                "the learning rate will warm up until the end: `recipe.warmup_epochs` is "
                f"{shown(self.recipe.warmup_epochs)}, `epochs` is {self.epochs}"
            )
        if len(self.first) > self.trials:
            notes.append(
                f"`first` has {len(self.first)} points, and only {self.trials} will be tried: "
                f"`trials` is {self.trials}"
            )
        return tuple(notes)

    def to_yaml(self) -> str:
        """Returns the config as YAML that reads back equal, whatever it is laid over."""
        tree = self.model_dump()
        tree["recipe"] = {k: v for k, v in tree["recipe"].items() if k not in self.space}
        if self.scheduler.name == "none":
            tree["scheduler"] = "none"
        tree["confirm"] = tree["confirm"] or "none"
        return yaml_text(tree)

    @field_validator("space", mode="before")
    @classmethod
    def _parse_space(cls, raw: object, info: ValidationInfo) -> dict[str, Dimension]:
        try:
            space = parse_space(raw)
        except RefusedError as refused:
            raise _located(refused) from None
        recipe = info.data.get("recipe", Recipe())
        for name in space:
            if getattr(recipe, name) != getattr(Recipe(), name):
                raise ValueError(f"has `{name}`, which `recipe` fixes: keep one of them")
        return space

    @field_serializer("space")
    def _plain_space(self, space: Mapping[str, Dimension]) -> dict[str, object]:
        return {name: dimension.to_plain() for name, dimension in space.items()}

    @field_validator("first", mode="before")
    @classmethod
    def _parse_first(cls, raw: object, info: ValidationInfo) -> tuple[Point, ...]:
        space, recipe = info.data.get("space"), info.data.get("recipe")
        fixed = {}
        if space is not None and recipe is not None:
            fixed = {k: v for k, v in recipe.model_dump().items() if k not in space}
        try:
            return parse_points(raw, space or {}, fixed)
        except RefusedError as refused:
            raise _located(refused) from None

    @field_validator("scheduler", mode="before")
    @classmethod
    def _name_scheduler(cls, raw: object) -> object:
        """Takes a bare name for `{name: …}`."""
        if isinstance(raw, str | None):
            return {"name": raw or "none"}
        if isinstance(raw, Mapping | Scheduler):
            return raw
        raise ValueError(f"must be `{{name: asha, …}}` or `none`, but got {shown(raw)}")

    @field_validator("scheduler")
    @classmethod
    def _reset_scheduler(cls, scheduler: Scheduler) -> Scheduler:
        return Scheduler(name="none") if scheduler.name == "none" else scheduler

    @field_validator("confirm", mode="before")
    @classmethod
    def _name_confirm(cls, raw: object) -> object:
        if raw is None or raw == "none":
            return None
        if isinstance(raw, Mapping | Confirm):
            return raw
        raise ValueError(f"must be `{{top_k: …, seeds: …}}` or `none`, but got {shown(raw)}")

    @model_validator(mode="after")
    def _check_nesterov(self) -> "SweepConfig":
        """Refuses a momentum of 0 wherever a draw may be Nesterov's."""
        nesterov, momentum = self.space.get("nesterov"), self.space.get("momentum")
        is_nesterov = self.recipe.nesterov if nesterov is None else nesterov.refusal(True) is None
        fixed = Choices((self.recipe.momentum,))
        has_zero = (momentum or fixed).refusal(0.0) is None
        if is_nesterov and has_zero:
            where = ("recipe" if momentum is None else "space", "momentum")
            raise _located(RefusedError((where, "must be above 0 where `nesterov` may be true")))
        return self


def _located(refused: RefusedError) -> ValidationError:
    """Returns pydantic's error for ours; only by this one do places inside a field survive."""
    details: list[InitErrorDetails] = [
        {"type": PydanticCustomError("refused", message), "loc": where, "input": None}
        for where, message in refused.problems
    ]
    return ValidationError.from_exception_data("SweepConfig", details)
