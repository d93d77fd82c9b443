"""Sweeps in TensorBoard: one event file per run."""

import shlex
import struct
from pathlib import Path
from typing import Any

from typing_extensions import override

from sweep.errors import UsageError
from sweep.results.extras import import_extra
from sweep.results.trackers.runs import TrackedRun, Tracker

_FILE = "events.out.tfevents.0.sweep"


class TensorBoard(Tracker):
    """Writes `FOLDER/SWEEP/RUN/events.…`.

    The events depend on the run alone. Where a file is the beginning of the new content, the rest
    is appended. It is written again if its run has changed, and left alone if it is of another
    sweep.
    """

    option = "--out"

    def __init__(self, sweep: str, place: str | None) -> None:
        import_extra("tensorboardX", "TensorBoard", "tensorboard")
        root = Path(place or "runs-tensorboard")
        self._folder, self.where = root / sweep, f"tensorboard --logdir {shlex.quote(str(root))}"

    @override
    def update(self, run: TrackedRun) -> bool:
        events = [_frame(event) for event in _events(run)]
        path = self._folder / run.name / _FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        found, expected = path.read_bytes() if path.exists() else b"", b"".join(events)
        head = events[0] + events[1]
        if not head.startswith(found[: len(head)]):
            raise UsageError(
                f"{path.parent} is of another sweep with this name; delete {self._folder}, or "
                "choose another folder with --out"
            )
        if not expected.startswith(found):  # a run that continues, or another is the best now
            path.unlink()
            found = b""
        with path.open("ab") as file:
            return file.write(expected[len(found) :]) > 0


def _events(run: TrackedRun) -> list[Any]:
    """Return the events: version and hyperparameters, their columns, the epochs, the end."""
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.plugin_hparams_pb2 import SessionEndInfo, SessionStartInfo
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.summary import text

    # Without a name of its group, the plugin shows the run's folder as its trial.
    session = SessionStartInfo(start_time_secs=run.started)
    for name, value in run.parameters.items():
        kind = _kind(value)
        setattr(session.hparams[name], f"{kind}_value", str(value) if kind == "string" else value)
    started = _plugin_event("session_start_info", run.started, session_start_info=session)
    version = Event(wall_time=run.started, file_version="brain.Event:2")
    events = [version, started]
    if run.searched:
        events.append(_plugin_event("experiment", run.started, experiment=_columns(run)))
    for number, metrics in enumerate(run.metrics, start=1):
        values = [
            Summary.Value(tag=_tag(name), simple_value=value) for name, value in metrics.items()
        ]
        summary = Summary(value=values)
        events.append(Event(wall_time=run.time(number), step=number, summary=summary))
    if run.has_ended:
        n_epochs = len(run.metrics)
        end = run.time(n_epochs)
        summary = text("state", ": ".join(filter(None, [run.state, run.reason])))
        if run.score is not None:
            summary.value.append(Summary.Value(tag="score", simple_value=run.score))
        events.append(Event(wall_time=end, step=n_epochs, summary=summary))
        status = Status.Value(f"STATUS_{'FAILURE' if run.has_failed else 'SUCCESS'}")
        info = SessionEndInfo(status=status, end_time_secs=end)
        events.append(_plugin_event("session_end_info", end, session_end_info=info))
        # What is known later comes last, so that it is appended.
        summary = text("result", run.note) if run.note else Summary()
        if run.test_accuracy is not None:
            value = Summary.Value(tag="test_accuracy_mean", simple_value=run.test_accuracy)
            summary.value.append(value)
        if summary.value:
            events.append(Event(wall_time=end, step=n_epochs, summary=summary))
    return events


def _columns(run: TrackedRun) -> Any:
    """Return the columns of TensorBoard's table: what was searched, and accuracies."""
    from tensorboardX.proto.api_pb2 import DataType, Experiment, HParamInfo, MetricInfo, MetricName

    types = {"bool": "BOOL", "number": "FLOAT64", "string": "STRING"}
    kinds = {name: types[_kind(run.parameters[name])] for name in (*run.searched, "arm")}
    parameters = [
        HParamInfo(name=name, type=DataType.Value(f"DATA_TYPE_{kind}"))
        for name, kind in kinds.items()
    ]
    # No run is in the plugin's plots without all of these: none that only confirmations have.
    metrics = [MetricInfo(name=MetricName(tag=tag)) for tag in ("score", "accuracy/val")]
    return Experiment(hparam_infos=parameters, metric_infos=metrics)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "string"


def _tag(metric: str) -> str:
    """Return the tag of a metric; TensorBoard sorts by tags, so that the accuracy comes first."""
    split, _, kind = metric.partition("_")
    return f"{kind}/{split}" if kind in ("accuracy", "loss") else f"speed/{metric}"


def _plugin_event(name: str, time: float, **info: Any) -> Any:
    """Return an event of TensorBoard's plugin for hyperparameters."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    # The order of a map is not fixed otherwise.
    content = HParamsPluginData(**info).SerializeToString(deterministic=True)
    data = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
    value = Summary.Value(tag=f"_hparams_/{name}", metadata=SummaryMetadata(plugin_data=data))
    return Event(wall_time=time, summary=Summary(value=[value]))


def _frame(event: Any) -> bytes:
    """Return an event as TFRecord: its length and content, each with a checksum."""
    from tensorboardX.record_writer import masked_crc32c

    data: bytes = event.SerializeToString(deterministic=True)
    length = struct.pack("<Q", len(data))
    checksums = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
    return length + next(checksums) + data + next(checksums)
