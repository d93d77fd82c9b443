"""What a sweep to be resumed is missing, and what has changed since it began."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from analysis.formatting import count
from analysis.records.confirmation import Confirmation, Plan, read_confirmation
from analysis.records.dataset import DataRecord
from analysis.records.files import CHECKPOINTS_FOLDER, ENVIRONMENT_FILE
from analysis.records.ledger import Ledger
from analysis.results.budget import (
    LONGEST,
    is_used_up,
    n_planned,
    needs_full_trial,
    read_duration,
    seconds_spent,
    write_duration,
)
from analysis.results.completeness import is_cut_off, needs_look
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from data_utils.dataset import TrainTest
from data_utils.errors import DataError
from data_utils.registry import is_path
from models.own import is_own, source_hash
from sweep.config import Confirm, SweepConfig
from sweep.config.messages import checked
from sweep.driver.arms import missing_runs, planned_arms, planned_seeds
from sweep.environment import versions
from sweep.errors import UsageError

_MAX_SEEDS = 20  # of `--until-decided`
_MAY_CHANGE = ("trials", "time_budget", "confirm", "resources", "lenet-sweep")
"""What may change: keys of a config, and the version of this package. All versions train alike,
up to rounding."""


@dataclass(frozen=True)
class Missing:
    """What is missing from a sweep; false if nothing.

    `budget_s` are the seconds left of its time budget, if it has one. `runs` has arm and seed of
    each run to be trained before the next look, of `n_runs` in all. `look` says that only the
    look is missing. `text` is a sentence.
    """

    n_trials: int
    budget_s: float | None
    runs: list[tuple[str, int]]
    n_runs: int
    text: str
    look: bool = False

    def __bool__(self) -> bool:
        return bool(self.n_trials or self.runs or self.look)


def extend(ledger: Ledger, trials: int | None, time_budget: str | None) -> SweepConfig:
    """Return the config to continue with: for `trials` in all, for `time_budget` from now.

    The time budget `none` ends the search after its last trial alone. So do `trials` without
    a time budget where the budget is used up. UsageError if an option is invalid.
    """
    given: dict[str, Any] = {} if trials is None else {"trials": trials}
    if trials is not None and is_used_up(ledger, ledger.config["time_budget"]):
        given["time_budget"] = None
    if time_budget is not None:
        given["time_budget"] = time_budget
    config = checked(SweepConfig, ledger.config | given)
    if time_budget is None or config.time_budget is None:
        return config
    total = math.ceil(seconds_spent(ledger)) + read_duration(config.time_budget)
    return config.model_copy(update={"time_budget": write_duration(min(total, LONGEST))})


def plan_confirmation(
    folder: Folder,
    ledger: Ledger,
    top_k: int | None,
    seeds: int | None,
    max_seeds: int | None,
    *,
    until_decided: bool,
) -> Confirm:
    """Return the plan of a confirmation; its defaults are in the config of the sweep.

    If a confirmation was cut off, they are in its plan. UsageError if an option is invalid, or
    does not go with another.
    """
    default = SweepConfig.model_validate(ledger.config).confirm or Confirm()
    begun = read_confirmation(folder, ledger)
    if begun is not None and begun.plan is not None and is_cut_off(ledger, begun):
        default = _confirm_of(begun.plan)
    if until_decided and seeds is not None:
        raise UsageError("give `--max-seeds` instead of `--seeds` with `--until-decided`")
    if max_seeds is not None and not until_decided:
        raise UsageError("`--max-seeds` needs `--until-decided`; or give `--seeds`")
    if until_decided:
        max_seeds = default.max_seeds or _MAX_SEEDS if max_seeds is None else max_seeds
    elif seeds is None:
        max_seeds = default.max_seeds
    options: dict[str, int | None] = {"top_k": top_k, "seeds": seeds}
    given = {name: n for name, n in options.items() if n is not None}
    return checked(Confirm, {**default.model_dump(), **given, "max_seeds": max_seeds})


def find_missing(folder: Folder, ledger: Ledger, config: SweepConfig) -> Missing:
    """Return the trials and runs of `config` that are missing from the sweep in `folder`."""
    runs, n_runs, look = [], 0, False
    if config.confirm is not None and rank_trials(ledger):
        confirmation = current_confirmation(folder, ledger, config)
        names = [arm.arm for arm in planned_arms(config, ledger, confirmation)]
        seeds = planned_seeds(config, ledger, confirmation)
        runs, n_runs = missing_runs(confirmation, names, seeds), len(names) * len(seeds)
        if confirmation is not None and not runs:
            look = needs_look(confirmation, names, seeds)
    planned = n_planned(ledger, config.model_dump())
    n_trials = max(0, planned - ledger.n_ended)
    text = "nothing is missing"
    if runs:
        text = f"{len(runs)} of {n_runs} confirmation runs are missing"
    if look:
        text = "the verdict is missing"
    if n_trials:
        text = f"{planned - n_trials} of {planned} trials have ended"
        if cut_off := ledger.in_state("RUNNING"):
            text += f", {len(cut_off)} interrupted"
    budget_s = None
    if config.time_budget is not None:
        budget_s = max(0.0, read_duration(config.time_budget) - seconds_spent(ledger))
    return Missing(n_trials, budget_s, runs, n_runs, text, look)


def current_confirmation(
    folder: Folder, ledger: Ledger, config: SweepConfig
) -> Confirmation | None:
    """Read the confirmation of a sweep; None for one of other epochs, which will be set aside."""
    found = read_confirmation(folder, ledger)
    return None if found is None or found.begun.epochs != config.epochs else found


def with_recorded_plan(
    confirmation: Confirmation | None, ledger: Ledger, config: SweepConfig
) -> SweepConfig:
    """Return `config` with the plan that its confirmation recorded last.

    If the config's own plan has changed since the sweep began, it stays.
    """
    then = SweepConfig.model_validate(ledger.config).confirm
    if confirmation is None or confirmation.plan is None or config.confirm != then:
        return config
    return config.model_copy(update={"confirm": _confirm_of(confirmation.plan)})


def _confirm_of(plan: Plan) -> Confirm:
    return Confirm(top_k=plan.top_k, seeds=plan.seeds, max_seeds=plan.max_seeds)


def plan_resume(
    folder: Folder,
    ledger: Ledger,
    config: SweepConfig,
    *,
    accept_changes: bool,
    search_only: bool = False,
) -> tuple[SweepConfig, list[str], Missing]:
    """Return the config to continue with, its changes (see `check_changes`), and what is missing.

    A `config` that was given no split has the sweep's own. A confirmation that was begun is
    missing until it is complete, unless `search_only`. UsageError as `check_changes`.
    """
    own = {key: ledger.config[key] for key in {"split", "split_seed"} - config.model_fields_set}
    config = config.model_copy(update=own)
    if not search_only:
        config = with_recorded_plan(current_confirmation(folder, ledger, config), ledger, config)
    changes = check_changes(folder, ledger, config, accept_changes=accept_changes)
    return config, changes, find_missing(folder, ledger, config)


def check_changes(
    folder: Folder, ledger: Ledger, config: SweepConfig, *, accept_changes: bool
) -> list[str]:
    """Return the changes of config and versions since the sweep began, a sentence each.

    Trials, time budget, confirmation and resources may change: they leave the existing trials
    as they are. So may the path of the data, which `check_data` compares by its contents. Changes
    without `accept_changes` are a UsageError. So are, in any case, other validation images, whose
    scores are not comparable, and fewer trials than have started.
    """
    started = len(ledger.trials)
    least = started + needs_full_trial(ledger)
    if config.trials < least:
        why = f"{ledger.name} has started {count(started, 'trial')}"
        if least > started:
            why += ", all previews or failed, and needs one of full length"
        raise UsageError(f"`trials` must be at least {least}, but got {config.trials}: {why}")
    then = SweepConfig.model_validate(ledger.config)
    if is_path(then.dataset) and is_path(config.dataset):
        then = then.model_copy(update={"dataset": config.dataset})
    changes = [
        *_differences(then.model_dump(mode="json"), config.model_dump(mode="json")),
        *(f"version of {change}" for change in _differences(_versions_then(folder), versions())),
    ]
    way_on = "continue with --accept-changes, or start a new sweep"
    # A checkpoint may have an epoch that the ledger has not.
    has_begun = ledger.trials or folder.child(CHECKPOINTS_FOLDER).files()
    if has_begun and (then.split, then.split_seed) != (config.split, config.split_seed):
        accept_changes = False
        way_on = "scores on other validation images are not comparable: start a new sweep"
    if changes and not accept_changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise UsageError(f"changed since {ledger.name} began:{listed}\n{way_on}")
    return changes


def describe_data(data: TrainTest) -> DataRecord:
    """Return what a ledger records of its data."""
    counts = len(data.train), data.n_validation, len(data.test)
    return DataRecord(data.fingerprint, *counts, **asdict(data.spec))


def check_data(ledger: Ledger, now: DataRecord) -> None:
    """Raise DataError if the data is not that which a sweep began with."""
    then = ledger.data
    if then.fingerprint != now.fingerprint:
        raise DataError(
            f"the data is not that of {ledger.name}, which had {then.n_train:,} training and "
            f"{then.n_test:,} test images of {len(then.classes)} classes; this has "
            f"{now.n_train:,} and {now.n_test:,} of {len(now.classes)}, or other pixels or "
            "labels. Restore the old data, or start a new sweep"
        )


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for key in dict.fromkeys((*then, *now)):
        if not prefix and key in _MAY_CHANGE:
            continue
        before, after = then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"`{prefix}{key}`: {_shown(before)} then, {_shown(after)} now"


def _shown(value: Any) -> str:
    if isinstance(value, str) and is_own(value):
        return f"{value.partition('@')[0]} with SHA-256 {source_hash(value)[:8]}…"
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)


def _versions_then(folder: Folder) -> dict[str, str]:
    """Return the versions that the sweep began with; without a record, the current ones."""
    try:
        found = json.loads(folder.read(ENVIRONMENT_FILE))["versions"]
        return {name: str(found.get(name)) for name in versions()} if found else versions()
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return versions()
