"""What a finished search came to: for the screen and as JSON."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.files import REPORT_FILE, checkpoint_name, trial_name
from analysis.records.ledger import DIVERGED, Ledger
from analysis.results.comparison import summarize_arm
from analysis.results.cost import search_cost
from analysis.results.selection import describe_rule, rank_trials
from analysis.results.verdict import describe_verdict, missing_step
from analysis.storage.folder import Folder
from sweep.cli.options import follow_up
from sweep.cli.screen import formatting
from sweep.errors import NoTrialError


def best_document(folder: Folder, ledger: Ledger) -> dict[str, Any]:
    """Returns the best trial as a JSON document, with its test accuracy if it is confirmed.

    Raises:
        NoTrialError: No trial ran all its epochs.
        LedgerError: The confirmation's file is damaged.
    """
    ranking = rank_trials(ledger)
    if not ranking:
        raise NoTrialError(_no_trial(ledger))
    best = ranking[0]
    checkpoint = checkpoint_name(trial_name(best.trial.trial_id))
    document = {
        "sweep": folder.name,
        "trial_id": best.trial.trial_id,
        "hyperparameters": best.trial.hyperparameters,
        "val_accuracy": best.score,
        "epoch": len(best.trial.epochs),
        "selection": describe_rule(ledger.config),
        "checkpoint": folder.display_path(checkpoint) if folder.exists(checkpoint) else None,
    }
    confirmation = read_confirmation(folder)
    if confirmation is not None and (arm := confirmation.finalist(best.trial.trial_id)):
        document |= _confirmed(confirmation, arm)
    return document


def _confirmed(confirmation: Confirmation, arm: Arm) -> dict[str, Any]:
    summary = summarize_arm(confirmation, arm.arm)
    if summary is None:
        return {}
    return {
        "confirmed": {
            "test_accuracy_mean": summary.mean,
            "test_accuracy_ci95": None if summary.interval is None else list(summary.interval),
            "n_seeds": summary.n,
        }
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
    rows = [
        *((n, formatting.hyperparameter(n, v)) for n, v in document["hyperparameters"].items()),
        ("rule", document["selection"]),
        ("checkpoint", document["checkpoint"] or "none"),
    ]
    confirmed = document.get("confirmed")
    accuracy = _accuracy(confirmed) if confirmed else "not known yet: `sweep confirm` measures it"
    rows.append(("test accuracy", accuracy))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        style = "bold" if name in document["hyperparameters"] else "dim"
        console.print(Text.assemble(f"  {name:{width}}  ", (value, style)))


def _accuracy(confirmed: dict[str, Any]) -> str:
    text = formatting.percent(confirmed["test_accuracy_mean"])
    interval = confirmed["test_accuracy_ci95"]
    if interval is not None:
        low, high = (formatting.percent(bound) for bound in interval)
        text += f" (95 % interval {low} to {high})"
    return f"{text}, mean of {formatting.count(confirmed['n_seeds'], 'seed')}"


def print_result(folder: Folder, ledger: Ledger, *, as_json: bool) -> None:
    """Prints the end of a sweep: the best, what it cost, what failed, what to do next.

    Raises:
        NoTrialError: No trial ran all its epochs.
    """
    document = best_document(folder, ledger)
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        print_best(document)
        print()
        confirmation = read_confirmation(folder)
        if confirmation is not None:
            _print_arms(confirmation, document["trial_id"])
        print(describe_cost(ledger))
        for trial in ledger.in_state("FAILED"):
            print(f"trial {trial.trial_id} failed: {trial.reason}")
        print(f"files  {folder}")
        print(f"report {folder.display_path(REPORT_FILE)}")
        _print_next_steps(folder, missing_step(ledger, confirmation))


def _print_next_steps(folder: Folder, missing: str | None) -> None:
    steps = {"trials --top 10": "the ten best trials"}
    if missing is not None:
        steps[missing] = "the test accuracy, against the baselines"
    steps["best --json"] = "the best one, for a program"
    commands = {follow_up(step, folder): does for step, does in steps.items()}
    width = max(map(len, commands))
    for label, (command, does) in zip(["next", "", ""], commands.items(), strict=False):
        print(f"{label:6} {command:{width}}  {does}")


def check_failures(ledger: Ledger) -> None:
    """Tells of the trials that failed otherwise than by diverging, which is their own fault.

    Raises:
        NoTrialError: There are such trials.
    """
    failed = [t for t in ledger.in_state("FAILED") if not (t.reason or "").startswith(DIVERGED)]
    if failed:
        raise NoTrialError(
            f"{formatting.count(len(failed), 'trial')} of {ledger.name} failed, trial "
            f"{failed[0].trial_id} because {failed[0].reason}"
        )


def _print_arms(confirmation: Confirmation, best_trial_id: int) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("test accuracy")
    table.add_column("mean", justify="right")
    table.add_column("95 % interval")
    table.add_column("seeds", justify="right")
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        if summary is not None:
            interval = "–"
            if summary.interval is not None:
                interval = " to ".join(formatting.percent(bound) for bound in summary.interval)
            table.add_row(arm.title, formatting.percent(summary.mean), interval, str(summary.n))
    console = Console(highlight=False, soft_wrap=True)
    if table.row_count:
        console.print(table)
    console.print(f"\n{describe_verdict(confirmation, best_trial_id)}\n", markup=False)


def describe_cost(ledger: Ledger) -> str:
    """Returns what the search cost, a figure a line."""
    cost = search_cost(ledger)
    parts = [
        f"{formatting.count(len(ledger.trials), 'trial')} and "
        f"{formatting.count(cost.epochs, 'epoch')} in {formatting.duration(cost.elapsed_s)}",
        f"stopping {len(ledger.in_state('STOPPED'))} early saved "
        f"{formatting.count(cost.epochs_saved, 'epoch')}",
    ]
    if cost.utilization is not None:
        parts.append(f"{100 * cost.utilization:.1f} % of the time was training and validation")
    return "search " + ",\n       ".join(parts)


def _no_trial(ledger: Ledger) -> str:
    failed = ledger.in_state("FAILED")
    if failed:
        first = failed[0]
        return (
            f"no trial of {ledger.name} ran all its epochs: {len(failed)} of {len(ledger.trials)} "
            f"failed, trial {first.trial_id} because {first.reason}"
        )
    return f"no trial of {ledger.name} has run all its epochs yet"
