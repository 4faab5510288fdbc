"""`crosscam train`: networks from your own labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console(highlight=False, soft_wrap=True)
app = typer.Typer(help="Train networks on your own labels.", no_args_is_help=True)


@app.callback()
def train_command() -> None:
    """One command a kind of network."""


@app.command("reid")
def reid_command(
    configuration: Annotated[Path, typer.Argument(help="YAML file; configs/train/reid.yaml explains every setting.")],
    to: Annotated[Path, typer.Option("--to", help="Folder for checkpoints, log.csv and the model.")] = Path("reid"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
) -> None:
    """Train a network that tells objects apart, and export its best epoch for `embedder: {model: ...}`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from operators.networks.training.reid import train
    from operators.networks.training.retrieval import Retrieval
    from pipeline.training_file import load, read_scenes

    settings = load(configuration)
    data = read_scenes(settings.train, settings.height, settings.width)
    test = read_scenes(settings.test, settings.height, settings.width)
    console.print(f"{len(data.images)} crops of {data.people} identities; tested by {len(test.images)} crops")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("epochs", total=settings.recipe.epochs)

        def show(epoch: int, loss: float, score: Retrieval) -> None:
            bar.update(task, completed=epoch, description=f"loss {loss:.3f}, mAP {score.mean_ap:.3f}")

        best = train(settings.recipe, data, test, to, resume=resume, progress=show)
    console.print(f"mAP {best.mean_ap:.3f}, rank 1 {best.rank1:.3f}, rank 5 {best.rank5:.3f} of {best.queries} queries")
    console.print(f"{to / 'model'}: use it as embedder: {{model: {to / 'model'}}}", markup=False)
