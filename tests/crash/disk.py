"""What a disk may hold after a crash: the method of ALICE (Pillai et al., OSDI 2014).

A write, a truncation, a creation, a renaming or a deletion is on the disk for certain only when
its file, or its directory, was synced afterwards. Until then it may be lost, whatever happened
before and after it; and a write may have reached the disk in part.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.crash.recorder import Step

Tree = dict[str, bytes | None]
"""Contents by path; None is a directory."""

_PAGE = 4096


@dataclass
class Image:
    """The files of a disk: numbers of files by path, -1 for a directory, and their contents."""

    names: dict[str, int] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> "Image":
        return Image(dict(self.names), dict(self.contents))

    def tree(self) -> Tree:
        """Return what can be reached from the root."""
        found: Tree = {}
        for path in sorted(self.names):
            parent = str(PurePosixPath(path).parent)
            if parent == "." or parent in found:
                number = self.names[path]
                found[path] = None if number < 0 else self.contents.get(number, b"")
        return found


@dataclass(frozen=True)
class Change:
    """A step that is not synced yet: `unit` is the file or the directory that must be."""

    unit: int | str
    step: Step
    file: int = -1

    def apply(self, image: Image, data: bytes | None = None) -> None:
        """Change an image, with other data of a write if they are given."""
        step, names, contents = self.step, image.names, image.contents
        match step.kind:
            case "mkdir" | "create":
                names[step.path] = self.file
            case "rename":
                names.pop(step.path, None)
                names[step.to] = self.file
            case "unlink":
                names.pop(step.path, None)
            case "truncate":
                old = contents.get(self.file, b"")
                contents[self.file] = old[: step.offset].ljust(step.offset, b"\0")
            case "write":
                data, old = step.data if data is None else data, contents.get(self.file, b"")
                end = step.offset + len(data)
                contents[self.file] = (
                    old[: step.offset].ljust(step.offset, b"\0") + data + old[end:]
                )

    def partial(self) -> Iterator[bytes]:
        """Yield what a disk may have of a write beside all and nothing."""
        data = self.step.data
        if self.step.kind != "write" or not data:
            return
        n_bytes = len(data)
        yield bytes(n_bytes)
        for cut in {1, n_bytes // 2, n_bytes - 1} - {0, n_bytes}:
            yield data[:cut]
        yield data[: n_bytes // 2].ljust(n_bytes, b"\0")
        first = _PAGE - self.step.offset % _PAGE  # one page is written, another is not
        if first < n_bytes:
            yield bytes(first) + data[first:]
            yield data[:first].ljust(n_bytes, b"\0")


class Disk:
    """A disk after some steps.

    Attributes:
        seen: What the processes see.
        lines: By file, the lines that were acknowledged, in order.
        files: By file, its contents that were acknowledged, and those that replace them.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.seen, self._synced = Image(), Image()
        self._pending: list[Change] = []
        self._doubtful: list[Change] = []
        self.lines: dict[str, list[bytes]] = {}
        self.files: dict[str, list[bytes]] = {}

    def take(self, step: Step) -> None:
        """Take one step."""
        names, directory = self.seen.names, str(PurePosixPath(step.path).parent)
        match step.kind:
            case "sync":
                self._sync(names[step.path])
            case "sync_directory":
                self._sync(step.path)
            case "failed_sync" if names.get(step.path, -1) >= 0:
                self._fail_to_sync(names[step.path])
            case "failed_sync":  # the changes of a directory stay in the journal
                pass
            case "line":
                self.lines.setdefault(step.path, []).append(step.data)
            case "opened":
                lines = step.data.splitlines(keepends=True)
                self.lines[step.path] = [line for line in lines if line.endswith(b"}\n")]
            case "file":
                self.files[step.path] = [self.seen.contents[names[step.path]]]
            case "write" | "truncate":
                self._change(Change(names[step.path], step, names[step.path]))
            case _:
                number = {"mkdir": -1, "create": next(self._numbers)}.get(step.kind)
                number = names[step.path] if number is None else number
                if step.kind == "rename" and step.to in self.files:
                    self.files[step.to].append(self.seen.contents[number])
                elif step.kind == "unlink":
                    self.files.pop(step.path, None)
                self._change(Change(directory, step, number))

    def _change(self, change: Change) -> None:
        change.apply(self.seen)
        self._pending.append(change)

    def _sync(self, unit: int | str) -> None:
        for change in self._pending:
            if change.unit == unit:
                change.apply(self._synced)
                if change.step.kind == "truncate":
                    self._doubtful = [d for d in self._doubtful if not _is_cut(d, change)]
        self._pending = [change for change in self._pending if change.unit != unit]

    def _fail_to_sync(self, unit: int | str) -> None:
        """Sync nothing, and believe that nothing is left to sync, as Linux does."""
        self._doubtful += [change for change in self._pending if change.unit == unit]
        self._pending = [change for change in self._pending if change.unit != unit]

    def trees(self) -> Iterator[Tree]:
        """Yield what the disk may hold after a crash.

        Of the changes that are not synced all but up to two are kept, or all but up to two are
        lost. Of one write, the last of its file, only a part may be kept.
        """
        changes = self._doubtful + self._pending
        n_changes = len(changes)
        for base in (True, False):
            for n_others in range(3):
                for others in itertools.combinations(range(n_changes), min(n_others, n_changes)):
                    kept = [base != (i in others) for i in range(n_changes)]
                    yield from self._trees(changes, kept)

    def _trees(self, changes: list[Change], kept: Sequence[bool]) -> Iterator[Tree]:
        """Yield the trees with these changes kept, the last write of each file in any part."""
        parts: list[list[bytes | None]] = [[None] for _ in kept]
        seen = set()
        for i in reversed(range(len(kept))):
            change = changes[i]
            if kept[i] and change.step.kind == "write" and change.file not in seen:
                seen.add(change.file)
                parts[i] += change.partial()
        for data in itertools.product(*parts):
            if sum(part is not None for part in data) > 1:
                continue
            image = self._synced.copy()
            for change, is_kept, part in zip(changes, kept, data, strict=True):
                if is_kept:
                    change.apply(image, part)
            yield image.tree()


def _is_cut(write: Change, truncation: Change) -> bool:
    return write.file == truncation.file and write.step.offset >= truncation.step.offset


def write_tree(tree: Tree, root: Path) -> None:
    """Write a tree below an empty folder."""
    for path, data in tree.items():
        if data is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)


def read_tree(root: Path) -> Tree:
    """Return the tree below a folder."""
    found = sorted(root.rglob("*"))
    return {str(p.relative_to(root)): None if p.is_dir() else p.read_bytes() for p in found}
