"""A model of an object store, whose requests and answers a schedule can lose or delay."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError

from analysis.storage.object_store import StoreFolder
from simulation import Process, Simulation

_LATENCY_S = 0.05


@dataclass
class Objects:
    """The objects of a bucket, and what obstore's stores do with them.

    Attributes:
        simulation: Outside of one, requests are answered at once.
        is_tag_a_hash: Whether equal contents have equal tags, as on S3.
        on_landing: Called after each put or deletion, with the path.
        on_answer: Called when a put is acknowledged, with the path and the data.
    """

    simulation: Simulation | None = None
    is_tag_a_hash: bool = True
    data: dict[str, bytes] = field(default_factory=dict)
    metas: dict[str, dict[str, Any]] = field(default_factory=dict)
    n_puts: int = 0
    on_landing: Callable[[str], None] = lambda path: None
    on_answer: Callable[[str, bytes], None] = lambda path, data: None

    def get(self, path: str) -> Any:
        meta = self._request("get", path, lambda: (self._meta(path), self.data[path]))
        return SimpleNamespace(meta=meta[0], bytes=lambda: meta[1], stream=lambda: iter([meta[1]]))

    def head(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._request("head", path, lambda: self._meta(path))
        return found

    def put(self, path: str, data: bytes, *, mode: Any = "overwrite") -> dict[str, Any]:
        answer: dict[str, Any] = self._request("put", path, lambda: self._put(path, data, mode))
        self.on_answer(path, data)
        return answer

    def delete(self, path: str) -> None:
        self._request("delete", path, lambda: self._delete(path))

    def list_with_delimiter(self, prefix: str | None) -> dict[str, Any]:
        start = f"{prefix}/" if prefix else ""
        return self._request("list", start, lambda: self._list(start))  # type: ignore[no-any-return]

    def _meta(self, path: str) -> dict[str, Any]:
        if path not in self.metas:
            raise FileNotFoundError(path)
        return self.metas[path]

    def _put(self, path: str, data: bytes, mode: Any) -> dict[str, Any]:
        found = self.metas.get(path)
        if mode == "create" and found is not None:
            raise AlreadyExistsError(path)
        if isinstance(mode, dict) and (found is None or found["e_tag"] != mode["e_tag"]):
            raise PreconditionError(path)
        self.n_puts += 1
        now = self.simulation.now if self.simulation else datetime.now(UTC).timestamp()
        tag = hashlib.md5(data).hexdigest() if self.is_tag_a_hash else str(self.n_puts)
        modified = datetime.fromtimestamp(now, UTC)
        self.data[path] = data
        self.metas[path] = {"path": path, "e_tag": tag, "last_modified": modified}
        self.on_landing(path)
        return self.metas[path]

    def _delete(self, path: str) -> None:
        if self.data.pop(path, None) is not None:
            del self.metas[path]
            self.on_landing(path)

    def _list(self, start: str) -> dict[str, Any]:
        names = [path.removeprefix(start) for path in self.data if path.startswith(start)]
        return {
            "common_prefixes": {start + n.partition("/")[0] for n in names if "/" in n},
            "objects": [self.metas[start + name] for name in names if "/" not in name],
        }

    def _request(self, kind: str, path: str, arrive: Callable[[], Any]) -> Any:
        simulation = self.simulation
        if simulation is None or simulation.current is None:
            return arrive()
        process, schedule = simulation.current.process, simulation.schedule
        process.n_requests += 1
        schedule.on_step(process)
        simulation.wait(_LATENCY_S)
        fault = schedule.fault(kind)
        if fault is None:
            try:
                return arrive()
            finally:
                schedule.on_step(process)
                simulation.wait(_LATENCY_S)
        if fault.kind == "conflict" and kind == "put":
            raise PreconditionError(path)
        if fault.kind in ("lost answer", "repeated"):
            with contextlib.suppress(Exception):
                arrive()
        if fault.kind == "late":
            late_s = fault.timeout_s + fault.late_s
            simulation.start(Process("network"), lambda: self._arrive_late(late_s, arrive))
        simulation.wait(fault.timeout_s)
        if fault.kind == "repeated":
            return arrive()
        raise GenericError(f"no answer after 2 retries: {kind} {path}")

    def _arrive_late(self, seconds: float, arrive: Callable[[], Any]) -> None:
        assert self.simulation is not None
        self.simulation.wait(seconds)
        with contextlib.suppress(Exception):
            arrive()


@dataclass(frozen=True)
class ModelFolder(StoreFolder):
    """A folder in the model of an object store."""

    objects: Objects | None = field(default=None, repr=False, compare=False)

    @property
    def client(self) -> Any:
        return self.objects
