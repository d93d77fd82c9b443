"""The state of a search, from its ledger alone."""

from dataclasses import dataclass
from statistics import fmean

from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import Selection, trial_score


@dataclass(frozen=True)
class Progress:
    """The state of a search at a moment.

    Attributes:
        running: Trials that have started and not ended.
        failures: Trials that failed, in the order of their ends.
        n_complete: Trials that ran all their epochs.
        n_stopped: Trials stopped early.
        n_trials: Trials in the config.
        n_epochs: Epochs run, by all trials.
        elapsed_s: Time since the newest session began, in seconds.
        left_s: Estimate of the time left, in seconds; None before the first epoch, and at
            the end.
        best: The best trial so far.
    """

    running: list[Trial]
    failures: list[Trial]
    n_complete: int
    n_stopped: int
    n_trials: int
    n_epochs: int
    elapsed_s: float
    left_s: float | None
    best: Selection | None

    @property
    def n_ended(self) -> int:
        """Trials ended, in any state."""
        return self.n_complete + self.n_stopped + len(self.failures)


class ProgressMeter:
    """Follows a ledger that grows; looks at each ended trial once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._running: dict[int, Trial] = {}
        self._failures: list[Trial] = []
        self._ended = {"COMPLETE": 0, "STOPPED": 0, "FAILED": 0}
        self._epochs_of_ended = 0
        self._last_epoch_s: float | None = None
        self._n_seen = 0
        self._best: Selection | None = None

    def measure(self, now: float) -> Progress:
        """Return the state at `now`, in seconds since 1970; at its end if the session ended."""
        self._update()
        running = list(self._running.values())
        n_epochs = self._epochs_of_ended + sum(len(trial.epochs) for trial in running)
        ended = self._ledger.ended
        session = self._ledger.sessions[-1] if self._ledger.sessions else None
        begun = session or self._ledger.created
        return Progress(
            running=running,
            failures=self._failures,
            n_complete=self._ended["COMPLETE"],
            n_stopped=self._ended["STOPPED"],
            n_trials=int(self._ledger.config["trials"]),
            n_epochs=n_epochs,
            elapsed_s=max(0.0, (ended.time if ended else now) - begun.time),
            left_s=self._time_left(running, session.slots if session else 1),
            best=self._best,
        )

    def _update(self) -> None:
        trials = self._ledger.trials
        if len(trials) > self._n_seen:
            for trial in list(trials.values())[self._n_seen :]:
                self._running[trial.trial_id] = trial
            self._n_seen = len(trials)
        for trial in [t for t in self._running.values() if t.state != "RUNNING"]:
            del self._running[trial.trial_id]
            self._ended[trial.state] += 1
            if trial.state == "FAILED":
                self._failures.append(trial)
            self._epochs_of_ended += len(trial.epochs)
            if trial.epochs:
                self._last_epoch_s = trial.epochs[-1].seconds
            score = trial_score(trial)
            if score is not None:
                found = Selection(trial, score)
                self._best = min(self._best or found, found, key=lambda s: s.rank)

    def _time_left(self, running: list[Trial], slots: int) -> float | None:
        """Estimate the time left: the trials to come take as long as those that ended."""
        seconds = [trial.epochs[-1].seconds for trial in running if trial.epochs]
        if not seconds and self._last_epoch_s is not None:
            seconds = [self._last_epoch_s]
        n_ended, longest = sum(self._ended.values()), int(self._ledger.config["epochs"])
        typical = self._epochs_of_ended / n_ended if n_ended else longest
        waiting = max(0, int(self._ledger.config["trials"]) - n_ended - len(running))
        if not seconds or not (waiting or running):
            return None
        epochs = waiting * typical
        for trial in running:
            done = len(trial.epochs)
            epochs += max(typical - done, (longest - done) / 2)
        return epochs * fmean(seconds) / slots
