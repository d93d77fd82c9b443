"""The state and the result of a sweep as Markdown, for the pages of other tools."""

from analysis.formatting import dataset_name, interval, network_name, percent
from analysis.hyperparameters import format_value
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from analysis.report.facts import arm_rows
from analysis.results.selection import rank_trials
from analysis.results.state import SweepState, state_in_words
from analysis.results.verdict import describe_others, describe_verdict
from analysis.storage.folder import Folder


def result_note(
    folder: Folder, ledger: Ledger, confirmation: Confirmation | None, state: SweepState
) -> str:
    """Return the state, the best trial, the test accuracies of all arms, and the verdict.

    The verdict reads the predictions in `folder`; LedgerError if they are damaged.
    """
    network, data = network_name(ledger.config), dataset_name(ledger.config)
    parts = [f"**{folder.name}** ({network} on {data}): {state_in_words(ledger, state)}."]
    ranked = rank_trials(ledger)
    if not ranked:
        return f"{parts[0]} No trial has run all its epochs yet."
    best, score = ranked[0].trial, percent(ranked[0].score)
    values = [f"{name} {format_value(name, v)}" for name, v in best.hyperparameters.items()]
    parts[0] += f" Best: trial {best.trial_id}, validation accuracy {score}: {', '.join(values)}."
    if confirmation is None:
        return f"{parts[0]} Not confirmed."
    rows = [
        f"| {row['arm'].title} | {percent(summary.mean)} | "
        f"{interval(summary.interval, percent)} | {row['seeds']} |"
        for row in arm_rows(ledger, confirmation)
        if (summary := row["summary"])
    ]
    if rows:
        head = "| test accuracy | mean | 95 % interval | seeds |\n|---|---|---|---|\n"
        parts.append(head + "\n".join(rows))
    verdict = describe_verdict(confirmation, best.trial_id, folder)
    parts.append(f"{verdict} {describe_others(confirmation, best.trial_id)}".rstrip())
    return "\n\n".join(parts)
