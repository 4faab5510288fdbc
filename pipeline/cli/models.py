"""`crosscam models`: what there is, fetch it, bring in your own, see whether it works."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
app = typer.Typer(help="Official models and your own: list, pull, import, export, check.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--to", help="Folder that models are kept in.")]
_DEFAULT_FOLDER = Path("models")


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Everything that is known of each, as JSON.")] = False,
) -> None:
    """The official models that are known here: published figures, size, licence, address, checksum."""
    from pipeline.catalogue import CATALOGUE

    if as_json:
        typer.echo(json.dumps({name: {**asdict(m), "address": m.address} for name, m in CATALOGUE.items()}, indent=1))
        return
    table = Table()
    for column in ("model", "task", "published figures", "MB", "licence", "address"):
        table.add_column(column, overflow="fold", justify="right" if column == "MB" else "left")
    table.add_row("default", "detect persons and vehicles", "see its README", "8", "Apache-2.0", "comes along")
    for name, model in CATALOGUE.items():
        size = "?" if model.size is None else str(model.size)
        marked = model.address if model.archive else f"{model.address} *"
        table.add_row(name, model.task, model.figures, size, model.licence, marked)
    console.print(table)
    console.print("* trained weights: export them with PaddleDetection, then crosscam models import; others: pull")
    console.print("?  size not published")
    unknown = sum(model.sha256 is None for model in CATALOGUE.values())
    console.print(
        f"checksums: not published for {unknown} of {len(CATALOGUE)}; the first download's is written down in "
        "checksums.json beside the models, and later ones are held to it"
    )


@app.command("pull")
def pull_command(
    model: Annotated[str, typer.Argument(help="A name of the catalogue, or the address of an archive.")],
    to: Folder = _DEFAULT_FOLDER,
    name: Annotated[str | None, typer.Option(help="Name of its folder.")] = None,
    sha256: Annotated[str | None, typer.Option(help="What the archive has to be.")] = None,
) -> None:
    """Fetch a model and unpack it. Broken off, the same command goes on.

    Of an address that was fetched before, nothing is taken but what came the first time.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from pipeline.catalogue import CATALOGUE
    from pipeline.model_store import Checksums, ModelStoreError, bring_in, download

    known = CATALOGUE.get(model)
    address = model if known is None else known.archive
    if known is None and "://" not in model:
        raise ModelStoreError(f"the catalogue has no model {model!r}: see crosscam models list, or give an address")
    if address is None:
        raise ModelStoreError(
            f"the publishers of {model} offer its weights only ({known.address if known else ''}): export it with "
            "PaddleDetection's export_model.py, then crosscam models import"
        )
    file_name = address.rsplit("/", 1)[-1].partition("?")[0] or "model"
    folder = to / (name or (model if known else file_name.partition(".")[0]))
    if folder.exists():
        raise ModelStoreError(f"{folder} is there already: remove it, or choose another name by --name")
    archive = to / file_name
    checksums = Checksums(to)
    stated, before = sha256 or (known.sha256 if known else None), checksums.of(address)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file_name, total=None)
        found = download(
            address,
            archive,
            sha256=stated or before,
            remedy="" if stated else f"; if its publishers have replaced it, take its line out of {checksums.file}",
            progress=lambda done, whole: progress.update(task, completed=done, total=whole),
        )
    bring_in(archive, folder)
    archive.unlink()
    if before is None:
        checksums.add(address, found)
    held = "as stated" if stated else "as the first time" if before else f"written down in {checksums.file}: see to it"
    console.print(f"{folder}: ready (SHA-256 of the archive {found}, {held})", markup=False)


@app.command("import")
def import_command(
    source: Annotated[Path, typer.Argument(help="An exported model's folder, or a .tar, .tar.gz or .zip of one.")],
    to: Folder = _DEFAULT_FOLDER,
    name: Annotated[str | None, typer.Option(help="Name of its folder.")] = None,
) -> None:
    """Bring in a model of your own, and look whether it can be read."""
    from operators.exported_model import find_configuration, read_configuration
    from pipeline.model_store import bring_in

    folder = bring_in(source, to / (name or source.name.partition(".")[0]))
    configuration = find_configuration(folder)
    if configuration is None:
        told = "it has no infer_cfg.yml, so classes and preprocessing must be known for its family"
    else:
        known = read_configuration(configuration)
        told = f"{known.architecture or 'unknown architecture'}, {len(known.labels) or 'no'} class names"
    console.print(f"{folder}: {told}", markup=False)


@app.command("export")
def export_command(
    source: Annotated[
        Path,
        typer.Argument(help="A folder of crosscam train, official weights (.pdparams), or, with --onnx, an export."),
    ],
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder to write; model in a training's, else named after the weights.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="The official model that the weights are of, if their file has another name.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT of the input, if not as published.")] = None,
    classes: Annotated[str | None, typer.Option(help="Names of the classes, between commas.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx beside it, too (needs paddle2onnx).")] = False,
) -> None:
    """Export weights as a folder in PaddleDetection's layout: Paddle Inference's program and infer_cfg.yml."""
    import re

    from operators.exported_model import find_configuration
    from operators.networks.to_onnx import to_onnx
    from pipeline.model_export import Wishes, export_weights
    from pipeline.model_store import ModelStoreError

    pair = re.fullmatch(r"(\d+)x(\d+)", size or "")
    if size is not None and (pair is None or any(int(side) % 32 or not int(side) for side in pair.groups())):
        raise ModelStoreError(f"--size {size}: say WIDTHxHEIGHT, both multiples of 32, such as 640x640")
    if source.is_dir() and find_configuration(source) is not None:
        if not onnx:
            raise ModelStoreError(f"{source} is an export already: with --onnx it is converted")
        folder = source
    else:
        wishes = Wishes(
            like,
            None if pair is None else (int(pair[2]), int(pair[1])),
            None if classes is None else [name.strip() for name in classes.split(",")],
        )
        folder = export_weights(source, to, wishes)
        console.print(f"{folder}: exported", markup=False)
    if onnx:
        console.print(f"{to_onnx(folder)}: written", markup=False)


@app.command("check")
def check_command(
    model: Annotated[str, typer.Argument(help="`default`, or the folder or file of a detector.")],
    picture: Annotated[Path, typer.Argument(help="A picture to try it on.")],
    output: Annotated[Path, typer.Option(help="Picture to write, with the boxes.")] = Path("checked.jpg"),
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Least score of what is drawn.")] = 0.4,
    device: Annotated[str, typer.Option(help="cpu, gpu or gpu:N.")] = "cpu",
    tiles: Annotated[bool, typer.Option(help="Look at large pictures tile by tile, too.")] = False,
) -> None:
    """Run a detector on a picture, draw what it finds, and say how long it takes."""
    import cv2

    from operators.detect import open_detector
    from operators.tiles import TiledDetector
    from pipeline.model_store import ModelStoreError

    image = cv2.imread(str(picture))
    if image is None:
        raise ModelStoreError(f"{picture} cannot be read as a picture")
    exported = open_detector(model, device=device, score_threshold=threshold)
    detector = TiledDetector(exported) if tiles else exported
    detector.detect([image])  # the first picture pays for what later ones do not
    start = time.perf_counter()
    (found,) = detector.detect([image])
    took = time.perf_counter() - start
    table = Table()
    for column in ("class", "score", "x1", "y1", "x2", "y2"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for box, score, number in zip(found.boxes, found.scores, found.classes, strict=True):
        label = f"{detector.classes[number]} {score:.2f}"
        table.add_row(detector.classes[number], f"{score:.2f}", *(f"{side:.0f}" for side in box))
        x1, y1, x2, y2 = (round(float(side)) for side in box)
        cv2.rectangle(image, (x1, y1), (x2, y2), (60, 200, 80), 2)
        cv2.putText(image, label, (x1, max(y1 - 4, 10)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 200, 80), 1, cv2.LINE_AA)
    try:
        written = cv2.imwrite(str(output), image)
    except cv2.error:
        written = False
    if not written:
        raise ModelStoreError(f"{output} cannot be written: choose a .jpg or .png in a folder that exists")
    console.print(table)
    looks = "" if found.embeddings is None else f", embeddings of {found.embeddings.shape[1]}"
    console.print(f"{output}: {len(found)} objects{looks}, {took * 1000:.0f} ms", markup=False)


@app.command("serve")
def serve_command(
    detector: Annotated[
        list[str] | None, typer.Option(help="NAME=MODEL, or a model alone; may be repeated. MODEL: default, or a path.")
    ] = None,
    embedder: Annotated[list[str] | None, typer.Option(help="The same of embedders.")] = None,
    host: Annotated[str, typer.Option(help="Address to bind; others than loopback need CROSSCAM_TOKEN.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    replicas: Annotated[int, typer.Option(min=1, help="Of each model, at most.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Pictures that go through a network together, at most.")] = 8,
    device: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU a replica.")] = 0.0,
    ray_address: Annotated[
        str | None, typer.Option(help="The cluster to run on; a Ray of its own if not given.")
    ] = None,
) -> None:
    """Put models behind an address, on Ray Serve: pictures in, boxes or embeddings out. Ctrl-C ends it."""
    import os

    from pipeline.cli.serve import TOKEN
    from pipeline.serve.guard import check_bind, is_loopback
    from pipeline.serve.models import Served
    from pipeline.serve.on_ray import serve_models

    token = os.environ.get(TOKEN) or None
    check_bind(host, token)
    usual = {"device": device, "gpus": gpus, "most": replicas, "batch": batch}
    served = [
        Served(name=name, kind=kind, model=model, **usual)  # type: ignore[arg-type]
        for kind, some in (("detect", detector), ("embed", embedder))
        for name, model in map(_named, some or ())
    ]
    if not served:
        served = [Served("people", "detect", **usual), Served("looks", "embed", **usual)]  # type: ignore[arg-type]
    serve_models(served, host, port, console, token=token, local=is_loopback(host), ray_address=ray_address)


def _named(text: str) -> tuple[str, str]:
    """`NAME=MODEL`, or the model's own name."""
    name, equals, model = text.partition("=")
    return (name, model) if equals else (Path(text).name, text)
