"""Sweeps side by side: the paired differences between what they have confirmed."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.records.confirmation import Confirmation, Look
from analysis.records.ledger import Ledger
from analysis.results.comparison import Comparison, compare_at_looks
from analysis.results.selection import best_finalist, rank_trials


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
    def looks(self) -> list[tuple[Look, dict[int, float]]]:
        """The looks at its confirmation, each with the best trial's test accuracies by seed."""
        if self.confirmation is None:
            return []
        arm = best_finalist(self.ledger, self.confirmation)
        found = [
            (look, look.accuracies.get(arm.arm, {})) for look in self.confirmation.looks if arm
        ]
        return [(look, accuracies) for look, accuracies in found if accuracies]

    @property
    def test_accuracies(self) -> dict[int, float]:
        """The test accuracies of the best trial by seed, at the last look, as fractions."""
        return self.looks[-1][1] if self.looks else {}


@dataclass(frozen=True)
class Difference:
    """The best trial of one sweep against that of another, or the reason why there is none."""

    sweep: str
    baseline: str
    comparison: Comparison | None
    reason: str | None


def compare_sweeps(contenders: Sequence[Contender]) -> list[Difference]:
    """Compare the best trial of each sweep with that of the first one, paired by seed.

    Sweeps with the same `seed` are confirmed with the same seeds. The intervals of all
    comparisons, at all numbers of seeds that a look at one of the sweeps had, cover together, as
    those of `compare_at_looks`. The names must be different.
    """
    first, *others = contenders
    reasons = {other.name: _why_not(other, first) for other in others}
    comparable = [name for name, reason in reasons.items() if reason is None]
    looks = _common_looks([c for c in contenders if c.name in (first.name, *comparable)])
    comparisons = {c.finalist: c for c in compare_at_looks(looks, comparable, [first.name])}
    return [
        Difference(name, first.name, comparisons.get(name), reason)
        for name, reason in reasons.items()
    ]


def _common_looks(contenders: Sequence[Contender]) -> list[Look]:
    """Return what could be compared at each number of seeds that a look had."""
    known = {contender.name: contender.looks for contender in contenders}
    every = [look for looks in known.values() for look, _ in looks]
    common, n_planned = [], min((look.n_planned for look in every), default=0)
    for n_seeds in sorted({look.n_seeds for look in every}):
        then = {
            name: next((found for look, found in looks if look.n_seeds >= n_seeds), looks[-1][1])
            for name, looks in known.items()
        }
        common.append(Look(n_seeds, n_planned, frozenset[int]().union(*then.values()), then))
    return common


def _why_not(one: Contender, other: Contender) -> str | None:
    """Return why two sweeps cannot be compared, None if they can."""
    if one.ledger.data.fingerprint != other.ledger.data.fingerprint:
        return "their datasets differ, and accuracies on different images cannot be compared"
    for contender in (one, other):
        if not contender.test_accuracies:
            return _why_unconfirmed(contender)
    if not one.test_accuracies.keys() & other.test_accuracies.keys():
        return "their confirmations share no seed; those of sweeps with the same `--seed` do"
    return None


def _why_unconfirmed(one: Contender) -> str:
    """Return what a sweep without test accuracies lacks."""
    if not rank_trials(one.ledger):
        return f"no trial of {one.name} has run all its epochs"
    is_begun = one.confirmation and best_finalist(one.ledger, one.confirmation)
    return f"the best trial of {one.name} is not {'completely ' if is_begun else ''}confirmed"
