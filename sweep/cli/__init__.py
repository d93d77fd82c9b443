"""The command line: one function per command, a thin layer over what does the work."""

import typer

from sweep.cli import inspect, results, run, setup

app = typer.Typer(
    name="sweep",
    help="Hyperparameter sweeps over the regularized LeNet-5 on MNIST, with Ray Tune and Optuna.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

for command in (
    run.run,
    run.resume,
    run.confirm,
    inspect.status,
    inspect.list_,
    inspect.trials,
    inspect.best,
    results.plot,
    results.report,
    results.export,
    results.predict,
    results.dashboard,
    setup.data,
    setup.preset,
    setup.validate,
    setup.doctor,
):
    app.command(command.__name__.rstrip("_"))(command)
