"""A sweep as one self-contained HTML page: verdict, tables, pictures, how to do it again."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from PIL import Image

from analysis.plots.gallery import (
    CONFIRMATION_PLOTS,
    MODEL_PLOTS,
    SEARCH_PLOTS,
    Plot,
    Rendered,
    Skipped,
    arm_plots,
    render,
)
from analysis.plots.results import Results, read_results
from analysis.records.files import REPORT_FILE
from analysis.report import costs as report_costs
from analysis.report import facts as report_facts
from analysis.storage.folder import Folder

# A picture of many lines is smaller, and no less sharp than a screen, as pixels.
_LARGEST_SVG = 200_000
_DPI = 150


@dataclass(frozen=True)
class ReportPicture:
    """A picture as the page shows it; without a `source` there is a reason instead."""

    name: str
    title: str
    alt: str
    source: str
    reason: str


def render_report(folder: Folder) -> str:
    """Returns the report of the sweep in `folder` as HTML.

    It needs no network, runs no script, and is the same for the same files.

    Raises:
        FileNotFoundError: If there is no sweep.
        LedgerError: If one of its files is damaged.
    """
    results = read_results(folder)
    ledger, confirmation = results.ledger, results.confirmation
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_resource("report.html"))
    return template.render(
        style=_resource("report.css"),
        name=ledger.name,
        about=report_facts.describe_sweep(ledger),
        verdict=report_facts.find_verdict(ledger, confirmation),
        confirmed=confirmation is not None,
        arms=report_facts.arm_rows(ledger, confirmation) if confirmation else [],
        comparisons=report_facts.comparison_rows(ledger, confirmation) if confirmation else [],
        predictions=report_facts.prediction_rows(folder, confirmation) if confirmation else [],
        best=report_facts.find_best(ledger),
        costs=report_costs.cost_rows(ledger, confirmation),
        failures=report_costs.failure_rows(ledger, confirmation),
        notices=report_costs.notice_rows(ledger, confirmation),
        environment=report_costs.environment_rows(folder),
        config=report_costs.resolved_config(folder, ledger),
        confirm_command=report_costs.confirm_command(ledger, confirmation),
        commands=report_costs.commands(ledger, confirmation),
        confirmation_pictures=_pictures(CONFIRMATION_PLOTS, results),
        arm_pictures=_pictures(arm_plots(results), results),
        search_pictures=_pictures(SEARCH_PLOTS, results),
        model_pictures=_pictures(MODEL_PLOTS, results),
    )


def write_report(folder: Folder) -> None:
    """Writes the report of the sweep in `folder` into it, as `report.html`.

    Raises:
        FileNotFoundError: If there is no sweep.
        LedgerError: If one of its files is damaged.
    """
    folder.write(REPORT_FILE, render_report(folder).encode())


def _resource(name: str) -> str:
    return files("analysis.report").joinpath(name).read_text(encoding="utf-8")


def _pictures(plots: Sequence[Plot], results: Results) -> list[ReportPicture]:
    return [_picture(plot, results) for plot in plots]


def _picture(plot: Plot, results: Results) -> ReportPicture:
    rendered = render(plot, results, "svg")
    kind = "svg+xml"
    if isinstance(rendered, Rendered) and len(rendered.data) > _LARGEST_SVG:
        rendered, kind = render(plot, results, "png", dpi=_DPI), "png"
    if isinstance(rendered, Skipped):
        return ReportPicture(plot.name, plot.title, "", "", rendered.reason)
    data = _with_palette(rendered.data) if kind == "png" else rendered.data
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return ReportPicture(plot.name, plot.title, rendered.alt, source, "")


def _with_palette(png: bytes) -> bytes:
    """The same picture in 256 colours: a third of the bytes, and no difference to be seen."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG")
    return buffer.getvalue()
