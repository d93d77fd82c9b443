"""`sweep plot`, `report`, `export`, `predict`, `dashboard`: they use the result of a sweep."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from analysis.errors import describe_cause
from analysis.formatting import percent
from data_utils.errors import DataError
from sweep.cli import options
from sweep.cli.options import find_sweep, storage_folder
from sweep.cli.output import escape, print_json, say
from sweep.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def plot(
    name: options.NameArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write to. [default: plots/ of the sweep]"),
    ] = None,
    file_format: Annotated[
        Literal["png", "svg", "pdf"], typer.Option("--format", help="Format of the files.")
    ] = "png",
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Draw all plots again."""
    from analysis.plots.gallery import draw_all
    from analysis.storage.local_folder import LocalFolder

    folder, _ = find_sweep(storage, name)
    if out is not None and out.is_file():
        raise UsageError(f"`--out` must be a folder, but {out} is a file")
    target = None if out is None else LocalFolder(out)
    files, skipped = draw_all(folder, file_format, target)
    if as_json:
        print_json({"files": files, "skipped": skipped})
        return
    for file in files:
        print(file)
    for plot_name, reason in skipped.items():
        print(escape(f"not drawn: {plot_name}: {reason}"))


def report(
    name: options.NameArgument = None, storage: options.StorageOption = options.DEFAULT_STORAGE
) -> None:
    """Write the sweep as one self-contained HTML page."""
    from analysis.records.files import REPORT_FILE
    from analysis.report.page import write_report

    folder, _ = find_sweep(storage, name)
    write_report(folder)
    print(folder.display_path(REPORT_FILE))


def export(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to, new or empty.")],
    name: options.NameArgument = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Write the weights and metrics of the best network."""
    from sweep.cli.summary import best_document, find_best

    folder, ledger = find_sweep(storage, name)
    trial = find_best(ledger).trial  # fails before torch is imported
    from sweep.results.best_model import load_best_model
    from sweep.results.export import FILES, write_export

    best = load_best_model(folder, ledger, trial)
    metrics = write_export(best, best_document(folder, ledger), out)
    if as_json:
        print_json({"folder": str(out), "files": FILES, "metrics": metrics})
        return
    print(f"{out}: {best.describe()}")
    for file in FILES:
        print(f"  {file}")


def predict(
    name: options.NameArgument = None,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE", help="Image files of one digit each.", show_default=False),
    ] = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    as_json: options.JsonOption = False,
) -> None:
    """Recognize digits in image files with the best network."""
    from sweep.cli.summary import find_best

    name, paths = _name_and_images(name, images or [], storage)
    folder, ledger = find_sweep(storage, name)
    trial = find_best(ledger).trial  # fails before torch is imported
    from sweep.results.best_model import load_best_model

    pixels = _read_images(paths)
    best = load_best_model(folder, ledger, trial)
    predictions: list[dict[str, Any]] = [
        {
            "image": str(path),
            "digit": max(range(10), key=probabilities.__getitem__),
            "probability": max(probabilities),
            "probabilities": probabilities,
        }
        for path, probabilities in zip(paths, best.predict(pixels), strict=True)
    ]
    if as_json:
        print_json(
            {
                "sweep": folder.name,
                "trial_id": best.trial_id,
                "weights": best.describe(),
                "predictions": predictions,
            }
        )
        return
    width = max(len(str(path)) for path in paths)
    for prediction in predictions:
        ranking = sorted(enumerate(prediction["probabilities"]), key=lambda pair: -pair[1])
        first, *others = [f"{digit} {percent(value):>8}" for digit, value in ranking[:3]]
        print(escape(f"{prediction['image']:{width}}  {first}   (then {', '.join(others)})"))
    say(f"by trial {best.trial_id} of {folder.name}: {best.describe()}")


def _name_and_images(
    first: str | None, others: list[str], storage: str
) -> tuple[str | None, list[Path]]:
    """Split the arguments into a sweep and images: the first may be either."""
    from analysis.records.files import LEDGER_FILE

    if first is None:
        raise UsageError("give an image file of one digit: sweep predict [NAME] IMAGE")
    try:
        is_file = Path(first).is_file()
        is_sweep = storage_folder(storage).child(first).exists(LEDGER_FILE)
    except OSError as error:
        raise UsageError(f"cannot look for {first!r}: {describe_cause(error)}") from error
    if is_sweep and others:
        return first, [Path(other) for other in others]
    if is_sweep and not is_file:
        raise UsageError(f"{first!r} is a sweep; give an image file, too")
    if not is_sweep and others and not is_file:
        raise UsageError(f"{first!r} is neither a sweep in {storage} nor an image file")
    return None, [Path(image) for image in (first, *others)]


def _read_images(paths: list[Path]) -> "list[NDArray[np.uint8]]":
    """Return the images, uint8 [28, 28], prepared as MNIST's are; name all bad files at once."""
    from data_utils.digits import read_digit

    images, complaints = [], []
    for path in paths:
        try:
            images.append(read_digit(path))
        except DataError as error:
            complaints.append(str(error))
    if complaints:
        several = f"{len(complaints)} images cannot be used:\n  " if len(complaints) > 1 else ""
        raise UsageError(several + "\n  ".join(complaints))
    return images


def dashboard(
    name: options.NameArgument = None,
    port: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=65535, help="Port to listen on; 0 picks a free port."
        ),
    ] = 8080,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
) -> None:
    """Show the sweep in optuna-dashboard, until Ctrl-C."""
    folder, _ = find_sweep(storage, name)
    try:
        from sweep.results.dashboard import serve

        serve(
            folder,
            port=port,
            on_ready=lambda url: print(
                escape(f"{folder.name}: {url}  (Ctrl-C to stop)"), flush=True
            ),
            on_problem=lambda line: say(f"warning: the dashboard may be out of date: {line}"),
        )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
