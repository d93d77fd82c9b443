"""The command line: one thin function per command."""

from collections.abc import Callable
from typing import Annotated

import typer

from sweep.cli import delete, inspect, results, run, setup
from sweep.cli.words import Command, Group

app = typer.Typer(
    name="sweep",
    cls=Group,
    epilog="Begin with: sweep run --preset quick",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        print(f"sweep {version('lenet-sweep')}")
        raise typer.Exit


@app.callback()
def _main(
    is_version_wanted: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Tune the regularization of small image networks, such as LeNet-5 on MNIST."""


_EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    run.run: (
        "sweep run --preset quick --name first",
        "sweep run --config mine.yaml --trials 64 --set recipe.momentum=0.95",
        "sweep run --dataset ./my-images --name mine",
    ),
    run.resume: ("sweep resume", "sweep resume first --trials 48"),
    run.confirm: ("sweep confirm", "sweep confirm first --top-k 2 --seeds 10"),
    inspect.list_: ("sweep list", "sweep list --storage s3://BUCKET/sweeps"),
    inspect.status: ("sweep status first --follow",),
    inspect.trials: ("sweep trials first --top 10", "sweep trials first --csv trials.csv"),
    inspect.best: ("sweep best", "sweep best first --json"),
    inspect.compare: ("sweep compare first second --out curves.png",),
    delete.delete: ("sweep delete first",),
    results.plot: ("sweep plot", "sweep plot first --out plots --format pdf"),
    results.report: ("sweep report first",),
    results.export: ("sweep export first --out lenet",),
    results.predict: ("sweep predict digit.png", "sweep predict first digits/*.png"),
    results.dashboard: ("sweep dashboard first --port 0",),
    results.track: (
        "sweep track first --to tensorboard",
        "sweep track first --to mlflow --tracking-uri sqlite:///mlflow.db --follow",
    ),
    setup.data: ("sweep data", "sweep data --dataset ./my-images"),
    setup.preset: ("sweep preset", "sweep preset classic > mine.yaml"),
    setup.validate: ("sweep validate mine.yaml",),
    setup.schema: ("sweep schema > sweep.schema.json",),
    setup.doctor: ("sweep doctor", "sweep doctor --address auto"),
}


for command, examples in _EXAMPLES.items():
    name = command.__name__.rstrip("_")
    # The first line keeps the lines of the examples apart.
    epilog = "\n  ".join([f"\b\nExample{'s' if len(examples) > 1 else ''}:", *examples])
    app.command(name, cls=Command, epilog=epilog)(command)
