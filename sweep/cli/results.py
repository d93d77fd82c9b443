"""`sweep plot`, `report`, `export`, `predict`, `dashboard`, `track`: they use a sweep's result."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from analysis.errors import describe_cause
from analysis.formatting import count, printable, probability
from analysis.records.dataset import DataRecord
from analysis.records.files import LEDGER_FILE, REPORT_FILE
from analysis.storage.local_folder import LocalFolder
from data_utils.errors import DataError
from sweep.api.storage import DEFAULT_STORAGE, find_sweep, storage_folder
from sweep.cli import options
from sweep.errors import UsageError
from sweep.results.trackers.mirror import TRACKERS, mirror
from sweep.screen.output import escape, print_json, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def plot(
    name: options.NameArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Folder to write to. [default: plots/ of the sweep]",
        ),
    ] = None,
    file_format: Annotated[
        Literal["png", "svg", "pdf"], typer.Option("--format", help="Format of the files.")
    ] = "png",
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Draw all plots again."""
    from analysis.plots.gallery import draw_all

    folder, _ = find_sweep(storage, name)
    target = None if out is None else LocalFolder(out)
    files, skipped = draw_all(folder, file_format, target)
    if as_json:
        print_json({"files": files, "skipped": skipped})
        return
    for file in files:
        print(file)
    for plot_name, reason in skipped.items():
        say(f"not drawn: {plot_name}: {reason}", sys.stdout)


def report(
    name: options.NameArgument = None, storage: options.StorageOption = DEFAULT_STORAGE
) -> None:
    """Write the sweep as one self-contained HTML page."""
    from analysis.report.page import write_report

    folder, _ = find_sweep(storage, name)
    write_report(folder)
    print(folder.display_path(REPORT_FILE))


def export(
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="New or empty folder, or one of an earlier export."),
    ],
    name: options.NameArgument = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Write the best network, with a program to use it."""
    from sweep.results.best import best_document, find_best

    folder, ledger = find_sweep(storage, name)
    trial = find_best(ledger).trial  # fails before torch is imported
    from sweep.results.best_model import load_best_model
    from sweep.results.export import write_export

    best = load_best_model(folder, ledger, trial)
    files, metrics = write_export(best, best_document(folder, ledger), out)
    if as_json:
        print_json({"folder": str(out), "files": files, "metrics": metrics})
        return
    print(f"{out}: {best.describe()}")
    for file in files:
        print(f"  {file}")
    if "model.pt2" not in files:
        say("note: model.pt2 is left out, because torch.export does not support the network")


def predict(
    name: options.NameArgument = None,
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE", help="Image files, or folders of them.")
    ] = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Classify image files with the best network.

    A network that was trained on MNIST recognizes one digit per image. An image that cannot be
    read does not stop the others; the exit code is then 2.
    """
    from sweep.results.best import find_best

    name, paths = _name_and_images(name, images or [], storage)
    folder, ledger = find_sweep(storage, name)
    trial = find_best(ledger).trial  # fails before torch is imported
    from sweep.results.best_model import load_best_model

    data = ledger.data
    pixels, errors = _read_images(_list_images(paths), data)
    listed, n = "\n  ".join(error for _, error in errors), len(errors) + len(pixels)
    several = f"{len(errors)} of {n} images cannot be used:\n  " if n > 1 else ""
    refusal = UsageError(f"{several}{listed}")
    if not pixels and not as_json:
        raise refusal
    best = load_best_model(folder, ledger, trial)
    probabilities = best.predict([image for _, image in pixels])
    predictions = [(path, row) for (path, _), row in zip(pixels, probabilities, strict=True)]
    if as_json:
        found = [_prediction_document(path, row, data) for path, row in predictions]
        found += [{"image": str(path), "error": error} for path, error in errors]
        about = {"sweep": folder.name, "trial_id": best.trial_id, "weights": best.describe()}
        print_json({**about, "classes": data.classes, "predictions": found})
    elif predictions:
        _print_predictions(predictions, data.classes)
        say(f"by trial {best.trial_id} of {folder.name}: {best.describe()}")
    if errors:
        raise refusal


def _prediction_document(
    path: Path, probabilities: list[float], data: DataRecord
) -> dict[str, Any]:
    label = max(range(len(probabilities)), key=probabilities.__getitem__)
    return {
        "image": str(path),
        **({"digit": label} if data.is_digits else {}),
        "class": data.classes[label],
        "probability": max(probabilities),
        "probabilities": probabilities,
    }


def _print_predictions(
    predictions: list[tuple[Path, list[float]]], classes: tuple[str, ...]
) -> None:
    """Print one line per image: its three most probable classes, and a warning in doubt."""
    from sweep.results.best_model import CONFIDENT

    names = [printable(str(path), 500) for path, _ in predictions]
    width = max(map(len, names))
    for name, (_, probabilities) in zip(names, predictions, strict=True):
        ranking = sorted(enumerate(probabilities), key=lambda pair: -pair[1])
        first, *others = [
            f"{printable(classes[label], 40)} {probability(value):>9}"
            for label, value in ranking[:3]
        ]
        doubt = "   low confidence" if ranking[0][1] < CONFIDENT else ""
        print(f"{name:{width}}  {first}   (then {', '.join(others)}){doubt}")


def _name_and_images(
    first: str | None, others: list[str], storage: str
) -> tuple[str | None, list[Path]]:
    """Split the arguments into a sweep and images: the first may be either."""
    if first is None or "" in (first, *others):
        raise UsageError("give an image file: sweep predict [NAME] IMAGE")
    try:
        is_file, exists = Path(first).is_file(), Path(first).exists()
    except OSError as error:
        raise UsageError(f"cannot look for {first!r}: {describe_cause(error)}") from error
    is_sweep = storage_folder(storage).child(first).exists(LEDGER_FILE)
    if is_sweep and others:
        return first, [Path(other) for other in others]
    if is_sweep and not is_file:
        raise UsageError(f"{first!r} is a sweep; give an image file, too")
    if not is_sweep and others and not exists:
        raise UsageError(f"{first!r} is neither a sweep in {storage} nor an image file")
    return None, [Path(image) for image in (first, *others)]


def _list_images(paths: list[Path]) -> list[Path]:
    """Return the files, with the images of a folder in its place; say what is left out there."""
    from data_utils.images import files_below, is_image

    files: list[Path] = []
    for path in paths:
        try:
            if not path.is_dir():
                files.append(path)
                continue
            if (path / LEDGER_FILE).exists():
                raise UsageError(f"{path} is the folder of a sweep, not of images; give its name")
            inside = sorted(path.iterdir())
            if not any(is_image(item.relative_to(path)) for item in inside):
                inside = [*files_below(path)]  # they may be in folders by class
            found = [item for item in inside if item.is_file()]
        except OSError as error:
            raise UsageError(f"cannot look into {path}: {describe_cause(error)}") from error
        images = [file for file in found if is_image(file.relative_to(path))]
        if not images:
            raise UsageError(f"the folder {path} has no images; use PNG or JPEG files")
        if len(found) > len(images):
            say(f"note: {count(len(found) - len(images), 'other file')} in {path} left out")
        files += images
    return files


def _read_images(
    paths: list[Path], data: DataRecord
) -> "tuple[list[tuple[Path, NDArray[np.uint8]]], list[tuple[Path, str]]]":
    """Return the images, prepared as those of the training; and why others are unusable."""
    from data_utils.images import read_digit, read_image

    read: Callable[[Path], NDArray[np.uint8]] = read_digit
    if not data.is_digits:
        read = partial(read_image, channels=data.channels, side=data.side)
    images, errors = [], []
    for path in paths:
        try:
            images.append((path, read(path)))
        except DataError as error:
            errors.append((path, str(error)))
    return images, errors


def dashboard(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Sweeps. [default: the newest]")
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=65535, help="Port to listen on; 0 picks a free port."
        ),
    ] = 8080,
    storage: options.StorageOption = DEFAULT_STORAGE,
) -> None:
    """Show sweeps in optuna-dashboard, until Ctrl-C."""
    wanted: list[str | None] = [*dict.fromkeys(names or [])]
    folders = [find_sweep(storage, name)[0] for name in wanted or [None]]
    from sweep.results.dashboard import serve

    def on_ready(url: str) -> None:
        shown = ", ".join(folder.name for folder in folders)
        print(escape(f"{shown}: {url}  (Ctrl-C to stop)"), flush=True)
        say(f"verdict, and how to read the plots: {url}/note")

    def on_problem(line: str) -> None:
        say(f"warning: the dashboard may be out of date: {line}")

    serve(folders, port=port, on_ready=on_ready, on_problem=on_problem)


def track(
    to: Annotated[
        str,
        typer.Option(
            metavar="|".join(TRACKERS),
            help="Where to show the sweep.",
            autocompletion=lambda: list(TRACKERS),
        ),
    ],
    name: options.NameArgument = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Continue until the sweep stops running.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the files of TensorBoard or W&B, by default runs-tensorboard or "
            "wandb in the current folder.",
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Server or database of MLflow, by default $MLFLOW_TRACKING_URI or else mlflow.db "
            "in the current folder.",
        ),
    ] = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
) -> None:
    """Mirror a sweep to a tracker.

    Each trial and each confirmation run becomes one run there. Only what is new is added, so the
    command can be repeated, on any machine that reads the storage. The sweep is not affected.
    """
    if to not in TRACKERS:
        from sweep.config.messages import suggest

        raise UsageError(f"there is no tracker {to!r}{suggest(to, TRACKERS)}")
    folder, _ = find_sweep(storage, name)
    places = {"--out": None if out is None else str(out), "--tracking-uri": tracking_uri}
    place = places.pop(TRACKERS[to].option)
    for option, value in places.items():
        if value is not None:
            raise UsageError(f"`{option}` is not for --to {to}; use {TRACKERS[to].option}")
    n_runs, n_new, where = mirror(folder, to, place, follow=follow)
    say(f"{count(n_runs, 'run')} of {folder.name}, {n_new:,} new: {where}", sys.stdout)
