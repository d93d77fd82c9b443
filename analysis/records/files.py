"""Names of the files in a sweep's folder, beside the ledger's."""

CONFIG_FILE = "config.yaml"
ENVIRONMENT_FILE = "environment.json"
REPORT_FILE = "report.html"
PLOTS_FOLDER = "plots"


def trial_name(trial_id: int) -> str:
    """Returns what a trial's files are called by."""
    return f"trial-{trial_id:04d}"


def run_name(arm: str, seed: int) -> str:
    """Returns what the files of a confirmation's run are called by."""
    return f"{arm}-seed-{seed}"


def checkpoint_name(name: str) -> str:
    """Returns the name of the checkpoint of a trial or a run."""
    return f"checkpoints/{name}.pt"


def failure_name(name: str) -> str:
    """Returns the name of the traceback of a trial's or a run's failure."""
    return f"failures/{name}.txt"
