"""Lines and tables that fit the terminal: nothing is cut, and no word is broken."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from analysis.formatting import WIDEST
from analysis.hyperparameters import format_value
from analysis.records.ledger import Trial
from sweep.screen.output import escape

_BAR = 24


class Flow:
    """Pieces of text side by side; a piece that does not fit begins the next line."""

    def __init__(self, *pieces: Text | str, indent: int = 0) -> None:
        self._pieces = [Text(piece) if isinstance(piece, str) else piece for piece in pieces]
        self._indent = " " * indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text(self._indent)
        for piece in filter(None, self._pieces):
            if line.plain.strip() and line.cell_len + 2 + piece.cell_len > options.max_width:
                yield line
                line = Text(self._indent)
            line.append("  " if line.plain.strip() else "").append_text(piece)
        yield line


def progress_bar(fraction: float) -> Text:
    """Return a bar; what is done differs in shape too, for terminals without colors."""
    done = round(_BAR * min(fraction, 1))
    return Text.assemble(("━" * done, "green"), ("─" * (_BAR - done), "dim"))


def new_table(*headings: str, left: Collection[str]) -> Table:
    """Return a table without rows, whose columns are aligned right, except for those in `left`."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    return table


def fit_table(console: Console, table: Table, width: int, optional: Collection[str]) -> bool:
    """Try short headings, then no optional columns; return whether a table fits into a width."""
    widest = console.options.update(width=WIDEST)

    def fits() -> bool:
        return console.measure(table, options=widest).maximum <= width

    if fits():
        return True
    table.padding = (0, 1, 0, 0)
    for column in table.columns:
        column.header = str(column.header).replace("_", "\n").replace(" ", "\n")
        column.vertical = "bottom"
    for name in optional:
        if fits():
            break
        kept = [column for column in table.columns if column.header != name]
        # The last column has no padding, and a column knows itself by its index.
        table.columns = [replace(column, _index=index) for index, column in enumerate(kept)]
    return fits()


class Fitted:
    """A table that fits the terminal as far as `fit_table` can make it."""

    def __init__(self, table: Table, *, optional: Collection[str] = ()) -> None:
        self._table, self._optional = table, optional

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fit_table(console, self._table, options.max_width, self._optional)
        yield self._table


class TrialTable:
    """A table of trials, with their hyperparameters in columns or below each trial.

    A row is a trial and its cells below `headings`; its values follow. Columns of `optional`
    are left out, in this order, where there is no space for them.
    """

    def __init__(
        self,
        headings: Sequence[str],
        rows: Sequence[tuple[Trial, Sequence[Text | str]]],
        *,
        left: Collection[str],
        optional: Collection[str],
    ) -> None:
        self._headings, self._left, self._optional = headings, left, optional
        # The space may have changed since the first trials.
        names = list(dict.fromkeys(name for trial, _ in rows for name in trial.hyperparameters))
        self._names = [escape(name) for name in names]
        self._rows = [
            (cells, [escape(format_value(name, trial.value(name))) for name in names])
            for trial, cells in rows
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        in_columns = self._table(with_values=True)
        if fit_table(console, in_columns, options.max_width, self._optional):
            yield in_columns
            return
        table = self._table(with_values=False)
        fit_table(console, table, options.max_width, self._optional)
        lines = console.render_lines(table, options, pad=False)
        n_headings = len(lines) - len(self._rows)
        for line in lines[:n_headings]:
            yield from (*line, Segment.line())
        for line, (_, values) in zip(lines[n_headings:], self._rows, strict=True):
            yield from (*line, Segment.line())
            yield self._details(values)

    def _table(self, *, with_values: bool) -> Table:
        names = self._names if with_values else []
        table = new_table(*self._headings, *names, left=self._left)
        for column in table.columns:
            column.no_wrap = True
        for cells, values in self._rows:
            table.add_row(*cells, *(values if with_values else ()))
        return table

    def _details(self, values: Sequence[str]) -> Flow:
        pairs = zip(self._names, values, strict=True)
        return Flow(*(Text(f"{name} {value}", style="dim") for name, value in pairs), indent=7)
