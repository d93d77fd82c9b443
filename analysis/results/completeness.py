"""What a confirmation still lacks."""

import shlex
from collections.abc import Collection

from analysis.records.confirmation import MIN_SEEDS, Confirmation, Plan
from analysis.records.ledger import Ledger
from analysis.results.budget import n_planned
from analysis.results.selection import best_finalist, best_trial
from analysis.results.verdict import is_decided


def n_seeds_planned(plan: Plan, ledger: Ledger, confirmation: Confirmation | None) -> int:
    """Return the number of seeds up to the next look of a plan, or up to its last."""
    if plan.max_seeds is None:
        return plan.seeds
    looked = confirmation.looks[-1].n_seeds if confirmation and confirmation.looks else 0
    if confirmation is not None and looked and is_decided(ledger, confirmation):
        return looked
    return plan.next_look(looked) or plan.max_seeds


def needs_look(confirmation: Confirmation, arms: Collection[str], seeds: Collection[int]) -> bool:
    """Return whether a look is due. All runs of `arms` and `seeds` must have ended."""
    if not confirmation.looks:
        return True
    seen = confirmation.looks[-1].accuracies
    return any(
        seed in seeds and seed not in seen.get(arm, {})
        for arm in arms
        for seed in confirmation.test_accuracies(arm)
    )


def is_cut_off(ledger: Ledger, confirmation: Confirmation) -> bool:
    """Return whether a confirmation that was begun is not complete."""
    plan, best = confirmation.plan, best_finalist(ledger, confirmation)
    if plan is None:  # of version 0.1.0, which went by the config
        planned = (ledger.config.get("confirm") or {}).get("seeds", 0)
        is_open = any(run.state == "RUNNING" for run in confirmation.runs.values())
        return is_open or confirmation.n_seeds_ended(confirmation.arms) < planned
    # Plans that name no arms have been written before; some of their arms may be given up.
    arms = plan.arms or ([best.arm] if best else [])
    n_seeds = n_seeds_planned(plan, ledger, confirmation)
    seeds = confirmation.ordered_seeds(ledger.config["seed"])[:n_seeds]
    return confirmation.n_seeds_ended(arms) < n_seeds or needs_look(confirmation, arms, seeds)


def missing_step(ledger: Ledger, confirmation: Confirmation | None) -> str | None:
    """Return the command that completes the search, or the verdict, without program and sweep.

    None if nothing is missing, or if no trial ran all its epochs.
    """
    if not best_trial(ledger):
        return None
    if ledger.n_ended < n_planned(ledger):
        return "resume"
    if confirmation is None or not confirmation.runs:
        return "confirm"
    if confirmation.plan is not None and is_cut_off(ledger, confirmation):
        return "resume"
    n_seeds = len(confirmation.seeds)
    best = best_finalist(ledger, confirmation)
    compared = [] if best is None else [best, confirmation.reference_of(best) or best]
    if not compared or compared[0].differences(compared[1]):
        n_seeds = max(n_seeds, MIN_SEEDS)
    if compared and confirmation.n_seeds_ended([arm.arm for arm in compared]) >= n_seeds:
        return None
    planned = (ledger.config.get("confirm") or {}).get("seeds", 0)
    return f"confirm --seeds {n_seeds}" if n_seeds > planned else "confirm"


def confirm_command(ledger: Ledger, confirmation: Confirmation | None) -> str | None:
    """Return the command of `missing_step`; None if nothing is missing."""
    step = missing_step(ledger, confirmation)
    return None if step is None else f"sweep {step} {shlex.quote(ledger.name)}"
