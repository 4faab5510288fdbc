"""`crosscam explain`, `search` and `erase`: one identity at a time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from operators.records import CrosscamError, Float32
from pipeline.cli.read import LedgerOption, clock_time
from pipeline.config import Site
from pipeline.ledger.base import LedgerReader

console = Console(highlight=False, soft_wrap=True)

IdentityArgument = Annotated[str, typer.Argument(help="Such as plaza-000017.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def explain_command(identity: IdentityArgument, ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """Why an identity is what it is: its way over the cameras, each link's evidence and runner-up, corrections."""
    from pipeline.address import open_reader
    from pipeline.explain import correction, explain, reason

    reader = open_reader(ledger)
    try:
        found = explain(reader, identity)
    finally:
        reader.close()
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=1))
        return
    state = "open" if found.open else "closed"
    if found.current != identity:
        state = "retracted" if found.current is None else f"now {found.current}"
    cameras = len({visit.camera for visit in found.visits})
    lines = [f"{identity}  {found.cls}, {state}, {len(found.visits)} tracks in {cameras} cameras"]
    for visit in found.visits:
        first = "" if visit.first == identity else f", first published as {visit.first}"
        guessed = f", {visit.provisional} tracklets as a guess" if visit.provisional else ""
        lines.append(
            f"{clock_time(visit.start)} to {clock_time(visit.end)[11:]}  {visit.camera}/{visit.track}  "
            f"{visit.points} points{first}{guessed}"
        )
        lines += [f"    {reason(link)}" for link in visit.links]
    for value in found.said:
        lines.append(f"{clock_time(value['time'])}  {correction(value, identity)}")
    for line in lines:
        console.print(line, markup=False)


def search_command(
    identity: Annotated[str | None, typer.Option(help="Who else looks like this identity?")] = None,
    picture: Annotated[Path | None, typer.Option(help="A picture of somebody, cut out: who looks like that?")] = None,
    ledger: LedgerOption = None,
    model: Annotated[
        str | None, typer.Option(help="What embeds the picture; that of the site's YAML file if named by --ledger.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Identities to show.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """The identities that look most like a picture or like another identity, with scores, from a ledger's state."""
    from mtmct.corrections import number_of
    from mtmct.search import search, search_identity
    from mtmct.settings import AppearanceCalibration
    from pipeline.address import find

    if (identity is None) == (picture is None):
        raise typer.BadParameter("give one of --identity and --picture")
    place = find(ledger)
    embedded, calibration = None, AppearanceCalibration()
    if picture is not None:
        embedded, calibrated = _embed(picture, model, place.site)
        calibration = AppearanceCalibration(*calibrated)
    reader = place.reader()
    try:
        state = reader.state()
        site = _site_name(reader)
    finally:
        reader.close()
    if embedded is not None:
        found = search(state, embedded, count, calibration)
    else:
        assert identity is not None
        found = search_identity(state, number_of(identity), count, calibration)
    names = [f"{site}-{one.number:06d}" for one in found]
    if as_json:
        rows = [
            {"identity": name, "cosine": round(one.cosine, 4), "score": round(one.score, 2), "open": one.open}
            for name, one in zip(names, found, strict=True)
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("identity", "cosine", "score", "")
    for name, one in zip(names, found, strict=True):
        table.add_row(name, f"{one.cosine:.3f}", f"{one.score:+.2f}", "" if one.open else "closed")
    console.print(table)
    if not found:
        console.print("Nobody whose looks are kept: the site has no embeddings, or all were closed for too long.")


def erase_command(
    identity: IdentityArgument,
    ledger: LedgerOption = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Also if the site may be running elsewhere; that run stops.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget what an identity looks like, at once and for good, and retract it; also while its site is running."""
    from pipeline.address import find
    from pipeline.erase import erase_identity

    if not yes:
        typer.confirm(f"Erase {identity}? This cannot be undone.", abort=True)
    erased = erase_identity(find(ledger), identity, take_over=take_over)
    where = "by the running site" if erased.running else "in its ledger"
    lines = [
        f"{identity} is erased {where}: embeddings and positions are gone, a `retracted` record takes its "
        f"{erased.tracks} tracks out of exports and of consumers that follow corrections.",
        f"What stays: {erased.records} records in `tracks`, with boxes and times but nothing to recognise anybody by; "
        "a log that others have read is not rewritten. They go with the topic's retention or the ledger's file.",
    ]
    lines += [f"For a while yet: {erased.left}."] if erased.left else []
    for line in lines:
        console.print(line, markup=False)


def _embed(picture: Path, model: str | None, site: Site | None) -> tuple[Float32, tuple[float, float]]:
    import cv2
    import numpy as np

    from operators.crop_quality import WORTHLESS
    from operators.embed import open_embedder
    from pipeline.assembly import model_path

    image = cv2.imread(str(picture))
    if image is None:
        raise CrosscamError(f"{picture}: there is no picture here that can be read; give a JPEG or PNG of one person")
    if site is not None:
        embedder = open_embedder(model_path(site, model or site.embedder.model), threads=site.resources.threads)
    else:
        embedder = open_embedder(model or "default")
    if embedder is None:
        raise CrosscamError("this site has no embedder of its own; name the model that made its embeddings by --model")
    height, width = image.shape[:2]
    vectors, qualities = embedder.embed(image, np.array([[0, 0, width, height]], np.float32))
    if qualities[0] == WORTHLESS:
        raise CrosscamError(f"{picture}: this picture of {width} x {height} pixels shows nothing to recognise")
    given = None if site is None else site.embedder.calibration
    return vectors[0], given or embedder.calibration


def _site_name(reader: LedgerReader) -> str:
    from mtmct.records import IDENTITIES, TRACKS

    for topic in (IDENTITIES, TRACKS):
        for stored in reader.read(topic):
            return str(stored.value["site"])
    return "site"
