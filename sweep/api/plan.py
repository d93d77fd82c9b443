"""What a new sweep will do: its config and name, and how long it takes."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from msgspec.structs import replace

from analysis.formatting import count, points
from analysis.records.confirmation import Plan
from analysis.records.dataset import MNIST, DataRecord
from analysis.records.ledger import EarlierSweep, Ledger
from analysis.storage.folder import Folder
from data_utils.registry import is_path
from models.own import is_own
from sweep.config import Confirm, Resources, SweepConfig
from sweep.config.resolve import resolve_config
from sweep.driver.estimate import Estimate, describe_time, estimate_time, n_training_steps
from sweep.driver.folders import check_name, name_after
from sweep.driver.resume import Missing, check_data, describe_data
from sweep.driver.warm_start import describe_learning, learn_from
from sweep.environment import gpus, n_processors, split_address
from sweep.errors import UsageError
from sweep.networks import check_network, spec_of
from sweep.screen.display import load_data
from sweep.screen.output import print_json, say
from sweep.screen.plan import describe_size, print_entry, print_space

_FEW_STEPS = 500  # three epochs of MNIST have 2,300
_LARGE_ERROR = 0.01  # of a score by the choice of fewer than 900 images


@dataclass(frozen=True)
class Options:
    """The options that `run`, `resume` and `confirm` share.

    `show` shows the result of a sweep. With `may_exit` a signal may end the process at once.
    """

    address: str | None
    concurrency: int | None
    data: str | os.PathLike[str] | None
    show: Callable[[Folder, Ledger], None] = lambda folder, ledger: None
    may_exit: bool = False


def plan_sweep(
    name: str | None, *, preset: str | None, path: Path | None, search_only: bool, **settings: Any
) -> tuple[str, SweepConfig]:
    """Return the name and the config of a new sweep; `settings` are those of `resolve_config`.

    The name is by default that of the config file or the preset, and the time.
    """
    config = resolve_config(
        preset=preset, path=path, **settings, notify=lambda note: say(f"note: {note}")
    )
    if search_only:
        config = config.model_copy(update={"confirm": None})
    if name is None:
        name = name_after(path.stem if path is not None else preset or "classic")
    check_name(name)
    return name, config


def print_dry_run(
    name: str,
    config: SweepConfig,
    options: Options,
    missing: Missing | None = None,
    from_sweep: Ledger | None = None,
    ledger: Ledger | None = None,
    *,
    as_json: bool,
) -> None:
    """Print what would run; write nothing. `ledger` and `missing` are of a sweep to continue."""
    check_options(config.resources, options)
    # Another dataset with a name is as large as MNIST, and perhaps not here yet.
    data = replace(MNIST, fingerprint=config.dataset)
    if is_path(config.dataset):
        data = describe_data(load_data(config.dataset, options.data, split=config.split))
    if ledger is not None:
        check_data(ledger, data)
    check_network(config, spec_of(data))
    earlier = None if from_sweep is None else learn_from(from_sweep, config, data)
    if as_json:
        found = _estimate(config, options, data, missing)
        document = {
            "sweep": name,
            "missing": None if missing is None else missing.text,
            "searched": list(config.space),
            "off": config.off(),
            "estimate_s": None if found is None else round(found.total_s, 1),
            "config": config.model_dump(mode="json"),
        }
        print_json(document)
        return
    plan = config.confirm
    then = "no confirmation"
    if plan is not None:
        finalists = count(min(plan.top_k, config.trials), "finalist")
        then = f"confirmation of {finalists}, {describe_seeds(plan)}"
    say(f"sweep {name} would run {describe_size(config)}, then: {then}", sys.stdout)
    print_plan(config, options, from_sweep, earlier, data, sys.stdout, missing)
    if missing is not None:
        print(f"it would continue: {missing.text}" if missing else "it is complete already")
    asked = "" if options.address is None else ", and the cluster was not contacted"
    print(f"nothing was started or written{asked}")


def print_plan(
    config: SweepConfig,
    options: Options,
    from_sweep: Ledger | None,
    earlier: EarlierSweep | None,
    data: DataRecord,
    stream: TextIO,
    missing: Missing | None = None,
) -> None:
    """Print what is searched, how long it takes, and what is learned from another sweep."""
    print_space(config, stream)
    if (found := _estimate(config, options, data, missing)) is not None:
        print_entry("time", describe_time(config, found), stream)
    if is_path(config.dataset) and (n := n_training_steps(config, data)) < _FEW_STEPS:
        more = "more epochs or smaller batches will likely be better"
        print_entry("note", f"{count(n, 'step')} of training per trial: {more}", stream)
    if (error := data.image_error(0.9, data.n_validation)) > _LARGE_ERROR:
        few = f"{count(data.n_validation, 'validation image')}: a score of 90 % has a standard"
        print_entry("note", f"{few} error of {points(error, 1)} points", stream)
    if from_sweep is not None and earlier is not None:
        learning = describe_learning(earlier, len(from_sweep.trials), config)
        say(learning, stream)


def describe_seeds(plan: Confirm | Plan) -> str:
    """Return how many seeds a confirmation trains, in a few words."""
    if plan.max_seeds is not None:
        return f"until the verdict is clear, at most {count(plan.max_seeds, 'seed')} per arm"
    return f"{count(plan.seeds, 'seed')} per arm"


def check_options(resources: Resources, options: Options) -> str:
    """Check the options of a session; return what it will do at its start, in a few words.

    UsageError if an option cannot be, or trials are to run on this machine, which does not have
    the resources.
    """
    n = options.concurrency
    if n is not None and (type(n) is not int or n < 1):
        raise UsageError(f"`--concurrency` must be at least 1, and an integer, but got {n!r}")
    if options.address is not None:
        if options.address != "auto":
            split_address(options.address)
        return f"joining Ray at {options.address}"
    return f"{_count_slots(resources, options.concurrency)} at a time; starting Ray"


def _count_slots(resources: Resources, concurrency: int | None) -> int:
    """Return how many trials run at a time here; UsageError without the resources for one."""
    available = n_processors()
    if available < resources.cpu:
        processors = count(available, "processor")
        raise UsageError(
            f"`resources.cpu` is {resources.cpu:g}, but this machine has {processors}"
        )
    n_gpus = gpus().get("gpus", 0) if resources.gpu else 0
    if n_gpus < resources.gpu:
        usable = f"{count(n_gpus, 'GPU')} usable with CUDA"
        raise UsageError(
            f"`resources.gpu` is {resources.gpu:g}, but this machine has {usable}; set "
            "`resources.gpu` to 0 to train on processors"
        )
    slots = resources.slots(available, n_gpus)
    if concurrency is not None and concurrency > slots:
        raise UsageError(
            f"`--concurrency` must be at most {slots} on this machine, but got {concurrency}"
        )
    return concurrency or slots


def _estimate(
    config: SweepConfig, options: Options, data: DataRecord, missing: Missing | None
) -> Estimate | None:
    """Return how long a sweep takes on this machine, or what is missing from it.

    None on a cluster, if nothing is missing, or if training fails.
    """
    if options.address is not None or (missing is not None and not missing):
        return None
    slots = min(_count_slots(config.resources, options.concurrency), n_processors())
    try:
        return estimate_time(config, slots, data, missing)
    except (Exception, SystemExit):
        if is_own(config.model):  # its trials record the reason
            return None
        raise
