"""A sweep as one self-contained HTML page: verdict, tables, plots, commands."""

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from analysis.formatting import (
    dataset_name,
    digits_beside_zero,
    interval,
    network_name,
    p_value,
    percent_number,
    points,
    points_interval,
)
from analysis.plots.gallery import (
    CONFIRMATION_PLOTS,
    MODEL_PLOTS,
    SEARCH_PLOTS,
    Plot,
    arm_plots,
    render,
)
from analysis.plots.results import NothingToDrawError, Results, read_results
from analysis.records.files import REPORT_FILE
from analysis.report import costs, facts
from analysis.results.completeness import confirm_command
from analysis.storage.folder import Folder

# An SVG of many marks is larger than a PNG, and slow.
_LARGEST_SVG = 300_000
_DPI = 150
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(%|points|seeds?)(?!\w))|(?<=[Tt]rial) (?=\d)")


def write_report(folder: Folder) -> None:
    """Write the report of the sweep in `folder` into it, as `report.html`.

    The page needs no network, and is the same for the same files. Its only script sorts the
    table of trials. Errors are those of `read_results`.
    """
    results = read_results(folder)
    ledger, confirmation = results.ledger, results.confirmation
    begun = datetime.fromtimestamp(ledger.created.time, UTC)
    loader = PackageLoader("analysis", "report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_keep_together,
    )
    environment.filters |= {
        "percent": percent_number,
        "points": lambda value, ends: points(value, digits_beside_zero(ends), sign=True),
        "percent_interval": lambda ends: interval(ends, percent_number),
        "points_interval": lambda ends: points_interval(ends, sign=True),
        "p_value": p_value,
    }
    script = loader.get_source(environment, "report.js")[0]
    arms, arm_notes, comparisons = [], [], []
    if confirmation is not None:
        arms = list(facts.arm_rows(ledger, confirmation))
        arm_notes = list(facts.arm_notes(ledger, confirmation))
        comparisons = list(facts.comparison_rows(folder, ledger, confirmation))
    text = environment.get_template("report.html").render(
        name=ledger.name,
        about=f"{dataset_name(ledger.config)} · {network_name(ledger.config)} · {results.size}",
        script=Markup(script),  # not escaped: no part of it is from a sweep
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        begun=f"{begun:%Y-%m-%d %H:%M} UTC",
        verdict=facts.find_verdict(folder, ledger, confirmation),
        confirmed=confirmation is not None,
        data=ledger.data,
        highest=max((row["summary"].mean for row in arms if row["summary"]), default=None),
        arms=arms,
        arm_notes=arm_notes,
        comparisons=comparisons,
        best=facts.describe_best(ledger),
        trials=facts.trial_table(ledger),
        costs=costs.cost_rows(ledger, confirmation),
        failures=costs.failure_rows(ledger, confirmation),
        notices=costs.notice_rows(ledger, confirmation),
        environment=costs.environment_rows(folder),
        config=costs.resolved_config(folder, ledger),
        confirm_command=confirm_command(ledger, confirmation),
        commands=costs.commands(ledger, confirmation),
        confirmation_pictures=_pictures(CONFIRMATION_PLOTS, results),
        arm_pictures=_pictures(arm_plots(results), results),
        search_pictures=_pictures(SEARCH_PLOTS, results),
        model_pictures=_pictures(MODEL_PLOTS, results),
    )
    folder.write(REPORT_FILE, text.encode())


def _keep_together(value: object) -> object:
    """Return a text that breaks no line between a number and its unit."""
    # The type of the output of macros is a subclass of str, which is escaped already.
    return _BEFORE_UNIT.sub("\u00a0", value) if type(value) is str else value


def _pictures(plots: Iterable[Plot], results: Results) -> Iterator[tuple[Plot, Markup, str]]:
    """Yield each plot with its picture as an element, or with "" and a reason."""
    for plot in plots:
        try:
            data, alt = render(plot, results, "svg")
            if len(data) <= _LARGEST_SVG:
                # Within the page, its marks say on hover which trials they are.
                head = Markup('<svg role="img" aria-label="{}"').format(alt)
                yield plot, head + Markup(data.decode().removeprefix("<svg")), ""
                continue
            data, alt = render(plot, results, "png", dpi=_DPI)
        except NothingToDrawError as nothing:
            yield plot, Markup(), str(nothing)
            continue
        source = f"data:image/png;base64,{base64.b64encode(_with_palette(data)).decode()}"
        yield plot, Markup('<img src="{}" alt="{}" />').format(source, alt), ""


def _with_palette(png: bytes) -> bytes:
    """Return the same picture in 256 colors: a third of the bytes, with no visible loss."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG")
    return buffer.getvalue()
