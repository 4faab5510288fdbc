"""The command line; `crosscam --help` names the commands."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from operators.records import CrosscamError
from pipeline.cli.control import apply_command, status_command, stop_command
from pipeline.cli.evaluation import app as evaluation_app
from pipeline.cli.identity import erase_command, explain_command, search_command
from pipeline.cli.models import app as models_app
from pipeline.cli.offline import track_command, tune_tracker_command
from pipeline.cli.plan import plan_command
from pipeline.cli.read import export_command, report_command, tail_command
from pipeline.cli.run import demo_command, heat_command, render_command, run_command, snapshot_command
from pipeline.cli.serve import serve_command
from pipeline.cli.signals import install_sigterm
from pipeline.cli.simulate import simulate_command
from pipeline.cli.topology import topology_command
from pipeline.cli.train import app as train_app
from pipeline.cli.tuning import tune_fusion_command
from pipeline.config import ConfigError

app = typer.Typer(
    name="crosscam",
    help="Many cameras in, one set of identities out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("demo")(demo_command)
app.command("run")(run_command)
app.command("serve")(serve_command)
app.command("status")(status_command)
app.command("stop")(stop_command)
app.command("apply")(apply_command)
app.command("plan")(plan_command)
app.command("tail")(tail_command)
app.command("export")(export_command)
app.command("report")(report_command)
app.command("topology")(topology_command)
app.command("explain")(explain_command)
app.command("search")(search_command)
app.command("erase")(erase_command)
app.command("render")(render_command)
app.command("snapshot")(snapshot_command)
app.command("heat")(heat_command)
app.command("track")(track_command)
app.add_typer(evaluation_app, name="eval")
app.add_typer(models_app, name="models")
app.add_typer(train_app, name="train")
app.command("simulate")(simulate_command)
tune = typer.Typer(help="Find parameters from ground truth.", no_args_is_help=True)
tune.command("tracker")(tune_tracker_command)
tune.command("fusion")(tune_fusion_command)
app.add_typer(tune, name="tune")

# What a shell expects: 1 it failed, 2 the call or the configuration is wrong. Ctrl-C gives 130, by Typer.
FAILED, MISUSED = 1, 2


def main() -> None:
    """Run the command line; every error meant for people is printed as its sentence, without a traceback."""
    install_sigterm()
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app(standalone_mode=True)
    except ConfigError as error:
        errors.print(str(error), style="red", markup=False)
        sys.exit(MISUSED)
    except CrosscamError as error:
        errors.print(str(error), style="red", markup=False)
        sys.exit(FAILED)
