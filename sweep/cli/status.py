"""`sweep status`: one sweep, live, from its ledger alone."""

import sys
import time
from typing import Annotated

import typer

from analysis.records.sweeps import read_sweep
from sweep.cli.options import (
    DEFAULT_STORAGE,
    JsonOption,
    NameArgument,
    StorageOption,
    find_sweep,
    follow_up,
    print_json,
)

_READ_EVERY_S = 2.0


def status(
    name: NameArgument = None,
    follow: Annotated[bool, typer.Option("--follow", help="Until the search ends.")] = False,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Show how far a sweep is."""
    from rich.console import Console

    from sweep.cli.screen.display import open_display
    from sweep.cli.screen.formatting import WIDEST
    from sweep.cli.screen.progress import ProgressMeter
    from sweep.cli.screen.search_view import SearchView

    folder, ledger = find_sweep(storage, name)
    if as_json:
        progress = ProgressMeter(ledger).measure(time.time())
        print_json(
            {
                "sweep": ledger.name,
                "at_work": folder.is_locked(),
                "trials": progress.n_trials,
                "complete": progress.n_complete,
                "stopped": progress.n_stopped,
                "failed": len(progress.failures),
                "running": len(progress.running),
                "epochs": progress.n_epochs,
                "best_trial_id": progress.best.trial.trial_id if progress.best else None,
            }
        )
        return
    if follow:
        view = SearchView(ledger)
        with open_display(view, sys.stdout) as display:
            while folder.is_locked() and ledger.ended is None:
                display.update()
                time.sleep(_READ_EVERY_S)
                ledger = read_sweep(folder)
                view.look_at(ledger)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WIDEST
    console.print(f"sweep {ledger.name}", SearchView(ledger).picture(), sep="\n")
    progress = ProgressMeter(ledger).measure(time.time())
    if progress.n_ended < progress.n_trials and not folder.is_locked():
        why = f" ({ledger.ended.reason})" if ledger.ended is not None else ""
        print(f"nobody is at work on it{why}; go on with: {follow_up('resume', folder)}")
