"""Sweeps side by side: the paired differences between what they have confirmed."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.records.confirmation import Arm, Confirmation
from analysis.records.ledger import Ledger
from analysis.results.comparison import Comparison, compare_accuracies
from analysis.results.selection import best_finalist


@dataclass(frozen=True)
class Contender:
    """A sweep, and its confirmation if there is one."""

    ledger: Ledger
    confirmation: Confirmation | None

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.ledger.name

    @property
    def arm(self) -> Arm | None:
        """The arm of the best trial, if it is confirmed."""
        return best_finalist(self.ledger, self.confirmation) if self.confirmation else None

    @property
    def test_accuracies(self) -> dict[int, float]:
        """The test accuracies of the best trial by seed, as fractions."""
        if self.confirmation is None or self.arm is None:
            return {}
        return self.confirmation.test_accuracies(self.arm.arm)


@dataclass(frozen=True)
class Difference:
    """The best trial of `sweep` against that of `baseline`, both names of sweeps.

    `comparison` is None, and `reason` says why, if they cannot be compared.
    """

    sweep: str
    baseline: str
    comparison: Comparison | None
    reason: str | None


def compare_sweeps(contenders: Sequence[Contender]) -> list[Difference]:
    """Compare the best trial of each sweep with that of the first one, paired by seed.

    Sweeps with the same `seed` are confirmed with the same seeds. The intervals of all
    comparisons cover together, as those of `compare_accuracies`. The names must be different.
    """
    first, *others = contenders
    reasons = {other.name: _why_not(other, first) for other in others}
    comparable = [name for name, reason in reasons.items() if reason is None]
    accuracies = {contender.name: contender.test_accuracies for contender in contenders}
    comparisons = {c.finalist: c for c in compare_accuracies(accuracies, comparable, [first.name])}
    return [
        Difference(name, first.name, comparisons.get(name), reason)
        for name, reason in reasons.items()
    ]


def _why_not(one: Contender, other: Contender) -> str | None:
    """Return why two sweeps cannot be compared, None if they can."""
    for contender in (one, other):
        if not contender.test_accuracies:
            return f"the best trial of {contender.name} is not confirmed"
    if one.ledger.data.fingerprint != other.ledger.data.fingerprint:
        return "their datasets differ"
    if not one.test_accuracies.keys() & other.test_accuracies.keys():
        return "their confirmations share no seed, because the sweeps have different seeds"
    return None
