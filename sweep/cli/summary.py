"""The result of a sweep: as JSON and for people."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from analysis.formatting import count, duration, percent
from analysis.hyperparameters import format_value
from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.files import REPORT_FILE, checkpoint_name, trial_name
from analysis.records.ledger import DIVERGED, Ledger
from analysis.results.comparison import summarize_arm
from analysis.results.cost import search_cost
from analysis.results.selection import describe_rule, rank_trials
from analysis.results.verdict import describe_verdict, missing_step
from analysis.storage.folder import Folder
from sweep.cli.options import follow_up
from sweep.cli.output import escape, open_console, print_json
from sweep.errors import NoTrialError


def best_document(folder: Folder, ledger: Ledger) -> dict[str, Any]:
    """Return the best trial as a JSON document, with its test accuracy if it is confirmed.

    Raises:
        NoTrialError: No trial ran all its epochs.
        LedgerError: The file of the confirmation is damaged.
    """
    ranking = rank_trials(ledger)
    if not ranking:
        raise NoTrialError(_why_no_best(ledger))
    best = ranking[0]
    checkpoint = checkpoint_name(trial_name(best.trial.trial_id))
    document = {
        "sweep": folder.name,
        "trial_id": best.trial.trial_id,
        "hyperparameters": best.trial.hyperparameters,
        "val_accuracy": best.score,
        "epoch": len(best.trial.epochs),
        "selection": describe_rule(best.trial.config),
        "checkpoint": folder.display_path(checkpoint) if folder.exists(checkpoint) else None,
    }
    confirmation = read_confirmation(folder)
    if confirmation is not None and (arm := confirmation.finalist(best.trial.trial_id)):
        document |= _confirmed(confirmation, arm)
    return document


def _why_no_best(ledger: Ledger) -> str:
    failed = ledger.in_state("FAILED")
    if not failed:
        return f"no trial of {ledger.name} has run all its epochs yet"
    return (
        f"no trial of {ledger.name} ran all its epochs: {len(failed)} of {len(ledger.trials)} "
        f"failed, trial {failed[0].trial_id} because {failed[0].reason}"
    )


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
    """Print the best hyperparameters, one per line, then the rule, checkpoint and accuracy."""
    values = document["hyperparameters"]
    rows = {name: format_value(name, value) for name, value in values.items()}
    rows |= {"rule": document["selection"], "checkpoint": document["checkpoint"] or "none"}
    rows["test accuracy"] = "not known yet: `sweep confirm` measures it"
    if confirmed := document.get("confirmed"):
        text, interval = percent(confirmed["test_accuracy_mean"]), confirmed["test_accuracy_ci95"]
        if interval is not None:
            text += f" (95 % interval {_show_interval(interval)})"
        rows["test accuracy"] = f"{text}, mean of {count(confirmed['n_seeds'], 'seed')}"
    console = open_console()
    title = f"best of {document['sweep']}: trial {document['trial_id']}, "
    accuracy = percent(document["val_accuracy"])
    line = Text.assemble(escape(title), (accuracy, "bold green"), " on the validation images")
    console.print(line, soft_wrap=True)
    width = max(map(len, rows))
    for name, value in rows.items():
        style = "bold" if name in values else "dim"
        row = Text.assemble(f"  {escape(name):{width}}  ", (escape(value), style))
        console.print(row, soft_wrap=True)


def _show_interval(bounds: Iterable[float]) -> str:
    return " to ".join(percent(bound) for bound in bounds)


def print_result(folder: Folder, ledger: Ledger, *, as_json: bool) -> None:
    """Print the result of a sweep: the best, the cost, the failures, the next commands.

    Raises:
        NoTrialError: No trial ran all its epochs.
    """
    document = best_document(folder, ledger)
    if as_json:
        print_json(document)
        return
    print_best(document)
    print()
    confirmation = read_confirmation(folder)
    if confirmation is not None:
        _print_arms(confirmation, document["trial_id"])
    print(describe_cost(ledger))
    for trial in ledger.in_state("FAILED"):
        print(escape(f"trial {trial.trial_id} failed: {trial.reason}"))
    print(escape(f"files  {folder}\nreport {folder.display_path(REPORT_FILE)}"))
    steps = {"trials --top 10": "the ten best trials"}
    missing = missing_step(ledger, confirmation)
    if missing is not None:
        steps[missing] = "the test accuracy, against the baselines"
    steps["best --json"] = "the best trial, for a program"
    commands = [follow_up(step, folder) for step in steps]
    width = max(map(len, commands))
    for label, command, does in zip(["next", "", ""], commands, steps.values(), strict=False):
        print(f"{label:6} {command:{width}}  {does}")


def _print_arms(confirmation: Confirmation, best_trial_id: int) -> None:
    table = Table("test accuracy", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("mean", justify="right")
    table.add_column("95 % interval")
    table.add_column("seeds", justify="right")
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        if summary is not None:
            interval = "–" if summary.interval is None else _show_interval(summary.interval)
            table.add_row(escape(arm.title), percent(summary.mean), interval, str(summary.n))
    if table.row_count:
        open_console().print(table, soft_wrap=True)
    print(f"\n{escape(describe_verdict(confirmation, best_trial_id))}\n")


def describe_cost(ledger: Ledger) -> str:
    """Return what the search cost, one figure per line."""
    cost = search_cost(ledger)
    trials, epochs = count(len(ledger.trials), "trial"), count(cost.epochs, "epoch")
    saved = count(cost.epochs_saved, "epoch")
    lines = [
        f"{trials} and {epochs} in {duration(cost.elapsed_s)}",
        f"stopping {len(ledger.in_state('STOPPED'))} early saved {saved}",
    ]
    if cost.utilization is not None:
        lines.append(f"{percent(cost.utilization, 1)} of the time was training and validation")
    return "search " + ",\n       ".join(lines)


def check_failures(ledger: Ledger) -> None:
    """Refuse a ledger in which a trial failed for another reason than divergence.

    Raises:
        NoTrialError: There is such a trial.
    """
    failed = [t for t in ledger.in_state("FAILED") if not (t.reason or "").startswith(DIVERGED)]
    if failed:
        raise NoTrialError(
            f"{count(len(failed), 'trial')} of {ledger.name} failed, trial "
            f"{failed[0].trial_id} because {failed[0].reason}"
        )
