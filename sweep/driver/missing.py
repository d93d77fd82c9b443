"""What a sweep still lacks of what its config asks for: trials, and confirmation runs."""

from dataclasses import dataclass

from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.ledger import Ledger
from analysis.records.seeds import confirmation_seeds
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from sweep.config import Confirm, SweepConfig
from sweep.driver.arms import plan_arms


@dataclass(frozen=True)
class Missing:
    """What a sweep still lacks; false if nothing.

    Attributes:
        n_trials: Trials that have not ended.
        n_cut_off: How many of them have started.
        runs: Arm and seed of each run that is not complete, of the best trials so far.
    """

    n_trials: int
    n_planned_trials: int
    n_cut_off: int
    runs: list[tuple[str, int]]
    n_planned_runs: int

    def __bool__(self) -> bool:
        return bool(self.n_trials or self.runs)

    def __str__(self) -> str:
        if self.n_trials:
            n_ended = self.n_planned_trials - self.n_trials
            cut_off = f", {self.n_cut_off} were cut off" if self.n_cut_off else ""
            return f"{n_ended} of {self.n_planned_trials} trials have ended{cut_off}"
        return f"{len(self.runs)} of {self.n_planned_runs} runs are still to be confirmed"


def find_missing(folder: Folder, ledger: Ledger, config: SweepConfig) -> Missing:
    """Return what the sweep in `folder` lacks of what `config` asks for."""
    arms: list[str] = []
    seeds: list[int] = []
    confirmation = None
    if config.confirm is not None and rank_trials(ledger):
        confirmation = read_confirmation(folder)
        if confirmation is not None and confirmation.begun.epochs != config.epochs:
            confirmation = None  # it will be set aside
        planned, seeds = plan_runs(config, config.confirm, ledger, confirmation)
        arms = [arm.arm for arm in planned]
    return Missing(
        n_trials=n_missing_trials(config, ledger),
        n_planned_trials=config.trials,
        n_cut_off=len(ledger.in_state("RUNNING")),
        runs=missing_runs(confirmation, arms, seeds),
        n_planned_runs=len(arms) * len(seeds),
    )


def n_missing_trials(config: SweepConfig, ledger: Ledger) -> int:
    """Return how many of the trials that `config` asks for have not ended."""
    return max(0, config.trials - ledger.n_ended)


def plan_runs(
    config: SweepConfig, plan: Confirm, ledger: Ledger, confirmation: Confirmation | None
) -> tuple[list[Arm], list[int]]:
    """Return the arms and seeds of a confirmation, which may continue an earlier one."""
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
