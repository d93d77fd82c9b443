"""`sweep run`, `sweep resume`, `sweep confirm`: the commands that train networks."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.records.ledger import read_first_record
from analysis.records.sweeps import list_sweeps
from sweep.api.storage import DEFAULT_STORAGE, find_sweep, storage_folder
from sweep.cli import options
from sweep.screen.output import say

if TYPE_CHECKING:
    from sweep.api.plan import Options


def run(
    preset: options.PresetOption = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Config file that overrides the preset.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set a key of the preset, such as recipe.momentum=0.95; repeatable.",
        ),
    ] = None,
    dataset: options.DatasetOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the sweep. [default: preset or config file, and time]"
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Number of trials. [default: the preset's]")
    ] = None,
    time_budget: options.TimeBudgetOption = None,
    from_sweep: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SWEEP",
            help="Learn from an earlier sweep of the same data and network.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Epochs of a trial. [default: the preset's]")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Seed of the search and its trials. [default: the preset's]"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the sweep if it exists.")
    ] = False,
    accept_changes: options.AcceptOption = False,
    search_only: Annotated[
        bool, typer.Option("--search-only", help="Search without confirmation.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run, without writing anything.")
    ] = False,
    address: options.AddressOption = None,
    concurrency: options.ConcurrencyOption = None,
    data: options.DataOption = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Search for the best hyperparameters and confirm them."""
    from sweep.api.plan import plan_sweep, print_dry_run
    from sweep.api.work import continue_sweep, start_sweep
    from sweep.driver.folders import check_is_new
    from sweep.driver.resume import plan_resume

    sweeps = storage_folder(storage)
    if name is None and resume:
        found, _ = list_sweeps(sweeps)
        name = found[0].name if found else None
    name, resolved = plan_sweep(
        name,
        preset=preset,
        path=config,
        search_only=search_only,
        settings=settings or (),
        trials=trials,
        time_budget=time_budget,
        epochs=epochs,
        seed=seed,
        dataset=dataset,
    )
    how = _options(address, concurrency, data, as_json=as_json)
    if resume and read_first_record(sweeps.child(name)) is not None:
        folder, ledger = find_sweep(storage, name)
        learned = ledger.created.earlier
        if from_sweep is not None and (learned is None or learned.name != from_sweep):
            say(f"note: `--from {from_sweep}` has no effect: {name} has been started without it")
        if dry_run:
            resolved, _, missing = plan_resume(
                folder, ledger, resolved, accept_changes=accept_changes, search_only=search_only
            )
            print_dry_run(name, resolved, how, missing, ledger=ledger, as_json=as_json)
        else:
            continue_sweep(
                folder,
                ledger,
                resolved,
                how,
                accept_changes=accept_changes,
                search_only=search_only,
            )
        return
    earlier = None if from_sweep is None else find_sweep(storage, from_sweep)[1]
    if dry_run:
        check_is_new(sweeps, name)
        print_dry_run(name, resolved, how, from_sweep=earlier, as_json=as_json)
    else:
        start_sweep(sweeps, name, resolved, how, earlier)


def resume(
    name: options.NameArgument = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", help="Extend the sweep to N trials."),
    ] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(metavar="T", help="Time limit from now, such as 30m, or `none`."),
    ] = None,
    accept_changes: options.AcceptOption = False,
    address: options.AddressOption = None,
    concurrency: options.ConcurrencyOption = None,
    data: options.DataOption = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Finish a sweep that was interrupted, or extend it."""
    from sweep.api.work import continue_sweep
    from sweep.driver.resume import extend

    folder, ledger = find_sweep(storage, name)
    config = extend(ledger, trials, time_budget)
    how = _options(address, concurrency, data, as_json=as_json)
    continue_sweep(folder, ledger, config, how, accept_changes=accept_changes)


def confirm(
    name: options.NameArgument = None,
    top_k: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of finalists. [default: the config's]"),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of seeds per arm. [default: the config's]"),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Add seeds until the best trial is clearly better or worse than its baseline.",
        ),
    ] = False,
    max_seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Maximum number of seeds with --until-decided. [default: the config's, or 20]",
        ),
    ] = None,
    address: options.AddressOption = None,
    concurrency: options.ConcurrencyOption = None,
    data: options.DataOption = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Retrain and test the best trials and the baselines.

    An interrupted confirmation is continued, unless options change its plan.
    """
    from sweep.api.work import confirm_sweep
    from sweep.driver.resume import plan_confirmation

    folder, ledger = find_sweep(storage, name)
    plan = plan_confirmation(folder, ledger, top_k, seeds, max_seeds, until_decided=until_decided)
    how = _options(address, concurrency, data, as_json=as_json)
    confirm_sweep(folder, ledger, plan, how)


def _options(
    address: str | None, concurrency: int | None, data: Path | None, *, as_json: bool
) -> "Options":
    from sweep.api.plan import Options
    from sweep.cli.summary import print_result

    show = partial(print_result, as_json=as_json)
    return Options(address, concurrency, data, show, may_exit=True)
