"""The command line: one thin function per command."""

from collections.abc import Callable
from typing import Annotated

import typer

from sweep.cli import delete, inspect, results, run, setup
from sweep.cli.words import Command, Group

app = typer.Typer(
    name="sweep",
    cls=Group,
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
    """Hyperparameter sweeps over the regularized LeNet-5 on MNIST, with Ray Tune and Optuna."""


_EXAMPLES: dict[Callable[..., None], str] = {
    run.run: "sweep run --preset quick --name first",
    run.resume: "sweep resume first --trials 48",
    run.confirm: "sweep confirm first --seeds 10",
    inspect.status: "sweep status first --follow",
    inspect.list_: "sweep list",
    inspect.trials: "sweep trials first --top 10",
    inspect.best: "sweep best first --json",
    inspect.compare: "sweep compare first second --out curves.png",
    delete.delete: "sweep delete first",
    results.plot: "sweep plot first --out plots --format pdf",
    results.report: "sweep report first",
    results.export: "sweep export first --out lenet",
    results.predict: "sweep predict first digit.png",
    results.dashboard: "sweep dashboard first --port 0",
    setup.data: "sweep data --data ./mnist",
    setup.preset: "sweep preset classic > mine.yaml",
    setup.validate: "sweep validate mine.yaml",
    setup.schema: "sweep schema > sweep.schema.json",
    setup.doctor: "sweep doctor --address auto",
}
for command, example in _EXAMPLES.items():
    app.command(command.__name__.rstrip("_"), cls=Command, epilog=f"Example: {example}")(command)
