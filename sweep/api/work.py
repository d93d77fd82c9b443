"""What `run`, `resume` and `confirm` do, in Python and on the command line."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from analysis.errors import InUseError, LedgerError, StorageError
from analysis.formatting import count
from analysis.records.confirmation import Confirmation, Plan, read_confirmation
from analysis.records.files import REPORT_FILE
from analysis.records.ledger import (
    EarlierSweep,
    Ledger,
    has_diverged,
    read_first_record,
    read_ledger,
)
from analysis.results.budget import describe_budget, n_planned
from analysis.results.completeness import is_cut_off
from analysis.results.selection import rank_trials
from analysis.results.state import failed_runs, failed_trials
from analysis.storage.folder import Folder
from data_utils.dataset import TrainTest
from data_utils.errors import DataError
from data_utils.registry import is_path
from sweep.api.plan import Options, check_options, describe_seeds, print_plan
from sweep.api.storage import follow_up, watchable
from sweep.config import Confirm, SweepConfig
from sweep.driver.folders import new_folder, write_environment
from sweep.driver.resume import check_data, describe_data, find_missing, plan_resume
from sweep.driver.signals import Interrupted
from sweep.driver.warm_start import learn_from
from sweep.errors import ClusterError, NoTrialError
from sweep.networks import check_network, keep_network, load_network
from sweep.results.best import find_best
from sweep.screen.display import load_data
from sweep.screen.output import passing_line, say
from sweep.screen.plan import describe_size


def start_sweep(
    storage: Folder, name: str, config: SweepConfig, options: Options, from_sweep: Ledger | None
) -> None:
    """Search and confirm in a new sweep."""
    folder = storage.child(name)
    start, data = _prepare(config, options, folder)
    about = describe_data(data)
    earlier = None if from_sweep is None else learn_from(from_sweep, config, about)
    with (
        watchable(folder),
        new_folder(storage, name, config) as locked,
        _advising(folder, options),
    ):
        say(f"sweep {name}: {describe_size(config)}")
        print_plan(config, options, from_sweep, earlier, about, sys.stderr)
        with passing_line(start):
            ledger = _train(locked, config, options, data, earlier=earlier)
    _finish(folder, ledger, options)


def continue_sweep(
    folder: Folder,
    ledger: Ledger,
    config: SweepConfig,
    options: Options,
    *,
    accept_changes: bool,
    search_only: bool = False,
) -> None:
    """Run the missing trials and confirmation runs of the sweep."""
    if folder.is_locked():  # what follows would blame the user for what the other process does
        with watchable(folder), folder.lock():
            pass
    config, changes, missing = plan_resume(
        folder, ledger, config, accept_changes=accept_changes, search_only=search_only
    )
    if not missing:
        _record_changes(folder, ledger, config, options)
        say(f"{folder.name} is complete: nothing to do")
        if (early := describe_budget(ledger, config.model_dump())) is not None:
            more = follow_up("resume --time-budget 30m", folder)
            say(f"{early}; continue it for 30 more minutes with: {more}")
        elif config.time_budget != ledger.config["time_budget"]:
            more = follow_up(f"resume --trials {2 * config.trials}", folder)
            say(f"all of its trials have ended; for more trials: {more}")
        _finish(folder, ledger, options, has_trained=False)
        return
    _load_networks(folder, ledger, config)
    with watchable(folder), _advising(folder, options), folder.lock() as locked:
        _check_unchanged(locked, ledger)
        start, data = _prepare(config, options, folder, ledger)
        if changes:
            write_environment(locked, config)
        if config.model != ledger.config["model"]:
            keep_network(locked, config.model)
        say(f"resuming {folder.name}: {missing.text}")
        n = min(max(ledger.trials, default=0), len(config.initial_points))
        if n and any(change.startswith("`initial_points`") for change in changes):
            left_out = "is" if n == 1 else "are"
            say(f"note: the first {n} of the new initial points {left_out} not tried any more")
        say(f"sweep {folder.name}: {describe_size(config)}")
        with passing_line(start):
            ledger = _train(locked, config, options, data)
    _finish(folder, ledger, options)


def confirm_sweep(folder: Folder, ledger: Ledger, plan: Confirm, options: Options) -> None:
    """Train the missing runs of a confirmation."""
    find_best(ledger)
    config = SweepConfig.model_validate(ledger.config).model_copy(update={"confirm": plan})
    missing, found = find_missing(folder, ledger, config), read_confirmation(folder, ledger)
    if not missing.runs and not missing.look:
        if found is not None and found.plan is not None and is_cut_off(ledger, found):
            from sweep.driver.confirm import open_confirmation  # imports Ray

            say(f"the earlier plan is dropped: {describe_seeds(found.plan)}")
            with watchable(folder), folder.lock() as locked:
                _check_unchanged(locked, ledger)
                with open_confirmation(locked, config, ledger):
                    pass
        say(f"{ledger.name} is already confirmed")
        _finish(folder, ledger, options, has_trained=False)
        return
    again = _confirm_command(plan)
    _load_networks(folder, ledger, config)
    with watchable(folder), _advising(folder, options, again), folder.lock() as locked:
        _check_unchanged(locked, ledger)
        start, data = _prepare(config, options, folder, ledger)
        say(f"confirming {ledger.name}: {describe_seeds(plan)}")
        n = found.n_planned if found is not None and found.has_results and not found.looks else 0
        if n > (plan.max_seeds or plan.seeds):
            say(f"note: the intervals are adjusted for the {n} seeds of the earlier plan")
        if (planned := n_planned(ledger)) > ledger.n_ended:
            say(
                f"note: {ledger.n_ended} of {count(planned, 'trial')} have ended, and the best of "
                f"them is confirmed; continue the search with: {follow_up('resume', folder)}"
            )
        with passing_line(start):
            _train(locked, config, options, data, ledger, again=again)
    _finish(folder, ledger, options)


def _check_unchanged(locked: Folder, ledger: Ledger) -> None:
    """Raise StorageError if another process has added to a ledger since it was read."""
    if len(read_ledger(locked).records) != len(ledger.records):
        reason = "another process has just worked on it; run the command again"
        raise StorageError(errno.EBUSY, reason, str(locked))


def _prepare(
    config: SweepConfig, options: Options, folder: Folder, ledger: Ledger | None = None
) -> tuple[str, TrainTest]:
    """Return what is about to start, and the data, which must be a `ledger`'s; write nothing."""
    start = check_options(config.resources, options)
    data = _load_data(config, options, folder, ledger)
    check_network(config, data.spec)
    return start, data


def _load_data(
    config: SweepConfig, options: Options, folder: Folder, ledger: Ledger | None
) -> TrainTest:
    """Load the data, which must be a `ledger`'s."""
    try:
        data = load_data(config.dataset, options.data, split=config.split)
        if ledger is not None:
            check_data(ledger, describe_data(data))
    except DataError as error:
        if ledger is not None and is_path(config.dataset):
            again = follow_up("run --resume --config FILE --dataset PATH --name", folder)
            error.add_note(f"if it has moved, say where, with the sweep's `config.yaml`: {again}")
        raise
    return data


def _load_networks(folder: Folder, ledger: Ledger, config: SweepConfig) -> None:
    """Read the user's own networks of a sweep and its trials, which may have another."""
    models = {config.model, *(trial.config["model"] for trial in ledger.trials.values())}
    for model in models:
        load_network(folder, model)


def _train(
    locked: Folder,
    config: SweepConfig,
    options: Options,
    data: TrainTest,
    ledger: Ledger | None = None,
    *,
    earlier: EarlierSweep | None = None,
    again: str = "resume",
) -> Ledger:
    """Search, unless the `ledger` to confirm is given, then confirm; `again` continues it."""
    # Ray takes seconds to import: mistakes in the command line are reported before.
    from sweep.driver.confirm import run_confirmation
    from sweep.driver.search import end_killed_search, run_search
    from sweep.driver.session import open_session

    with open_session(
        config.resources,
        locked,
        address=options.address,
        concurrency=options.concurrency,
        advise=lambda: _how_to_continue(locked, options, again),
        may_exit=options.may_exit,
    ) as session:
        locked.delete(REPORT_FILE)  # one that stays until the end could be taken for the result
        if ledger is None:
            ledger = run_search(session, config, data, earlier)
        else:
            end_killed_search(locked, ledger)
        if config.confirm is not None and rank_trials(ledger):
            run_confirmation(session, config, ledger, data)
    return ledger


def _record_changes(folder: Folder, ledger: Ledger, config: SweepConfig, options: Options) -> None:
    """Record the new path of the data, and the resources, of a sweep that lacks nothing.

    A later confirmation needs them. Other changes have had no effect.
    """
    then = SweepConfig.model_validate(ledger.config)
    now = then.model_copy(update={"dataset": config.dataset, "resources": config.resources})
    if now == then:
        return
    from sweep.driver.search import open_ledger  # imports Ray

    if now.dataset != then.dataset:
        _load_data(now, options, folder, ledger)
    with watchable(folder), folder.lock() as locked:
        _check_unchanged(locked, ledger)
        with open_ledger(locked, now, ledger.data):
            pass


def _finish(folder: Folder, ledger: Ledger, options: Options, *, has_trained: bool = True) -> None:
    """Draw the plots and write the report, unless they are there already, and show the result.

    The result is shown even if the plots cannot be written. Afterwards, a trial or a run of the
    confirmation that failed for a reason other than divergence is an error.
    """
    try:
        if has_trained or not folder.exists(REPORT_FILE):  # which a training deletes
            from analysis.plots.gallery import draw_all
            from analysis.report.page import write_report

            with passing_line("drawing the plots and writing the report"):
                draw_all(folder, "png")
                write_report(folder)
    except BaseException as error:
        options.show(folder, ledger)
        again = f"{follow_up('plot', folder)}; {follow_up('report', folder)}"
        hint = f"the sweep itself is finished; write its plots and report with: {again}"
        if isinstance(error, Interrupted | KeyboardInterrupt):
            say(f"interrupted; {hint}")
        error.add_note(hint)
        raise
    options.show(folder, ledger)
    runs = failed_runs(read_confirmation(folder, ledger))
    for noun, failures in (("trial", failed_trials(ledger)), ("confirmation run", runs)):
        if wrong := [": ".join(failure) for failure in failures if not has_diverged(failure[1])]:
            raise NoTrialError(f"{count(len(wrong), noun)} of {ledger.name} failed, {wrong[0]}")


@contextlib.contextmanager
def _advising(folder: Folder, options: Options, again: str = "resume") -> Iterator[None]:
    """Say what to do if a signal, the storage or the cluster ends the block."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        say(f"interrupted; {_how_to_continue(folder, options, again)}")
        raise
    except (StorageError, ClusterError) as error:
        if not isinstance(error, InUseError):  # see `watchable`
            error.add_note(_how_to_continue(folder, options, again))
        raise


def _confirm_command(plan: Confirm | Plan) -> str:
    """Return the command that confirms by a plan, without program and sweep."""
    n_seeds = f"--seeds {plan.seeds}"
    if plan.max_seeds is not None:
        n_seeds = f"--until-decided --max-seeds {plan.max_seeds}"
    return f"confirm --top-k {plan.top_k} {n_seeds}"


def _how_to_continue(folder: Folder, options: Options, again: str) -> str:
    with contextlib.suppress(StorageError, LedgerError):  # the storage may be what has failed
        if read_first_record(folder) is None:
            return f"there is no sweep {folder.name} to continue"
        found = Confirmation.read(folder)
        if found is not None and found.plan is not None and _confirm_command(found.plan) == again:
            again = "resume"  # the plan is recorded
    if options.address not in (None, os.environ.get("RAY_ADDRESS")):
        again += f" --address {options.address}"
    return f"every finished epoch is kept; continue with: {follow_up(again, folder)}"
