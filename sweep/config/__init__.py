"""The config of a sweep: reading, merging with a preset, checks."""

from analysis.hyperparameters import HAND_TUNED
from sweep.config.sweep_config import Confirm, Resources, Scheduler, SweepConfig

__all__ = ["HAND_TUNED", "Confirm", "Resources", "Scheduler", "SweepConfig"]
