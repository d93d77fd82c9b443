"""Presets, config files and options as plain data, with the line of each value.

Only the YAML that a config needs is read: mappings, lists and plain values. Tags and aliases are
rejected, and with them objects, recursion and documents that grow while they are read. Plain
values are those of YAML 1.1 (`yes` is true, `010` is 8, `1:30` is 90), except that
`1e-3` is a number and that dates are text. Keys are always text.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from analysis.formatting import printable
from analysis.hyperparameters import show_value
from analysis.records.ledger import RENAMED_KEYS
from analysis.yaml_text import EXPONENT
from sweep.config.dimensions import Location
from sweep.errors import UsageError

_MAX_CHARACTERS = 128 * 1024
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Source:
    """A source of config values: a preset, a file or an option."""

    name: str
    value: Any
    lines: dict[Location, int]  # from 1; 0 for an option
    folder: Path = Path()  # what its paths are relative to

    def mark(self, location: Location) -> str:
        """Return where a location is given, for messages."""
        line = self.lines.get(location)
        return f"{self.name}:{line}" if line else self.name


def read_yaml(text: str, name: str, at: Location = ()) -> Source:
    """Read one YAML document; `at` is the location of the value that an option gives.

    UsageError if it is not YAML, uses what is not supported, or gives a key twice.
    """
    if len(text) > _MAX_CHARACTERS:
        raise UsageError(f"{name} is longer than {_MAX_CHARACTERS // 1024} KiB")
    where = ""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        value = None if root is None else loader.to_plain(root, root, at)
        return Source(name, value, dict.fromkeys([at, *loader.lines], 0) if at else loader.lines)
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        if (mark := error.problem_mark or error.context_mark) is not None:
            where = f":{mark.line + 1}, column {mark.column + 1}"
    except ReaderError as error:
        problem = f"the character U+{error.character:04X} is not allowed"
        line = text.count("\n", 0, error.position) + 1
        where = f":{line}"
    except (ValueError, OverflowError):
        # PyYAML passes an escape beyond Unicode's end to `chr`, and a long number to `int`.
        problem = "an escape or a number is out of range"
    where = name if at else name + where
    raise UsageError(f"cannot read the YAML: {printable(problem, 200)} ({where})")


def read_file(path: Path) -> Source:
    """Read a config file, which must be a mapping; UsageError if it is not."""
    name = printable(str(path), 500)
    try:
        with path.open("rb") as file:
            content = file.read(4 * _MAX_CHARACTERS)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no config file {name}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"a config must be text in UTF-8 ({name}:{line})") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read the config file {name}: {reason}") from None
    source = read_yaml(text, name)
    if source.value is None:
        raise UsageError(f"{name} is empty: write what differs from a preset, such as `trials: 8`")
    if not isinstance(source.value, dict):
        got = f"but got {show_value(source.value)} ({source.mark(())})"
        raise UsageError(f"a config must be a mapping, such as `trials: 8`, {got}")
    return replace(source, folder=path.parent)


def read_setting(setting: str) -> Source:
    """Read a value of `--set`, such as `space.rotation.high=20`; UsageError if it is none."""
    key, equals, text = setting.partition("=")
    first, *rest = (part.strip() for part in key.split("."))
    if first in ("space", "recipe") and rest[:1] == ["model"] and rest[1:]:
        rest[:2] = [".".join(rest[:2])]  # `model.width` is one name
    at = (RENAMED_KEYS.get(first, first), *rest)
    name = printable(f"--set {setting}")
    if first == "model" and rest and equals:
        argument = ".".join(["model", *rest])
        how = f"fixed by `recipe.{argument}=…`, searched by `space.{argument}={{low: …, high: …}}`"
        raise UsageError(f"`{argument}`, of a network of your own, is {how} ({name})")
    if not equals or not all(at) or len(at) > 4:
        raise UsageError(f"`--set` takes KEY=VALUE, such as `trials=8` ({name})")
    return read_yaml(text, name, at)


class _Loader(yaml.SafeLoader):
    """A loader without aliases, tags and deep nesting, which keeps the lines."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lines: dict[Location, int] = {}
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = f"aliases (*{event.anchor}) are not supported"
        elif getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            problem = f"tags ({tag}) are not supported"
        elif self._depth > _MAX_DEPTH:
            problem = "it is nested too deeply"
        if problem is not None:
            raise yaml.MarkedYAMLError(None, None, problem, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def to_plain(self, node: yaml.Node, named_by: yaml.Node, at: Location) -> Any:
        """Return a node's data, and record where it begins: the line of `named_by`, its key."""
        self.lines[at] = named_by.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            return [self.to_plain(item, item, (*at, i)) for i, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self.construct_object(node)
        mapping: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key.value, str):
                raise yaml.MarkedYAMLError(None, None, "a key must be a name", key.start_mark)
            name = key.value if at else RENAMED_KEYS.get(key.value, key.value)
            if name in mapping:
                problem = f"`{name}` is given twice, first in line {self.lines[*at, name]}"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            mapping[name] = self.to_plain(item, key, (*at, name))
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if "timestamp" not in tag]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(*EXPONENT)
