"""Exit codes: which error is whose."""

from dataclasses import dataclass

from analysis.errors import LedgerError, StorageError, describe_cause
from data_utils.errors import DataError
from sweep.errors import SweepError


@dataclass(frozen=True)
class Failure:
    """What to say on standard error, and the exit code."""

    message: str
    exit_code: int


def describe_failure(error: Exception) -> Failure | None:
    """Returns what to tell the user; None for what no user can have caused: a bug.

    2: usage or config; 3: data; 4: cluster or storage; 5: no trial completed. The notes that
    were added to an error follow it, a line each.
    """
    match error:
        case SweepError():
            message, exit_code = str(error), error.exit_code
        case DataError():
            message, exit_code = str(error), 3
        case LedgerError():
            message, exit_code = str(error), 4
        case StorageError():
            message, exit_code = _storage_message(error), 4
        case _:
            return None
    return Failure("\n".join([message, *getattr(error, "__notes__", ())]), exit_code)


def _storage_message(error: StorageError) -> str:
    if error.errno is None:
        return str(error)
    where = f" {error.filename}" if error.filename else ""
    return f"storage{where}: {describe_cause(error)}"
