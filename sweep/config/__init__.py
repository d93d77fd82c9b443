"""The config of a sweep: reading, merging with a preset, checks."""

from sweep.config.sweep_config import Confirm, Resources, Scheduler, SweepConfig

__all__ = ["Confirm", "Resources", "Scheduler", "SweepConfig"]
