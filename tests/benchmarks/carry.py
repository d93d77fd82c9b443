"""How many epochs one driver can take in, and so how many trainings it can carry."""

import tempfile

import psutil

from measuring import Measured, run_arm
from results import Row, Section, Target
from s3_server import s3_server

SLOTS = (2, 20, 200)
EPOCH_S = (4, 60)  # of a training, for which a driver's slots are computed
TRIALS_PER_SLOT, LEAST_TRIALS = 3, 150
PROCESS_BYTES = 115 * 2**20  # Ray, and what Ray Tune imports


def measure(_rounds: int) -> Section:
    """Run each number of slots for which there is memory, once on each storage.

    Most of the time passes until the processes have started, which is not measured.
    """
    available = psutil.virtual_memory().available
    rows: list[Row] = []
    runs: dict[tuple[str, int], Measured] = {}
    for slots in (n for n in SLOTS if n * PROCESS_BYTES < available):
        trials = max(LEAST_TRIALS, TRIALS_PER_SLOT * slots)
        with tempfile.TemporaryDirectory() as folder, s3_server() as uri:
            for name, storage in (("disk", folder), ("S3", uri)):
                run = runs[name, slots] = run_arm("waiting", storage, slots, 0, trials)
                rows.append(_row(name, slots, run))
                print(f"  {rows[-1]}", flush=True)
    return Section(
        "Carry",
        "Trainings that only wait for the driver, with TPE, ASHA, display, ledger and Ray Tune; "
        "all processes and the S3 server (moto) share this machine. Rates are of the time in "
        "which all slots are busy. The last columns say how many trainings keep a driver of "
        "that rate busy.",
        [rows],
        [Target("epochs per second on a disk", _rate(runs["disk", SLOTS[1]]), 300, "", True)],
    )


def _row(name: str, slots: int, run: Measured) -> Row:
    done = run.marks["done"]
    return {
        "storage": name,
        "slots": slots,
        "epochs": done["epochs"],
        "epochs/s": _rate(run),
        "driver's processor time, ms per epoch": 1e3 * done["processor_seconds"] / done["epochs"],
        **{f"slots at {s} s per epoch": round(s * _rate(run)) for s in EPOCH_S},
    }


def _rate(run: Measured) -> float:
    done = run.marks["done"]
    return float(done["epochs"] / done["seconds"])
