"""`sweep list`, `status`, `trials`, `best`, `compare`: what the ledgers contain."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from analysis.records.confirmation import read_confirmation
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.seeds import confirmation_seeds
from analysis.records.sweeps import pause_after
from analysis.results.selection import best_first
from analysis.results.state import state_in_words, sweep_state
from analysis.storage.folder import Folder
from sweep.api.storage import DEFAULT_STORAGE, find_sweep, follow_up, storage_folder
from sweep.cli import options
from sweep.errors import UsageError
from sweep.screen.output import escape, open_console, print_json, say


def list_(
    storage: options.StorageOption = DEFAULT_STORAGE, as_json: options.JsonOption = False
) -> None:
    """List the sweeps in the storage, newest first."""
    from sweep.cli.tables import list_documents, print_list

    folder = storage_folder(storage)
    documents = list_documents(folder)
    if as_json:
        print_json({"sweeps": documents})
    else:
        print_list(folder, documents)


def status(
    name: options.NameArgument = None,
    follow: Annotated[bool, typer.Option("--follow", help="Watch until the sweep ends.")] = False,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Show the progress of a sweep."""
    from sweep.cli.tables import sweep_document
    from sweep.screen.confirm_view import describe_runs
    from sweep.screen.search_view import SearchView

    folder, ledger = find_sweep(storage, name)
    if follow and as_json:
        while folder.is_locked():
            time.sleep(pause_after(0.0))
        ledger = find_sweep(storage, folder.name)[1]
    elif follow:
        ledger = _follow(folder, ledger)
    state = sweep_state(folder, ledger)
    if as_json:
        print_json(sweep_document(folder, ledger, state))
        return
    why = ""
    if state == "interrupted" and ledger.ended is not None and ledger.ended.reason != "finished":
        why = f"; reason: {ledger.ended.reason.removeprefix('interrupted by ')}"
    console = open_console()
    console.print(escape(f"sweep {ledger.name}: {state_in_words(ledger, state)}{why}"))
    console.print(SearchView(ledger, is_running=state == "running").picture())
    if (confirmation := read_confirmation(folder, ledger)) is not None:
        console.print(describe_runs(confirmation, is_interrupted=state == "interrupted"))
    if state == "interrupted":
        say(f"continue with: {follow_up('resume', folder)}", sys.stdout)


def _follow(folder: Folder, ledger: Ledger) -> Ledger:
    """Show the search, then the confirmation, while a driver works; return the ledger then."""
    from analysis.results.completeness import n_seeds_planned
    from sweep.screen.confirm_view import ConfirmationView
    from sweep.screen.display import Display
    from sweep.screen.search_view import SearchView

    pause = pause_after(0.0)
    with Display(SearchView(ledger), sys.stdout, ends_silently=True) as display:
        while folder.is_locked():
            display.update()
            time.sleep(pause)
            began = time.monotonic()
            try:
                ledger = read_ledger(folder)
            except FileNotFoundError as error:
                raise UsageError(f"{error}: it was deleted") from error
            pause = pause_after(time.monotonic() - began)
            display.view = SearchView(ledger)
            found = read_confirmation(folder, ledger)
            if ledger.ended is None or found is None or (plan := found.plan) is None:
                continue
            is_of_now = found.begun.epochs == ledger.config["epochs"]
            if is_of_now and plan.arms and found.arms.keys() >= set(plan.arms):
                seeds = confirmation_seeds(
                    ledger.config["seed"], n_seeds_planned(plan, ledger, found)
                )
                begun, slots = max(plan.time, ledger.ended.time), ledger.sessions[-1].slots
                display.view = ConfirmationView(found, plan.arms, seeds, slots, begun=begun)
    return ledger


def trials(
    name: options.NameArgument = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Show only the N best. [default: all]")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a CSV file; `-` is the standard output."),
    ] = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Show one row per trial, best first."""
    from sweep.cli.tables import print_trials, trial_document, write_csv

    if as_json and csv == Path("-"):
        raise UsageError("`--csv -` and `--json` both need the standard output; choose one")
    folder, ledger = find_sweep(storage, name)
    shown = best_first(ledger)[:top]
    if csv is not None:
        write_csv(ledger, shown, csv)
    if as_json:
        print_json({"trials": [trial_document(trial) for trial in shown]})
    elif csv is None:
        print_trials(ledger, shown, sweep_state(folder, ledger))


def best(
    name: options.NameArgument = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Show the best hyperparameters and the verdict on them.

    The verdict and the test accuracies are known once the sweep is confirmed.
    """
    from sweep.cli.summary import print_best, print_unfinished
    from sweep.results.best import best_document

    folder, ledger = find_sweep(storage, name)
    document = best_document(folder, ledger)
    if as_json:
        print_json(document)
    else:
        print_unfinished(folder, ledger)
        print_best(folder, ledger, document)


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Two sweeps or more; the first is the baseline."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Plot the best score so far of each (.png, .svg or .pdf)."
        ),
    ] = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Compare sweeps: cost, best trials, confirmed test accuracies.

    Sweeps with the same seed are confirmed with the same seeds. Their best trials are then
    compared seed by seed, which can detect smaller differences.
    """
    from sweep.cli.compare import comparison_of_sweeps, draw_comparison, print_comparison

    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError("give two sweeps or more, each once: sweep compare NAME NAME")
    sweeps = [find_sweep(storage, name) for name in names]
    if out is not None:
        draw_comparison(out, {ledger.name: ledger for _, ledger in sweeps})
    document, sentences = comparison_of_sweeps(sweeps)
    if as_json:
        print_json(document)
    else:
        print_comparison(document, sentences)
    if out is not None:
        say(f"plot {out}")
