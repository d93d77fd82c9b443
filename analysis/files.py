"""Names of the files in a sweep's folder, beside the ledger's."""

CONFIG_FILE = "config.yaml"
ENVIRONMENT_FILE = "environment.json"


def checkpoint_name(trial_id: int) -> str:
    """Returns the name of a trial's checkpoint."""
    return f"checkpoints/trial-{trial_id:04d}.pt"


def failure_name(trial_id: int) -> str:
    """Returns the name of the traceback of a trial's failure."""
    return f"failures/trial-{trial_id:04d}.txt"
