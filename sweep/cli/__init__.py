"""The command line: one function a command, thin over what does the work."""

import typer

from sweep.cli import confirm, inspect, models, pictures, resume, run, setup, status

app = typer.Typer(
    name="sweep",
    help="Hyperparameter sweeps over the regularized LeNet-5 on MNIST, with Ray Tune and Optuna.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command("run")(run.run)
app.command("resume")(resume.resume)
app.command("confirm")(confirm.confirm)
app.command("status")(status.status)
app.command("list")(inspect.list_)
app.command("trials")(inspect.trials)
app.command("best")(inspect.best)
app.command("plot")(pictures.plot)
app.command("report")(pictures.report)
app.command("export")(models.export)
app.command("predict")(models.predict)
app.command("dashboard")(models.dashboard)
app.command("data")(setup.data)
app.command("preset")(setup.preset)
app.command("validate")(setup.validate)
app.command("doctor")(setup.doctor)
