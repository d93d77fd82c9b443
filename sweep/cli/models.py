"""`sweep export`, `sweep predict`, `sweep dashboard`: what to do with a sweep's result."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.records.ledger import LEDGER_FILE
from sweep.cli.options import (
    DEFAULT_STORAGE,
    JsonOption,
    NameArgument,
    StorageOption,
    find_sweep,
    print_json,
    say,
    storage_folder,
)
from sweep.errors import UsageError


def export(
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder.")],
    name: NameArgument = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Write the best trial's weights, hyperparameters and metrics, to be used elsewhere."""
    from sweep.cli.summary import best_document

    folder, ledger = find_sweep(storage, name)
    summary = best_document(folder, ledger)
    from sweep.results.best_model import load_best_model
    from sweep.results.export import FILES, metrics_document, write_export

    best = load_best_model(folder, ledger)
    metrics = metrics_document(best, summary)
    write_export(best, metrics, out)
    if as_json:
        print_json({"folder": str(out), "files": list(FILES), "metrics": metrics})
        return
    print(f"{out}: {best.describe()}")
    for file in FILES:
        print(f"  {file}")


def predict(
    name: NameArgument = None,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE", help="Pictures of one digit each.", show_default=False),
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Tell which digits the best model sees in images of any kind."""
    from sweep.cli.summary import best_document

    name, paths = _name_and_images(name, images or [], storage)
    folder, ledger = find_sweep(storage, name)
    best_document(folder, ledger)  # that there is no best trial is told before torch is imported
    from sweep.results.best_model import load_best_model
    from sweep.results.predict import predict, read_images

    pixels = read_images(paths)
    best = load_best_model(folder, ledger)
    predictions = predict(best.network, pixels, paths)
    if as_json:
        print_json(
            {
                "sweep": folder.name,
                "trial_id": best.trial_id,
                "weights": best.describe(),
                "predictions": [
                    {
                        "image": str(prediction.image),
                        "digit": prediction.digit,
                        "probability": prediction.probabilities[prediction.digit],
                        "probabilities": prediction.probabilities,
                    }
                    for prediction in predictions
                ],
            }
        )
        return
    width = max(len(str(path)) for path in paths)
    for prediction in predictions:
        top = [
            f"{digit} {100 * prediction.probabilities[digit]:6.2f} %"
            for digit in prediction.ranking[:3]
        ]
        print(f"{prediction.image!s:{width}}  {top[0]}   (then {', '.join(top[1:])})")
    say(f"by trial {best.trial_id} of {folder.name}: {best.describe()}")


def dashboard(
    name: NameArgument = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="To listen on; 0 is any that is free.")
    ] = 8080,
    storage: StorageOption = DEFAULT_STORAGE,
) -> None:
    """Show the sweep in optuna-dashboard, on this machine, until Ctrl-C."""
    folder, ledger = find_sweep(storage, name)
    try:
        from sweep.results.dashboard import serve

        serve(
            folder,
            ledger,
            port=port,
            on_ready=lambda url: print(f"{ledger.name}: {url}  (Ctrl-C ends it)", flush=True),
            on_problem=lambda line: say(f"warning: the dashboard may be behind: {line}"),
        )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _name_and_images(
    first: str | None, others: list[str], storage: str
) -> tuple[str | None, list[Path]]:
    """Tells a sweep's name from an image: it is one if there is the sweep and images follow."""
    if first is None:
        raise UsageError("name an image, of one digit")
    is_sweep = storage_folder(storage).child(first).exists(LEDGER_FILE)
    if is_sweep and others:
        return first, [Path(other) for other in others]
    if is_sweep and not Path(first).is_file():
        raise UsageError(f"{first!r} is a sweep; name an image, too")
    if not is_sweep and others and not Path(first).exists():
        raise UsageError(f"{first!r} is neither a sweep in {storage} nor an image file")
    return None, [Path(image) for image in (first, *others)]
