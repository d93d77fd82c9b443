"""What a check before a sweep has to say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        text: What was found; where it is not well, what to do.
        is_problem: Whether a sweep cannot run like this.
    """

    check: str
    text: str
    is_problem: bool = False
