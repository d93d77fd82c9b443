"""What a benchmark found: rows of figures, and how they compare with what was aimed at."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measuring import Spread

Row = Mapping[str, "str | float | Spread | None"]


@dataclass(frozen=True)
class Target:
    """A bound that a figure has to keep: at most `limit`, or at least, as `at_least` says."""

    what: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        verdict = "met" if self.is_met else "MISSED"
        return (
            f"{self.what}: {self.value:,.3g}{self.unit}, "
            f"{bound} {self.limit:g}{self.unit} wanted: {verdict}"
        )


@dataclass(frozen=True)
class Section:
    """The figures of one benchmark: tables of rows, each row with the same names."""

    title: str
    note: str
    tables: Sequence[Sequence[Row]]
    targets: Sequence[Target] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_markdown(self) -> str:
        tables = "\n\n".join(_table(rows) for rows in self.tables)
        targets = "".join(f"\n- {target}" for target in self.targets)
        return f"## {self.title}\n\n{self.note}\n\n{tables}\n{targets}\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "tables": [[_plain(row) for row in rows] for rows in self.tables],
            "targets": [asdict(target) | {"met": target.is_met} for target in self.targets],
            **self.extra,
        }


def show(value: "str | float | Spread | None") -> str:
    if isinstance(value, Spread):
        if value.min == value.max:
            return show(value.median)
        return f"{show(value.median)} ({show(value.min)} to {show(value.max)})"
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def _table(rows: Sequence[Row]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] + ["---:"] * (len(names) - 1)]
    lines += [[show(row[name]) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(row: Row) -> dict[str, Any]:
    return {k: asdict(v) if isinstance(v, Spread) else v for k, v in row.items()}
