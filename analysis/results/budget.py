"""How many trials a search runs: the number in its config, or those that a time budget allows."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from analysis.formatting import count
from analysis.records.ledger import ConfigChanged, Ledger, Record, SessionStarted

DURATION = r"(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?"
"""The pattern of a duration, such as `90s`, `30m` or `1h30m`: hours, minutes, seconds."""

LONGEST = 999_999 * 3600
"""The longest duration in seconds that the pattern has room for, in hours alone."""


def read_duration(text: str) -> int:
    """Return a duration such as `1h30m` in seconds; ValueError if it is none, or 0."""
    found = re.fullmatch(DURATION, text, re.ASCII)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total == 0:
        raise ValueError("is not a duration")
    return total


def write_duration(seconds: int) -> str:
    """Return a duration as `read_duration` reads it, such as `1h30m`."""
    parts = {"h": seconds // 3600, "m": seconds // 60 % 60, "s": seconds % 60}
    return "".join(f"{n}{unit}" for unit, n in parts.items() if n) or "0s"


def n_planned(ledger: Ledger, config: Mapping[str, Any] | None = None) -> int:
    """Return how many trials the search runs, by default with the ledger's config.

    Once its time budget is used up, these are the trials that have started, but at least one, and
    one more if `needs_full_trial`.

    Numbers below the highest that have not started count as started: a driver may have been
    killed before it recorded them.
    """
    config = config or ledger.config
    budget, n_trials = config["time_budget"], int(config["trials"])
    if not is_used_up(ledger, budget):
        return n_trials
    if not ledger.trials:
        return 1
    return min(n_trials, max(ledger.trials) + needs_full_trial(ledger))


def is_used_up(ledger: Ledger, budget: str | None) -> bool:
    """Return whether a search has taken the time of a budget, which may be none."""
    return budget is not None and seconds_spent(ledger) >= read_duration(budget)


def needs_full_trial(ledger: Ledger) -> bool:
    """Return whether there are previews, and the other trials, at most two, have failed."""
    others = [trial for trial in ledger.trials.values() if not trial.preview_epochs]
    has_previews = len(others) < len(ledger.trials)
    return has_previews and len(others) < 3 and all(t.state == "FAILED" for t in others)


def describe_budget(ledger: Ledger, config: Mapping[str, Any] | None = None) -> str | None:
    """Return a sentence about a time budget that ended the search early, or None.

    It is by default that of the ledger's config.
    """
    config = config or ledger.config
    if (planned := n_planned(ledger, config)) == int(config["trials"]):
        return None
    used = f"the time budget of {config['time_budget']} is used up"
    return f"{used}: the search has {planned:,} of {count(int(config['trials']), 'trial')}"


def seconds_spent(ledger: Ledger, now: float | None = None) -> float:
    """Return the seconds in which a driver was searching, without the pauses between sessions.

    They end with the last record. While a driver is running, they last until `now`.
    """
    seconds, last = 0.0, ledger.created.time
    for elapsed, record in working_clock(ledger):
        seconds, last = elapsed, record.time
    if now is None or not ledger.sessions or ledger.ended is not None:
        return seconds
    return seconds + max(0.0, now - last)


def working_clock(ledger: Ledger) -> Iterator[tuple[float, Record]]:
    """Yield the ledger's records in order, each with the seconds of work up to it.

    Pauses between sessions do not count, nor does a clock that is set back.
    """
    seconds, previous = 0.0, ledger.created.time
    for record in ledger.records:
        if isinstance(record, ConfigChanged):  # may be recorded before its session
            continue
        if not isinstance(record, SessionStarted):
            seconds += max(0.0, record.time - previous)
        previous = record.time
        yield seconds, record
