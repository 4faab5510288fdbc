"""The command line: crosscam demo | run | tail | export | render | track | eval | tune."""

from __future__ import annotations

import signal
import sys
from typing import Any

import typer
from rich.console import Console

from operators.records import CrosscamError
from pipeline.cli.offline import eval_command, track_command, tune_tracker_command
from pipeline.cli.read import export_command, tail_command
from pipeline.cli.run import demo_command, render_command, run_command
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
app.command("tail")(tail_command)
app.command("export")(export_command)
app.command("render")(render_command)
app.command("track")(track_command)
app.command("eval")(eval_command)
tune = typer.Typer(help="Find parameters from ground truth.", no_args_is_help=True)
tune.command("tracker")(tune_tracker_command)
app.add_typer(tune, name="tune")

# What a shell expects: 1 it failed, 2 the call or the configuration is wrong, 130 stopped by Ctrl-C.
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run the command line; every error meant for people is printed as its sentence, without a traceback."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app(standalone_mode=True)
    except ConfigError as error:
        errors.print(str(error), style="red", markup=False)
        sys.exit(MISUSED)
    except CrosscamError as error:
        errors.print(str(error), style="red", markup=False)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        errors.print("Stopped. What was committed stays; the same command goes on from there.", style="yellow")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # `crosscam tail tracks | head` closes our output: that is no error, and nothing is left to say.
        sys.stderr.close()
        sys.exit(0)


def _as_interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt
