"""Exit codes: which error is whose."""

from dataclasses import dataclass

from analysis.errors import LedgerError
from data_utils.errors import DataError
from sweep.errors import SweepError


@dataclass(frozen=True)
class Failure:
    """What to say on standard error, and the exit code."""

    message: str
    exit_code: int


def describe_failure(error: Exception) -> Failure | None:
    """Returns what to tell the user; None for what no user can have caused: a bug.

    2: usage or config; 3: data; 4: cluster or storage; 5: no trial completed.
    """
    match error:
        case SweepError():
            return Failure(str(error), error.exit_code)
        case DataError():
            return Failure(str(error), 3)
        case LedgerError():
            return Failure(str(error), 4)
        case OSError():
            return Failure(_storage_message(error), 4)
    return None


def _storage_message(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    return f"storage{where}: {error.strerror or error}"
