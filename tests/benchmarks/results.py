"""The figures of a benchmark as tables, and the targets that they are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.formatting import interval
from measuring import Spread

Cell = str | float | Spread
Row = Mapping[str, Cell]


@dataclass(frozen=True)
class Target:
    """A figure with its limit, the largest allowed or, if `at_least`, the smallest."""

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
    """The figures of one benchmark: tables of rows, all rows of a table with the same names."""

    title: str
    note: str
    tables: Sequence[Sequence[Row]]
    targets: Sequence[Target] = ()

    def to_markdown(self) -> str:
        tables = "\n\n".join(_table(rows) for rows in self.tables)
        targets = "".join(f"\n- {target}" for target in self.targets)
        return f"## {self.title}\n\n{self.note}\n\n{tables}\n{targets}\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "tables": [[_plain(row) for row in rows] for rows in self.tables],
            "targets": [asdict(target) | {"met": target.is_met} for target in self.targets],
        }


def median(cell: Cell) -> float:
    """Return the median of a spread, and any other number as it is."""
    return cell.median if isinstance(cell, Spread) else float(cell)


def _show(cell: Cell) -> str:
    if isinstance(cell, Spread):
        ends = (cell.min, cell.max)
        text = _show(cell.median)
        return text if cell.min == cell.max else f"{text} ({interval(ends, _show)})"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.3g}" if abs(cell) < 1 else f"{cell:.1f}"


def _table(rows: Sequence[Row]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] + ["---:"] * (len(names) - 1)]
    lines += [[_show(row[name]) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(row: Row) -> dict[str, Any]:
    return {k: asdict(v) if isinstance(v, Spread) else v for k, v in row.items()}
