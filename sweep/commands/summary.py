"""What a finished search came to: for the screen and as JSON."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.cost import search_cost
from analysis.files import checkpoint_name
from analysis.folder import Folder
from analysis.ledger import Ledger
from analysis.selection import describe_rule, rank_trials
from sweep import formatting
from sweep.errors import NoTrialError


def best_document(folder: Folder, ledger: Ledger) -> dict[str, Any]:
    """Returns the best trial as a JSON document.

    Raises:
        NoTrialError: No trial ran all its epochs.
    """
    ranking = rank_trials(ledger)
    if not ranking:
        raise NoTrialError(_no_trial(ledger))
    best = ranking[0]
    checkpoint = checkpoint_name(best.trial.trial_id)
    return {
        "sweep": ledger.name,
        "trial_id": best.trial.trial_id,
        "hyperparameters": best.trial.hyperparameters,
        "val_accuracy": best.score,
        "epoch": len(best.trial.epochs),
        "selection": describe_rule(ledger.config),
        "checkpoint": f"{folder}/{checkpoint}" if folder.exists(checkpoint) else None,
    }


def print_best(document: dict[str, Any]) -> None:
    """Prints the best hyperparameters, one a line."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        Text.assemble(
            f"best of {document['sweep']}: trial {document['trial_id']}, ",
            (formatting.percent(document["val_accuracy"]), "bold green"),
            " on the validation images",
        )
    )
    grid = Table.grid(padding=(0, 2))
    for name, value in document["hyperparameters"].items():
        grid.add_row(f"  {name}", Text(formatting.hyperparameter(name, value), style="bold"))
    console.print(grid)
    console.print(Text(f"  rule        {document['selection']}", style="dim"))
    console.print(Text(f"  checkpoint  {document['checkpoint']}", style="dim"))


def print_summary(folder: Folder, ledger: Ledger) -> None:
    """Prints the end of a search: the best, what it cost, what failed, what to do next.

    Raises:
        NoTrialError: No trial ran all its epochs.
    """
    document = best_document(folder, ledger)
    print_best(document)
    cost = search_cost(ledger)
    print()
    print(
        f"{formatting.count(len(ledger.trials), 'trial')}, "
        f"{formatting.count(cost.epochs, 'epoch')} in {formatting.duration(cost.elapsed_s)}; "
        f"stopping {len(ledger.in_state('STOPPED'))} early saved "
        f"{formatting.count(cost.epochs_saved, 'epoch')}"
        + (
            ""
            if cost.utilization is None
            else f"; {100 * cost.utilization:.1f} % of the slots' time was training and validation"
        )
    )
    for trial in ledger.in_state("FAILED"):
        print(f"trial {trial.trial_id} failed: {trial.reason}")
    print(f"files  {folder}")
    print()
    print("next   sweep trials --top 10      the ten best trials")
    print("       sweep best --json          the best one, for a program")


def _no_trial(ledger: Ledger) -> str:
    failed = ledger.in_state("FAILED")
    if failed:
        first = failed[0]
        return (
            f"no trial of {ledger.name} ran all its epochs: {len(failed)} of {len(ledger.trials)} "
            f"failed, trial {first.trial_id} because {first.reason}"
        )
    return f"no trial of {ledger.name} has run all its epochs yet"
