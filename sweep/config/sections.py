"""The sections of a config beside its search space."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator

from sweep.config.domains import HYPERPARAMETERS, Domain, Number, OneOf
from sweep.config.wording import shown


def checked_by(domain: Domain) -> PlainValidator:
    """Returns what makes pydantic leave a field to its domain."""
    return PlainValidator(domain.check)


class Section(BaseModel):
    """A mapping of the config's, or the whole of it; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Recipe(Section):
    """The hyperparameters that are fixed for every trial.

    It is always complete: what a config neither fixes nor searches has the value given
    here, so a regularizer that is not mentioned is off. The value of a hyperparameter
    that is searched means nothing, and is the default.

    Attributes:
        batch_size: Images a step.
        learning_rate: The highest the schedule reaches.
        schedule: `constant`, or `linear`: down to 0 by the end of the last epoch.
        warmup_epochs: Epochs, or a fraction of one, in which the learning rate climbs from 0.
        momentum: Of SGD, in [0, 1).
        nesterov: Whether the momentum is Nesterov's; needs a momentum above 0.
        dropout: Probability, in [0, 1).
        rotation: Largest angle in degrees, in [0, 180].
        shift: Largest translation, a fraction of the image side, in [0, 1].
        weight_decay: L2 coefficient of SGD.
    """

    batch_size: Annotated[int, checked_by(HYPERPARAMETERS["batch_size"])] = 64
    learning_rate: Annotated[float, checked_by(HYPERPARAMETERS["learning_rate"])] = 0.01
    schedule: Annotated[str, checked_by(HYPERPARAMETERS["schedule"])] = "constant"
    warmup_epochs: Annotated[float, checked_by(HYPERPARAMETERS["warmup_epochs"])] = 0.0
    momentum: Annotated[float, checked_by(HYPERPARAMETERS["momentum"])] = 0.9
    nesterov: Annotated[bool, checked_by(HYPERPARAMETERS["nesterov"])] = False
    dropout: Annotated[float, checked_by(HYPERPARAMETERS["dropout"])] = 0.0
    rotation: Annotated[float, checked_by(HYPERPARAMETERS["rotation"])] = 0.0
    shift: Annotated[float, checked_by(HYPERPARAMETERS["shift"])] = 0.0
    weight_decay: Annotated[float, checked_by(HYPERPARAMETERS["weight_decay"])] = 0.0


class Scheduler(Section):
    """What stops a trial early.

    Attributes:
        name: `asha`, or `none`; with `none` the other two mean nothing, and are the defaults.
        grace_period: Epochs before ASHA's first decision. Where it is not below the sweep's
            epochs no trial is ever stopped: a note (`SweepConfig.notes`), not an error, so
            that `--epochs 2` is enough to try something out.
        reduction_factor: At each rung one in so many goes on, and the next rung is so many
            times as far.
    """

    name: Annotated[str, checked_by(OneOf(("asha", "none")))] = "asha"
    grace_period: Annotated[int, checked_by(Number(1, 10_000, whole=True))] = 3
    reduction_factor: Annotated[int, checked_by(Number(2, 100, whole=True))] = 3


def _check_gpu(value: object) -> float:
    gpu = Number(0, 64).check(value)
    if (gpu > 1 and gpu != round(gpu)) or 0 < gpu < 0.01:
        # Ray hands out whole GPUs, or one in shares.
        choices = "0, a share between 0.01 and 1, or a whole number up to 64"
        raise ValueError(f"must be {choices}, but got {shown(gpu)}")
    return gpu


class Resources(Section):
    """What one trial takes of the machine or the cluster.

    Attributes:
        cpu: Cores, or a share of one. A trial trains with one thread whatever it is.
        gpu: GPUs, or a share of one; 0 trains on the CPU.
    """

    cpu: Annotated[float, checked_by(Number(0.01, 1024))] = 1.0
    gpu: Annotated[float, PlainValidator(_check_gpu)] = 0.0


class Confirm(Section):
    """How the finalists are compared with the baselines on the test images.

    Attributes:
        top_k: How many of the best trials are finalists.
        seeds: Runs of each finalist and baseline; one gives no interval.
    """

    top_k: Annotated[int, checked_by(Number(1, 100, whole=True))] = 1
    seeds: Annotated[int, checked_by(Number(1, 1000, whole=True))] = 5
