"""Sweeps side by side: the differences between what they have confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.records.confirmation import Confirmation, Look
from analysis.records.ledger import Ledger
from analysis.results.comparison import Comparison, compare_at_looks
from analysis.results.selection import best_finalist, best_trial

_Looks = list[tuple[Look, dict[int, float]]]


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
    def looks(self) -> _Looks:
        """The looks at its confirmation, each with the best trial's test accuracies by seed."""
        if self.confirmation is None:
            return []
        arm = best_finalist(self.ledger, self.confirmation)
        found = [
            (look, look.accuracies.get(arm.arm, {})) for look in self.confirmation.looks if arm
        ]
        return [(look, accuracies) for look, accuracies in found if accuracies]

    @property
    def seeds(self) -> list[int]:
        """The seeds of its confirmation, in the order in which they were derived."""
        if self.confirmation is None:
            return []
        return self.confirmation.ordered_seeds(self.ledger.config["seed"])

    @property
    def test_accuracies(self) -> dict[int, float]:
        """The test accuracies of the best trial by seed, at the last look, as fractions."""
        return self.looks[-1][1] if self.looks else {}


@dataclass(frozen=True)
class Difference:
    """The best trial of one sweep against that of another, or the reason why there is none.

    `is_paired` says that the two share seeds; else their runs are independent.
    """

    sweep: str
    baseline: str
    comparison: Comparison | None
    reason: str | None
    is_paired: bool


def compare_sweeps(contenders: Sequence[Contender]) -> list[Difference]:
    """Compare the best trial of each sweep with that of the first one, paired by seed.

    Sweeps with the same `seed` are confirmed with the same seeds. The runs of two sweeps that
    share no seed are independent. They are paired in the order of their seeds: no result
    determines the pairs, so that Student's test holds for them as well (H. Scheffé, "On solutions
    of the Behrens-Fisher problem", Ann. Math. Stat. 14, 1943), but nothing common cancels out. The
    intervals of all comparisons, at all numbers of seeds that a look at one of the sweeps had,
    cover together, as those of `compare_at_looks`. The names must be different.
    """
    first, *others = contenders
    reasons = {other.name: _why_not(other, first) for other in others}
    paired = {o.name: bool(o.test_accuracies.keys() & first.test_accuracies) for o in others}
    known = {first.name: first.looks} | {
        other.name: other.looks if paired[other.name] else _with_seeds_of(first, other)
        for other in others
        if reasons[other.name] is None
    }
    compared = compare_at_looks(_common_looks(known), [*known][1:], [first.name])
    comparisons = {comparison.finalist: comparison for comparison in compared}
    return [
        Difference(name, first.name, comparisons.get(name), reason, paired[name])
        for name, reason in reasons.items()
    ]


def _with_seeds_of(first: Contender, other: Contender) -> _Looks:
    """Return the looks at `other`, with the seeds of `first` in place of its own.

    Both are in the order in which they were derived, so that added seeds change no pair.
    """
    names = dict(zip(other.seeds, first.seeds, strict=False))
    return [
        (look, {names[seed]: value for seed, value in accuracies.items() if seed in names})
        for look, accuracies in other.looks
    ]


def _common_looks(known: Mapping[str, _Looks]) -> list[Look]:
    """Return what could be compared at each number of seeds that a look had."""
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
    return None


def _why_unconfirmed(one: Contender) -> str:
    """Return what a sweep without test accuracies lacks."""
    if not best_trial(one.ledger):
        return f"no trial of {one.name} has run all its epochs"
    is_begun = one.confirmation and best_finalist(one.ledger, one.confirmation)
    return f"the best trial of {one.name} is not {'completely ' if is_begun else ''}confirmed"
