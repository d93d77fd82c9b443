"""What can go wrong for a reason outside the program, each with the exit code it ends in."""

from typing import ClassVar


class SweepError(Exception):
    """Something that the user or the surroundings caused; its text is all the user sees.

    Attributes:
        exit_code: What the command ends with.
    """

    exit_code: ClassVar[int] = 1


class UsageError(SweepError):
    """A command line or a config that cannot be right, or a sweep that does not exist."""

    exit_code = 2


class ClusterError(SweepError):
    """The cluster, or Ray on this machine, cannot be reached or used."""

    exit_code = 4


class NoTrialError(SweepError):
    """No trial ran all its epochs, or one failed for another reason than divergence."""

    exit_code = 5
