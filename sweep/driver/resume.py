"""Changes since a sweep began, which the user must accept to resume it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from analysis.records.files import ENVIRONMENT_FILE
from analysis.records.ledger import Ledger
from analysis.storage.folder import Folder
from sweep.config import SweepConfig
from sweep.environment import versions
from sweep.errors import UsageError

_MAY_CHANGE = ("trials", "confirm", "resources")


def check_changes(
    folder: Folder, ledger: Ledger, config: SweepConfig, *, accept_changes: bool
) -> list[str]:
    """Return the changes of config and versions since the sweep began, a sentence each.

    Trials, confirmation and resources may change: they leave the existing trials as they are.

    Raises:
        UsageError: There are changes, and `accept_changes` is not set; or the config asks for
            fewer trials than have started.
    """
    if config.trials < len(ledger.trials):
        raise UsageError(
            f"`trials` must be at least {len(ledger.trials)}, which {ledger.name} has started "
            f"already, but got {config.trials}"
        )
    then = SweepConfig.model_validate(ledger.config)
    changes = [
        *_differences(then.model_dump(mode="json"), config.model_dump(mode="json")),
        *(f"version of {change}" for change in _differences(_versions_then(folder), versions())),
    ]
    if changes and not accept_changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise UsageError(
            f"since {ledger.name} began this has changed:{listed}\n"
            "go on all the same with --accept-changes, or start a new sweep"
        )
    return changes


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for key in dict.fromkeys((*then, *now)):
        if not prefix and key in _MAY_CHANGE:
            continue
        before, after = then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"`{prefix}{key}`: {_shown(before)} then, {_shown(after)} now"


def _shown(value: Any) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)


def _versions_then(folder: Folder) -> dict[str, str]:
    """Return the versions that the sweep began with; without a record, the current ones."""
    try:
        found = json.loads(folder.read(ENVIRONMENT_FILE))["versions"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return versions()
    return {name: str(found.get(name)) for name in versions()} if found else versions()
