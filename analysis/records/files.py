"""Names of the files in a sweep's folder."""

from fnmatch import fnmatchcase

from analysis.storage.folder import UNFINISHED

LEDGER_FILE = "ledger.jsonl"
CONFIRMATION_FILE = "confirm.jsonl"
CONFIG_FILE = "config.yaml"
MODEL_FILE = "model.py"
ENVIRONMENT_FILE = "environment.json"
REPORT_FILE = "report.html"
PLOTS_FOLDER = "plots"
CHECKPOINTS_FOLDER = "checkpoints"
PREDICTIONS_FOLDER = "predictions"
FAILURES_FOLDER = "failures"


def trial_name(trial_id: int) -> str:
    """Return the stem of the names of a trial's files."""
    return f"trial-{trial_id:04d}"


def run_name(arm: str, seed: int) -> str:
    """Return the stem of the names of a confirmation run's files."""
    return f"{arm}-seed-{seed}"


def checkpoint_name(name: str) -> str:
    """Return the path of the checkpoint of a trial or a run."""
    return f"{CHECKPOINTS_FOLDER}/{name}.pt"


def failure_name(name: str) -> str:
    """Return the path of the traceback of a failed trial or run."""
    return f"{FAILURES_FOLDER}/{name}.txt"


def predictions_name(name: str) -> str:
    """Return the path of the predictions of a run."""
    return f"{PREDICTIONS_FOLDER}/{name}.npz"


def earlier_model_name(digest: str) -> str:
    """Return the name of an earlier network's text, by its SHA-256."""
    return f"model-{digest[:8]}.py"


FOLDERS = (CHECKPOINTS_FOLDER, PREDICTIONS_FOLDER, FAILURES_FOLDER, PLOTS_FOLDER)
_FILES = (
    *(LEDGER_FILE, CONFIG_FILE, ENVIRONMENT_FILE, CONFIRMATION_FILE, REPORT_FILE, MODEL_FILE),
    *("confirm-*-epochs*.jsonl", earlier_model_name("?" * 8), UNFINISHED),  # earlier ones
)


def is_record(name: str) -> bool:
    """Return whether a file in a sweep's folder has a name that sweeps give."""
    return any(fnmatchcase(name, pattern) for pattern in _FILES)
