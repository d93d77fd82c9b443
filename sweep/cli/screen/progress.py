"""The state of a search, from its ledger alone."""

from dataclasses import dataclass
from statistics import fmean

from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import Selection, rank_trials


@dataclass(frozen=True)
class Progress:
    """The state of a search at a moment.

    Attributes:
        running: Trials that have started and not ended.
        n_complete: Trials that ran all their epochs.
        n_stopped: Trials stopped early.
        n_failed: Trials that failed.
        n_trials: Trials in the config.
        n_epochs: Epochs run, by all trials.
        elapsed_s: Time since the newest session began, in seconds; until its end if it ended.
        left_s: Estimate of the time left, in seconds; None before the first epoch, and at
            the end.
        best: The best trial so far.
    """

    running: list[Trial]
    n_complete: int
    n_stopped: int
    n_failed: int
    n_trials: int
    n_epochs: int
    elapsed_s: float
    left_s: float | None
    best: Selection | None

    @property
    def n_ended(self) -> int:
        """Trials ended, in any state."""
        return self.n_complete + self.n_stopped + self.n_failed


def measure(ledger: Ledger, now: float) -> Progress:
    """Return the state of a search at `now`, in seconds since 1970."""
    ended, session = ledger.ended, ledger.sessions[-1] if ledger.sessions else None
    begun = session or ledger.created
    return Progress(
        running=ledger.in_state("RUNNING"),
        n_complete=len(ledger.in_state("COMPLETE")),
        n_stopped=len(ledger.in_state("STOPPED")),
        n_failed=len(ledger.in_state("FAILED")),
        n_trials=int(ledger.config["trials"]),
        n_epochs=sum(len(trial.epochs) for trial in ledger.trials.values()),
        elapsed_s=max(0.0, (ended.time if ended else now) - begun.time),
        left_s=_time_left(ledger, session.slots if session else 1),
        best=next(iter(rank_trials(ledger)), None),
    )


def _time_left(ledger: Ledger, slots: int) -> float | None:
    """Estimate the time left: the trials to come take as long as those that ended."""
    running = ledger.in_state("RUNNING")
    ended = [trial for trial in ledger.trials.values() if trial.state != "RUNNING"]
    seconds = [trial.epochs[-1].seconds for trial in running if trial.epochs]
    if not seconds:
        seconds = [trial.epochs[-1].seconds for trial in ended if trial.epochs][-1:]
    longest = int(ledger.config["epochs"])
    typical = fmean(len(trial.epochs) for trial in ended) if ended else longest
    waiting = max(0, int(ledger.config["trials"]) - len(ledger.trials))
    if not seconds or not (waiting or running):
        return None
    epochs = waiting * typical
    for trial in running:
        done = len(trial.epochs)
        epochs += max(typical - done, (longest - done) / 2)
    return epochs * fmean(seconds) / slots
