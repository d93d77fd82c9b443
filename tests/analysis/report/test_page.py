import base64
import hashlib
import html
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import synthetic
from analysis.hyperparameters import format_value
from analysis.plots.gallery import MODEL_PLOTS, SEARCH_PLOTS, render
from analysis.plots.results import read_results
from analysis.records.confirmation import Confirmation, Plan
from analysis.records.ledger import read_ledger
from analysis.report.facts import find_verdict
from analysis.report.page import write_report
from analysis.results.comparison import compare_arms, summarize_arm
from analysis.results.selection import rank_trials, trial_accuracy
from analysis.storage.folder import Folder
from analysis.storage.journal import encode_record
from analysis.storage.local_folder import LocalFolder
from appending import append
from in_memory import trial_records

N_PICTURES = 14
SMALL = {"n_trials": 22, "epochs": 3, "scheduler": "none"}
# A user's own settings of matplotlib.
RC = """
backend: svg
font.family: monospace
font.size: 20
text.usetex: True
axes.formatter.use_locale: True
figure.dpi: 300
savefig.bbox: tight
svg.hashsalt: other
pdf.fonttype: 3
timezone: Asia/Kolkata
"""
WRITE = """
import sys
from pathlib import Path
from analysis.plots.gallery import MODEL_PLOTS, render
from analysis.plots.results import read_results
from analysis.report.page import write_report
from analysis.storage.local_folder import LocalFolder
folder = LocalFolder(Path(sys.argv[1]))
write_report(folder)
for kind in ("png", "pdf"):
    folder.write(kind, render(MODEL_PLOTS[0], read_results(folder), kind)[0])
"""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def report_of(folder: Folder) -> str:
    write_report(folder)
    return folder.read("report.html").decode()


def texts(page: ET.Element, tag: str) -> list[str]:
    """Return the texts of all elements of a kind, with plain spaces."""
    found = ["".join(element.itertext()) for element in page.iter(tag)]
    return [text.replace("\u00a0", " ").strip() for text in found]


@pytest.fixture(scope="module")
def confirmed_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, str]:
    folder = LocalFolder(tmp_path_factory.mktemp("report") / "synthetic")
    ledger = synthetic.write_search(folder, synthetic.Search(**SMALL))
    synthetic.write_confirmed(folder, ledger, n_seeds=4)
    return folder, report_of(folder)


def test_report_begins_with_the_verdict(confirmed_report):
    folder, report = confirmed_report
    page = ET.fromstring(report)
    verdict = find_verdict(folder, read_ledger(folder), Confirmation.read(folder))
    assert texts(page, "h1") == ["Sweep synthetic"]
    assert texts(page, "h2")[0] == "Verdict"
    about, shown = texts(page, "p")[:2]
    assert about == "mnist · lenet5 · 22 trials of 3 epochs, started 2027-01-15 08:00 UTC"
    assert shown == verdict["text"]
    prose = re.sub("<svg.*?</svg>", "", report, flags=re.DOTALL)
    assert re.search(r"\d %", prose) is None  # no line breaks between a number and its unit


def test_best_hyperparameters_follow_the_verdict(confirmed_report):
    folder, report = confirmed_report
    page, best = ET.fromstring(report), rank_trials(read_ledger(folder))[0].trial
    assert best.trial_id != 1
    assert texts(page, "h2")[:3] == ["Verdict", "Best hyperparameters", "Test accuracy"]
    wins, about = texts(page, "p")[2:4]
    pattern = rf"Trial {best.trial_id} beats plain LeNet-5 by 0\.\d\d, MLP by \d\.\d\d points\."
    assert re.fullmatch(pattern, wins)
    assert about.startswith(f"Trial {best.trial_id}, proposed by the searcher: ")
    values = page.find(".//dl")
    shown = dict(zip(texts(values, "dt"), texts(values, "dd"), strict=True))
    values = best.hyperparameters.items()
    assert shown == {k.replace("_", " "): format_value(k, value) for k, value in values}
    text = " ".join(texts(page, "p"))
    assert f"Trial {best.trial_id} was trained with the seed {best.seed}, so" in text


def test_tables_show_the_statistics(confirmed_report):
    folder, report = confirmed_report
    page, confirmation = ET.fromstring(report), Confirmation.read(folder)
    text = " ".join(texts(page, "td"))
    for arm in confirmation.arms:
        summary = summarize_arm(confirmation, arm)
        low, high = (100 * end for end in summary.interval)
        assert f" {100 * summary.mean:.2f} {low:.2f} to {high:.2f} " in text
    for comparison in compare_arms(confirmation):
        assert f" {comparison.outcome} {100 * comparison.difference:+.2f} " in text
    # McNemar's test is of single networks, and folded away, as are the configs.
    assert {str(details.attrib) for details in page.iter("details")} == {"{}"}
    assert "McNemar" in texts(page, "summary")[0]
    assert page.findall(".//pre") == page.findall(".//details/pre")
    assert not any(text.startswith("There is no comparison") for text in texts(page, "p"))


def test_table_of_trials_has_all_of_them_with_the_best_first(confirmed_report):
    folder, report = confirmed_report
    table, trials = (
        ET.fromstring(report).find(".//table[@class='trials']"),
        read_ledger(folder).trials,
    )
    rows = [["".join(cell.itertext()) for cell in row] for row in table.find("tbody")]
    best = rank_trials(read_ledger(folder))[0]
    assert rows[0][:3] == [f"{best.trial.trial_id} best", f"{100 * best.score:.2f}", "complete"]
    assert sorted(int(row[0].removesuffix(" best")) for row in rows) == sorted(trials)
    heads, dropout = texts(table, "th"), best.trial.hyperparameters["dropout"]
    assert rows[0][heads.index("dropout")] == format_value("dropout", dropout)
    assert {row[-1] for row in rows} == {"initial", "proposed"}


def test_report_is_self_contained(confirmed_report):
    page = ET.fromstring(confirmed_report[1])
    assert len(page.findall(".//figure//{http://www.w3.org/2000/svg}svg[@role]")) == N_PICTURES
    assert page.find(".//img") is None
    loaded = [value for element in page.iter() for key, value in element.items() if "href" in key]
    assert all(url.startswith(("#", "data:")) for url in loaded)
    assert confirmed_report[1].count("url(") == confirmed_report[1].count("url(#")
    (script,) = page.iter("script")
    digest = hashlib.sha256(script.text.encode()).digest()
    policy = page.find(".//meta[@http-equiv]").get("content")
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert script.attrib == {}
    assert page.find(".//link") is None
    style = texts(page, "style")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert len(confirmed_report[1]) < 2_000_000


def test_marks_of_the_search_say_their_trial_on_hover(confirmed_report):
    folder, report = confirmed_report
    page, best = ET.fromstring(report), rank_trials(read_ledger(folder))[0]
    mark = f"trial {best.trial.trial_id}: {100 * best.score:.2f} %"
    for plot in SEARCH_PLOTS[:4]:
        titles = page.findall(f".//figure[@id='{plot.name}']//{{http://www.w3.org/2000/svg}}title")
        assert any((title.text or "").startswith(mark) for title in titles), plot.name


def test_report_is_accessible(confirmed_report):
    page = ET.fromstring(confirmed_report[1])
    assert (page.tag, page.attrib) == ("html", {"lang": "en"})
    assert page.find(".//meta[@name='viewport']") is not None
    pictures = page.findall(".//*[@role='img']")
    assert len(pictures) == N_PICTURES
    assert all(len(picture.get("aria-label")) > 40 for picture in pictures)
    assert {cell.get("scope") for cell in page.iter("th")} == {"row", "col", "rowgroup"}
    ids = [element.get("id") for element in page.iterfind(".//*[@id]")]
    assert len(ids) == len(set(ids))
    labels = {
        element.get("aria-labelledby") for element in page.iterfind(".//*[@aria-labelledby]")
    }
    assert labels | {link.get("href")[1:] for link in page.iter("a")} <= set(ids)
    levels = [
        int(element.tag[1]) for element in page.iter() if re.fullmatch("h[1-6]", element.tag)
    ]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_report_of_an_extended_sweep_is_about_its_best_trial(confirmed_folder):
    folder = confirmed_folder({**SMALL, "failure_rate": 0}, n_seeds=2)
    drawn = read_ledger(folder).trials[1].hyperparameters
    append(folder, *trial_records(23, [1.0] * 3, "COMPLETE", drawn, time=2e9))
    page = ET.fromstring(report_of(folder))
    assert texts(page, "p")[1].startswith("Trial 23 is the best now")
    assert "sweep confirm --seeds" not in texts(page, "code")
    assert "sweep confirm synthetic" in texts(page, "code")
    assert "verdict" not in texts(page, "span")
    assert texts(page, "strong") == [f"{plot.title}:" for plot in MODEL_PLOTS]


@pytest.mark.long
def test_report_of_a_large_unconfirmed_sweep(add_sweep):
    report = report_of(add_sweep(n_trials=500, epochs=3, scheduler="none"))
    page = ET.fromstring(report)
    sources = [image.get("src").partition(";")[0] for image in page.iter("img")]
    # Pictures of many marks are not drawn as such.
    assert 0 < len(sources) < len(SEARCH_PLOTS)
    assert set(sources) == {"data:image/png"}
    assert all(len(image.get("alt")) > 40 for image in page.iter("img"))
    assert len(report) < 2_000_000
    assert "sweep confirm synthetic" in texts(page, "code")


def test_unconfirmed_sweep_without_a_best_trial_has_a_report(add_sweep):
    folder = add_sweep(n_trials=3, failure_rate=1.0)
    report = report_of(folder)
    assert report.startswith("<!DOCTYPE html>\n<html lang=")
    page = ET.fromstring(report)
    # Every plot is there, or the reason why it is not.
    assert texts(page, "strong") != []
    assert len(texts(page, "figure") + texts(page, "strong")) == len(SEARCH_PLOTS)


def test_report_of_the_first_runs_claims_no_accuracy(confirmed_folder):
    folder = confirmed_folder({"n_trials": 1, "epochs": 2}, n_seeds=1, predictions=False)
    lines = folder.read("confirm.jsonl").splitlines(keepends=True)
    folder.write("confirm.jsonl", b"".join(line for line in lines if b'"run_' not in line))
    report = report_of(folder)
    assert "with a seed that the search did not use" in report
    assert "standard error" not in report
    text = folder.read("confirm.jsonl") + encode_record(Plan(2e9, 1, 1, None))
    folder.write("confirm.jsonl", text)
    assert "<p>There is no comparison yet: the arms are compared when" in report_of(folder)


def test_report_escapes_names_reasons_and_files(confirmed_folder):
    evil = "<script>alert(1)&\"'"
    folder = confirmed_folder({"n_trials": 3, "name": evil}, n_seeds=7, predictions=False)
    for name, harmless in (
        ("ledger.jsonl", '"lenet5"'),
        ("confirm.jsonl", '"lenet5", "trial_id"'),
        ("confirm.jsonl", '"plain LeNet-5"'),
    ):
        text = folder.read(name).decode()
        assert harmless in text
        evil_text = harmless.replace(harmless.split('"')[1], json.dumps(evil)[1:-1])
        folder.write(name, text.replace(harmless, evil_text).encode())
    folder.write("config.yaml", evil.encode())
    folder.write("environment.json", b'{"<script>": {"<b>": "<script>x</script>"}}')
    report = report_of(folder)
    page = ET.fromstring(report)
    (script,) = page.iter("script")
    assert "alert" not in script.text
    assert page.find(".//b") is None
    assert texts(page, "h1") == [f"Sweep {evil}"]
    assert html.escape(evil, quote=False).replace('"', "&#34;").replace("'", "&#39;") in report
    assert not any("McNemar" in text for text in texts(page, "summary"))  # no predictions


@pytest.mark.long
def test_same_files_give_the_same_bytes_wherever_they_are_drawn(confirmed_report, tmp_path):
    folder, report = confirmed_report
    copy, rc = tmp_path / "else where" / folder.name, tmp_path / "matplotlibrc"
    shutil.copytree(folder.path, copy)
    rc.write_text(RC)
    environment = {"PYTHONHASHSEED": "7", "TZ": "Asia/Kolkata", "LC_ALL": "C"}
    environment |= {"MATPLOTLIBRC": str(rc), "SOURCE_DATE_EPOCH": "12345"}
    command = [sys.executable, "-c", WRITE, str(copy)]
    subprocess.run(command, check=True, env={**os.environ, **environment})
    assert (copy / "report.html").read_text(encoding="utf-8") == report
    results = read_results(folder)
    for kind in ("png", "pdf"):
        assert (copy / kind).read_bytes() == render(MODEL_PLOTS[0], results, kind)[0]


UNKNOWN = "othing is known about new images, because predictions are missing or do not match"


@pytest.mark.parametrize("damage", [lambda other: b"PK", lambda other: other])
def test_predictions_that_are_damaged_or_of_other_networks_do_not_count(damage, confirmed_folder):
    folder = confirmed_folder({"n_trials": 12}, n_seeds=5)
    assert UNKNOWN not in report_of(folder)
    predictions = folder.child("predictions")
    for name in predictions.files():
        if name.startswith("trial-"):
            seed = name.partition("-seed-")[2]
            other = predictions.read(f"mlp-seed-{seed}")
            predictions.write(name, damage(other))
    assert UNKNOWN in report_of(folder)


def test_report_without_a_sweep_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        report_of(LocalFolder(tmp_path))


MEASURE = """<!DOCTYPE html><body style="margin:0">
<iframe id="page" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>
<script>
const frame = document.getElementById("page");
frame.onload = () => {{
  const root = frame.contentDocument.documentElement;
  const pictures = [...frame.contentDocument.querySelectorAll("figure svg")];
  const drawn = pictures.filter((picture) => picture.querySelector("text").getBBox().width > 0);
  const found = [root.scrollWidth, root.clientWidth, drawn.length];
  document.title = found.join(" ");
  const table = frame.contentDocument.querySelector(".trials");
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[1].textContent).join(" ");
  const head = table.tHead.rows[0].cells[1];
  for (const click of [1, 2]) {{
    head.querySelector("button").click();
    document.body.append(`${{head.getAttribute("aria-sort")}}: ${{column()}};`);
  }}
}};
</script>"""


def run_chromium(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync"
    command = [str(CHROMIUM), *(f"--{flag}" for flag in flags.split())]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_report_fits_a_browser(confirmed_report, tmp_path, width):
    frame = tmp_path / "frame.html"
    report = html.escape(confirmed_report[1])
    frame.write_text(MEASURE.format(width=width, page=report), encoding="utf-8")
    options = ["--dump-dom", "--window-size=1400,1000", "--virtual-time-budget=20000"]
    run = run_chromium(tmp_path, *options, frame.as_uri())
    title = re.search(r"<title>(.*?)</title>", run.stdout)
    assert title is not None, run.stderr
    scroll_width, client_width, n_drawn = map(int, title[1].split())
    assert client_width <= width
    assert scroll_width <= client_width
    assert n_drawn == N_PICTURES
    trials = read_ledger(confirmed_report[0]).trials.values()
    column = sorted(100 * accuracy for t in trials if (accuracy := trial_accuracy(t)) is not None)
    missing = ["–"] * (len(trials) - len(column))
    for order, numbers in (("ascending", column), ("descending", column[::-1])):
        shown = " ".join([*(f"{number:.2f}" for number in numbers), *missing])
        assert f"{order}: {shown};" in run.stdout
    # What a page may not load, or a script does wrong, is written to the console.
    assert "CONSOLE" not in run.stderr


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_report_of_a_classic_sweep_prints_on_few_pages(confirmed_folder, tmp_path):
    folder = confirmed_folder({"n_trials": 32}, n_seeds=4)
    report_of(folder)
    run_chromium(
        tmp_path, f"--print-to-pdf={tmp_path / 'pdf'}", folder.path.as_uri() + "/report.html"
    )
    n_pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "pdf").read_bytes()))
    assert 2 < n_pages < 8
