"""What a sweep still lacks of what its config asks for: trials, and confirmation runs."""

from dataclasses import dataclass

from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.ledger import Ledger
from analysis.records.seeds import confirmation_seeds
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from sweep.config import SweepConfig
from sweep.driver.arms import plan_arms


@dataclass(frozen=True)
class Missing:
    """What a sweep still lacks; false if nothing.

    Attributes:
        n_trials: How many trials have not ended.
        runs: Arm and seed of each run that is not complete, of the best trials so far.
        text: A sentence about it.
    """

    n_trials: int
    runs: list[tuple[str, int]]
    text: str

    def __bool__(self) -> bool:
        return bool(self.n_trials or self.runs)


def find_missing(folder: Folder, ledger: Ledger, config: SweepConfig) -> Missing:
    """Return what the sweep in `folder` lacks of what `config` asks for."""
    runs, n_planned = [], 0
    if config.confirm is not None and rank_trials(ledger):
        confirmation = read_confirmation(folder)
        if confirmation is not None and confirmation.begun.epochs != config.epochs:
            confirmation = None  # it will be set aside
        arms, seeds = plan_runs(config, ledger, confirmation)
        runs = missing_runs(confirmation, [arm.arm for arm in arms], seeds)
        n_planned = len(arms) * len(seeds)
    n_trials = n_missing_trials(config, ledger)
    text = f"{len(runs)} of {n_planned} runs are still to be confirmed"
    if n_trials:
        text = f"{config.trials - n_trials} of {config.trials} trials have ended"
        if cut_off := ledger.in_state("RUNNING"):
            text += f", {len(cut_off)} were cut off"
    return Missing(n_trials, runs, text)


def n_missing_trials(config: SweepConfig, ledger: Ledger) -> int:
    """Return how many of the trials that `config` asks for have not ended."""
    return max(0, config.trials - ledger.n_ended)


def plan_runs(
    config: SweepConfig, ledger: Ledger, confirmation: Confirmation | None
) -> tuple[list[Arm], list[int]]:
    """Return the arms and seeds of a confirmation, which may continue an earlier one."""
    plan = config.confirm
    assert plan is not None
    recorded = () if confirmation is None else confirmation.arms.values()
    arms = plan_arms(config, rank_trials(ledger)[: plan.top_k], recorded)
    return arms, confirmation_seeds(config.seed, plan.seeds)


def missing_runs(
    confirmation: Confirmation | None, arms: list[str], seeds: list[int]
) -> list[tuple[str, int]]:
    """Return the runs that are not complete, seed by seed, so that arms stay comparable."""
    done = {} if confirmation is None else confirmation.runs
    return [
        (arm, seed)
        for seed in seeds
        for arm in arms
        if (run := done.get((arm, seed))) is None or run.state != "COMPLETE"
    ]
