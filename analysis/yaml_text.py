"""Plain data as readable YAML."""

import re
from typing import Any

import yaml

EXPONENT = (
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
"""The resolver of numbers such as `1e-3`, which are texts in YAML 1.1 and not in 1.2."""


def yaml_text(config: dict[str, Any]) -> str:
    """Return a mapping as YAML: one key per line, two levels deep, the rest in brackets.

    The keys keep their order. Parsers of YAML 1.1 and 1.2 read the same values back.
    """
    text: str = yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=float("inf"))
    return text


class _Dumper(yaml.SafeDumper):
    """A dumper that writes mappings and lists below the second level in brackets."""

    _depth = 0

    def represent_data(self, data: Any) -> yaml.Node:
        self._depth += 1
        node: yaml.Node = super().represent_data(data)
        if isinstance(node, yaml.CollectionNode):
            node.flow_style = self._depth > 2
        self._depth -= 1
        return node

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(*EXPONENT)
