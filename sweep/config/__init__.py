"""The config of a sweep: read, laid over a preset, checked."""

from sweep.config.sections import Confirm, Recipe, Resources, Scheduler
from sweep.config.sweep_config import HAND_TUNED, SweepConfig

__all__ = ["HAND_TUNED", "Confirm", "Recipe", "Resources", "Scheduler", "SweepConfig"]
