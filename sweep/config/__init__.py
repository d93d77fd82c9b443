"""The config of a sweep: read, laid over a preset, checked."""

from analysis.hyperparameters import HAND_TUNED
from sweep.config.sweep_config import Confirm, Resources, Scheduler, SweepConfig

__all__ = ["HAND_TUNED", "Confirm", "Resources", "Scheduler", "SweepConfig"]
