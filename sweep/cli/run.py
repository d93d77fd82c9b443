"""`sweep run`, `sweep resume`, `sweep confirm`: the commands that train networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.formatting import count
from analysis.records.files import REPORT_FILE
from analysis.records.ledger import Ledger
from analysis.storage.folder import Folder
from sweep.cli import options
from sweep.cli.options import find_sweep, storage_folder
from sweep.cli.output import say

if TYPE_CHECKING:
    from sweep.cli.work import Computing
    from sweep.config import SweepConfig


def run(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="quick, classic or best. [default: classic]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Config file that overrides the preset.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key: recipe.momentum=0.95."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the sweep. [default: preset and time]"),
    ] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="Number of trials.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs of a trial.")] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the search and its trials.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the sweep if it exists.")
    ] = False,
    accept_changes: options.AcceptOption = False,
    search_only: Annotated[bool, typer.Option("--search-only", help="Do not confirm.")] = False,
    address: options.AddressOption = None,
    concurrency: options.ConcurrencyOption = None,
    data: options.DataOption = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Search for the best hyperparameters and confirm them."""
    from analysis.records.sweeps import list_sweeps
    from sweep.cli.work import Computing, search_and_confirm
    from sweep.config.resolve import resolve_config
    from sweep.driver.folders import check_name, exists, name_after, prepare_folder

    resolved = resolve_config(
        preset=preset,
        path=config,
        settings=settings or (),
        trials=trials,
        epochs=epochs,
        seed=seed,
        notify=lambda note: say(f"note: {note}"),
    )
    if search_only:
        resolved = resolved.model_copy(update={"confirm": None})
    sweeps = storage_folder(storage)
    if name is None and resume:
        found, _ = list_sweeps(sweeps)
        name = found[0].name if found else None
    if name is None:
        name = name_after(config.stem if config is not None else preset or "classic")
    check_name(name)
    computing = Computing(address, concurrency, data)
    if resume and exists(sweeps, name):
        folder, ledger = find_sweep(storage, name)
        _continue(folder, ledger, resolved, computing, accept_changes, as_json)
        return
    start, images = computing.prepare(resolved)
    folder = prepare_folder(sweeps, name, resolved)
    search_and_confirm(folder, resolved, computing, start, images, as_json=as_json, is_new=True)


def resume(
    name: options.NameArgument = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1_000_000, help="Extend the sweep to N trials."),
    ] = None,
    accept_changes: options.AcceptOption = False,
    address: options.AddressOption = None,
    concurrency: options.ConcurrencyOption = None,
    data: options.DataOption = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Finish a sweep that was interrupted, or extend it."""
    from sweep.cli.work import Computing
    from sweep.config import SweepConfig

    folder, ledger = find_sweep(storage, name)
    config = SweepConfig.model_validate(ledger.config | ({"trials": trials} if trials else {}))
    computing = Computing(address, concurrency, data)
    _continue(folder, ledger, config, computing, accept_changes, as_json)


def _continue(
    folder: Folder,
    ledger: Ledger,
    config: "SweepConfig",
    computing: "Computing",
    accept_changes: bool,
    as_json: bool,
) -> None:
    """Run the trials and confirmation runs that the sweep still lacks."""
    from sweep.cli.summary import print_result
    from sweep.cli.work import advising, finish, search_and_confirm
    from sweep.driver.folders import write_environment
    from sweep.driver.missing import find_missing
    from sweep.driver.resume import check_changes

    changes = check_changes(folder, ledger, config, accept_changes=accept_changes)
    missing = find_missing(folder, ledger, config)
    if not missing:
        say(f"nothing is left to do for {folder.name}")
        show = print_result if folder.exists(REPORT_FILE) else finish
        show(folder, ledger, as_json=as_json)
        return
    with advising(folder), folder.lock():
        pass  # nobody else works on it
    start, images = computing.prepare(config)
    if changes:
        write_environment(folder)
    say(f"resuming {folder.name}: {missing}")
    search_and_confirm(folder, config, computing, start, images, as_json=as_json)


def confirm(
    name: options.NameArgument = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=100, help="Number of finalists.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=1000, help="Number of runs per arm.")
    ] = None,
    address: options.AddressOption = None,
    concurrency: options.ConcurrencyOption = None,
    data: options.DataOption = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Compare finalists and baselines on the test images."""
    from sweep.cli.summary import find_best, print_result
    from sweep.cli.work import Computing, advising, at_work, finish
    from sweep.config import Confirm, SweepConfig
    from sweep.driver.missing import find_missing

    folder, ledger = find_sweep(storage, name)
    find_best(ledger)  # fails before Ray starts if there is nothing to confirm
    config = SweepConfig.model_validate(ledger.config)
    default = config.confirm or Confirm()
    plan = Confirm(top_k=top_k or default.top_k, seeds=seeds or default.seeds)
    if not find_missing(folder, ledger, config.model_copy(update={"confirm": plan})).runs:
        say(f"everything is confirmed already for {ledger.name}")
        print_result(folder, ledger, as_json=as_json)
        return
    again = f"confirm --top-k {plan.top_k} --seeds {plan.seeds}"
    with advising(folder, again), folder.lock():
        pass  # nobody else works on it
    computing = Computing(address, concurrency, data)
    start, images = computing.prepare(config)
    say(f"confirming {ledger.name}: {count(plan.seeds, 'seed')} per arm, {start}")
    with at_work(folder, config, computing, again=again) as session:
        from sweep.driver.confirm import run_confirmation

        run_confirmation(session, config, ledger, plan=plan, data=images)
    finish(folder, ledger, as_json=as_json)
