"""Titles of the marks in an SVG picture: a browser shows them on hover."""

import json
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from matplotlib.artist import Artist

from analysis.formatting import count, percent, printable
from analysis.hyperparameters import format_value, in_words
from analysis.records.ledger import Trial
from analysis.results.selection import trial_score

_ID = "titles:"
_SVG = "{http://www.w3.org/2000/svg}"
_OUTCOMES = {"stopped": "stopped early", "running": "not finished"}
# Matplotlib's own rule is for all of the page that the picture is in.
_RULES = (
    "svg{stroke-linejoin:round}"
    "use.titled:hover{stroke:#222}.titled:hover,.titled:hover *{stroke-width:3!important}"
)


def trial_title(trial: Trial) -> str:
    """Return `trial 12: 99.11 %` or how the trial ended, and below it its hyperparameters."""
    score = trial_score(trial)
    outcome = percent(score)
    if score is None:
        outcome = _OUTCOMES.get(trial.outcome, trial.outcome)
    if score is None and trial.epochs:
        outcome += f", {percent(trial.val_accuracy)} after {count(len(trial.epochs), 'epoch')}"
    drawn = {name: trial.value(name) for name in trial.config["space"]}
    values = (
        printable(f"{in_words(name)} {format_value(name, value)}")
        for name, value in drawn.items()
        if value is not None
    )
    return "\n".join((f"trial {trial.trial_id}: {outcome}", *values))


def set_titles(artist: Artist, titles: str | Iterable[str]) -> None:
    """Give an artist a title, or each of its marks one, in their order."""
    # Matplotlib writes only this property of an artist into an SVG.
    artist.set_gid(_ID + json.dumps(titles if isinstance(titles, str) else [*titles]))


def insert_titles(svg: bytes) -> bytes:
    """Return a picture that matplotlib drew, with the titles of its artists and their marks."""
    ElementTree.register_namespace("", _SVG[1:-1])
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)
    for group in root.iter(f"{_SVG}g"):
        name = group.attrib.pop("id", "")  # of a page with several pictures only one may have it
        if not name.startswith(_ID):
            continue
        titles = json.loads(name.removeprefix(_ID))
        one = isinstance(titles, str)
        marks, texts = ([group], [titles]) if one else (_marks(group), titles)
        for mark, text in zip(marks, texts, strict=True):
            mark.set("class", "titled")
            title = Element(f"{_SVG}title")
            title.text = text
            mark.insert(0, title)
    style = root.find(f".//{_SVG}style")
    assert style is not None
    style.text = _RULES
    return ElementTree.tostring(root)


def _marks(group: Element) -> list[Element]:
    """Return what is drawn in a group, without the shapes that it defines."""
    defined = {shape for definitions in group.iter(f"{_SVG}defs") for shape in definitions}
    drawn = (f"{_SVG}use", f"{_SVG}path")
    return [mark for mark in group.iter() if mark.tag in drawn and mark not in defined]
