"""`crosscam train`: networks from your own labels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from pipeline.cli.training_progress import TrainingProgress

console = Console(highlight=False, soft_wrap=True)
app = typer.Typer(help="Train networks on your own labels.", no_args_is_help=True)

Resume = Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")]
To = Annotated[Path, typer.Option("--to", help="Folder for checkpoints, log.csv, TensorBoard's events and the model.")]
Score = TypeVar("Score")


@app.callback()
def train_command() -> None:
    """One command a kind of network."""
    # Paddle warns of its own ways, by Python's warnings and by its log; errors are still shown.
    warnings.filterwarnings("ignore", module="paddle")
    os.environ.setdefault("GLOG_minloglevel", "2")


@app.command("detector")
def detector_command(
    configuration: Annotated[
        Path, typer.Argument(help="YAML file; configs/train/detector.yaml explains every setting.")
    ],
    to: To = Path("detector"),
    resume: Resume = False,
) -> None:
    """Train a detector, PicoDet or PP-YOLOE, and export its best epoch for `detector: {model: ...}`."""
    from operators.networks.training.detector import train
    from pipeline.detector_training_file import DetectorFile
    from pipeline.training_file import load

    settings = load(configuration, DetectorFile)
    data, test = settings.read(settings.train), settings.read(settings.test)
    console.print(f"{len(data)} pictures, {len(data.boxes)} boxes; tested by {len(test)} pictures")
    best = watched(to, settings.recipe.plan.epochs, partial(train, settings.recipe, data, test, to, resume=resume))
    console.print(f"AP {best.ap:.3f}, AP50 {best.ap50:.3f}, AP75 {best.ap75:.3f}, recall {best.recall:.3f}")
    model = f"{{model: {to / 'model'}, classes: [{', '.join(data.names)}]}}"
    console.print(f"{to / 'model'}: use it as detector: {model}", markup=False)


@app.command("reid")
def reid_command(
    configuration: Annotated[Path, typer.Argument(help="YAML file; configs/train/reid.yaml explains every setting.")],
    to: To = Path("reid"),
    resume: Resume = False,
) -> None:
    """Train a network that tells objects apart, and export its best epoch for `embedder: {model: ...}`."""
    from operators.networks.training.reid import train
    from pipeline.training_file import ReidFile, load

    settings = load(configuration, ReidFile)
    data, test = settings.read(settings.train), settings.read(settings.test)
    console.print(f"{len(data.images)} crops of {data.people} identities; tested by {len(test.images)} crops")
    best = watched(to, settings.recipe.plan.epochs, partial(train, settings.recipe, data, test, to, resume=resume))
    console.print(f"mAP {best.mean_ap:.3f}, rank 1 {best.rank1:.3f}, rank 5 {best.rank5:.3f} of {best.queries} queries")
    console.print(f"{to / 'model'}: use it as embedder: {{model: {to / 'model'}}}", markup=False)


@app.command("fairmot")
def fairmot_command(
    configuration: Annotated[
        Path, typer.Argument(help="YAML file; configs/train/fairmot.yaml explains every setting.")
    ],
    to: To = Path("fairmot"),
    resume: Resume = False,
) -> None:
    """Train a one-shot tracker, FairMOT (MCFairMOT with several classes), and export it for `profile: fairmot`."""
    _one_shot(configuration, to, resume, "fairmot")


@app.command("jde")
def jde_command(
    configuration: Annotated[Path, typer.Argument(help="YAML file; configs/train/jde.yaml explains every setting.")],
    to: To = Path("jde"),
    resume: Resume = False,
) -> None:
    """Train a one-shot tracker, JDE, and export it for `profile: jde`."""
    _one_shot(configuration, to, resume, "jde")


def _one_shot(configuration: Path, to: Path, resume: bool, tracker: str) -> None:
    from operators.networks.training.one_shot import train
    from pipeline.training_file import FairMotFile, JdeFile, load, read_shots

    kind: type[FairMotFile] | type[JdeFile] = FairMotFile if tracker == "fairmot" else JdeFile
    settings: FairMotFile | JdeFile = load(configuration, kind)
    data, test = read_shots(settings, settings.train), read_shots(settings, settings.test)
    people = ", ".join(f"{count} {name}" for name, count in zip(data.classes, data.people, strict=True))
    console.print(f"{len(data.shots)} pictures, identities: {people}; tested by {len(test.shots)} pictures")
    best = watched(to, settings.recipe.plan.epochs, partial(train, settings.recipe, data, test, to, resume=resume))
    console.print(f"AP50 {best.ap50:.3f}, MOTA {best.mota:.3f}, IDF1 {best.idf1:.3f}, {best.switches} switches")
    site = f"{{profile: {tracker}, detector: {{model: {to / 'model'}}}}}"
    if data.classes != ("person",):
        site = f"{{tracker: {{name: {tracker}}}, detector: {{model: {to / 'model'}, classes: {list(data.classes)}}}}}"
    console.print(f"{to / 'model'}: a site's file uses it by {site}", markup=False)


def watched(to: Path, epochs: int, training: Callable[..., Score], errors: Console | None = None) -> Score:
    """Run a training with its progress shown on `errors` (stderr); Ctrl-C and SIGTERM end it with a sentence."""
    with TrainingProgress(errors or Console(stderr=True, highlight=False, soft_wrap=True), epochs) as shown:
        try:
            return training(on_step=shown.step, on_epoch=shown.epoch)
        except KeyboardInterrupt:
            there = (to / "checkpoint.pdparams").is_file()
            kept = f"{to} holds all up to the last whole epoch; --resume goes on" if there else "no epoch was finished"
            shown.say(f"interrupted: {kept}")
            raise typer.Exit(130) from None
