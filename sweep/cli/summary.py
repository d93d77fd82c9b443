"""The result of a sweep: as JSON and as text."""

import sys
from typing import Any

from rich.text import Text

from analysis.formatting import (
    count,
    duration,
    interval,
    is_usual,
    mean_accuracy,
    network_name,
    percent,
)
from analysis.hyperparameters import format_value
from analysis.records.confirmation import Confirmation, read_confirmation
from analysis.records.files import REPORT_FILE
from analysis.records.ledger import Ledger, Trial
from analysis.results.budget import describe_budget, n_planned
from analysis.results.comparison import summarize_arm
from analysis.results.completeness import missing_step
from analysis.results.cost import describe_shortened, search_cost
from analysis.results.selection import (
    describe_baseline,
    describe_origin,
    origin_in_words,
    searched_recipe,
)
from analysis.results.state import failed_runs, failed_trials, state_in_words, sweep_state
from analysis.results.verdict import describe_others, describe_verdict
from analysis.storage.folder import Folder
from sweep.api.storage import follow_up, warn_of_damage
from sweep.results.best import best_document
from sweep.screen.layout import new_table
from sweep.screen.output import escape, open_console, print_json, say, wrap


def print_best(folder: Folder, ledger: Ledger, document: dict[str, Any]) -> None:
    """Print the best hyperparameters, one per line, and where they come from; then the verdict."""
    console = open_console()
    if surprise := describe_origin(ledger):
        console.print(escape(surprise[:1].upper() + surprise[1:]))
    values = document["hyperparameters"]
    rows = {name: format_value(name, value) for name, value in values.items()}
    if not is_usual(document):
        rows |= {"dataset": document["dataset"], "network": network_name(document)}
    trial = ledger.trials[document["trial_id"]]
    rows["origin"], rows["rule"] = origin_in_words(trial), document["selection"]
    rows["checkpoint"] = document["checkpoint"] or "none"
    is_searched = ledger.n_ended >= n_planned(ledger)
    rows["test accuracy"] = "not known yet" + ": `sweep confirm` measures it" * is_searched
    if confirmed := document.get("confirmed"):
        mean, ends = confirmed["test_accuracy_mean"], confirmed["test_accuracy_ci95"]
        rows["test accuracy"] = mean_accuracy(mean, ends, confirmed["n_seeds"])
    best = "best" if is_searched else "best so far"
    title = f"{best} of {document['sweep']}: trial {document['trial_id']}, "
    accuracy = percent(document["val_accuracy"])
    head = Text.assemble(escape(title), (accuracy, "bold green"), " on the validation images")
    console.print(head, soft_wrap=True)
    width = max(map(len, rows))
    for name, value in rows.items():
        style, label = "bold" if name in values else "dim", escape(name)
        # A path is not broken, so that it can be copied.
        space = max(console.width - width - 4, 20)
        for line in wrap(escape(value), space).split("\n"):
            console.print(Text.assemble(f"  {label:{width}}  ", (line, style)), soft_wrap=True)
            label = ""
    confirmation = read_confirmation(folder, ledger)
    if confirmation is not None:
        warn_of_damage(folder, confirmation)
        print()
        _print_arms(confirmation, trial)
        print()
        console.print(escape(describe_verdict(confirmation, document["trial_id"], folder)))
        if others := describe_others(confirmation, document["trial_id"]):
            console.print(escape(others))


def print_unfinished(folder: Folder, ledger: Ledger) -> None:
    """Print the state of a sweep that is not finished, and how to continue it."""
    if (state := sweep_state(folder, ledger)) == "finished":
        return
    hint = f"; continue with: {follow_up('resume', folder)}" if state == "interrupted" else ""
    say(f"sweep {ledger.name}: {state_in_words(ledger, state)}{hint}", sys.stdout)


def print_result(folder: Folder, ledger: Ledger, *, as_json: bool) -> None:
    """Print the result of a sweep: the best, the cost, the failures, the next commands."""
    document = best_document(folder, ledger)
    if as_json:
        print_json(document)
        return
    print_best(folder, ledger, document)
    print()
    _print_cost(ledger)
    confirmation = read_confirmation(folder, ledger)
    for what, why in (*failed_trials(ledger), *failed_runs(confirmation)):
        say(f"{what} failed: {why}", sys.stdout)
    report = folder.display_path(REPORT_FILE)
    if not folder.exists(REPORT_FILE):
        report = f"not written yet: {follow_up('report', folder)}"
    print(escape(f"files  {folder}\nreport {report}"))
    steps = {"trials --top 10": "the ten best trials"}
    missing = missing_step(ledger, confirmation)
    if missing is not None:
        what = "verdict" if "confirmed" in document else "test accuracy"
        purpose = f"the {what}, against the baselines"
        steps[missing] = "the rest of the sweep" if missing == "resume" else purpose
    steps["best --json"] = "the best trial as JSON"
    commands = [follow_up(step, folder) for step in steps]
    width = max(map(len, commands))
    for label, command, does in zip(["next", "", ""], commands, steps.values(), strict=False):
        line, console = f"{label:6} {command:{width}}  {does}", open_console()
        if len(line) > console.width:
            line = f"{label:6} {command}\n{'':9}{does}"
        console.print(line, soft_wrap=True)


def _print_arms(confirmation: Confirmation, best: Trial) -> None:
    """Print the accuracies of the arms, and what the baseline in the best's recipe has."""
    left = ("test accuracy", "95 % interval")
    table = new_table("test accuracy", "mean", "95 % interval", "seeds", left=left)
    for arm in confirmation.arms.values():
        if summary := summarize_arm(confirmation, arm.arm):
            ends = interval(summary.interval, percent)
            table.add_row(escape(arm.title), percent(summary.mean), ends, str(summary.n))
    if table.row_count:
        open_console().print(table, soft_wrap=True)
    for arm in confirmation.in_role("baseline"):
        if searched_recipe(best, arm):
            open_console().print(escape(f"{arm.title}: {describe_baseline(arm, best)}"))


def _print_cost(ledger: Ledger) -> None:
    cost = search_cost(ledger)
    trials, epochs = count(len(ledger.trials), "trial"), count(cost.epochs, "epoch")
    saved = count(cost.epochs_saved, "epoch")
    lines = [
        f"search {trials} and {epochs} in {duration(cost.elapsed_s)}",
        f"{describe_shortened(ledger)}: {saved} saved",
    ]
    if (early := describe_budget(ledger)) is not None:
        lines.append(early)
    if cost.utilization is not None:
        lines.append(f"utilization {percent(cost.utilization, 1)}, without start and end")
    print(",\n       ".join(lines))
