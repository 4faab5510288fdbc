"""`crosscam run` and `crosscam demo`."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.cli.options import Blur, duration
from pipeline.cli.signals import install_sigterm
from pipeline.config import Kafka, Ledger, Site, Sqlite
from pipeline.config_file import load

# What a shell expects of a command that Ctrl-C ended.
INTERRUPTED = 130

console = Console(highlight=False, soft_wrap=True)


class LogFormat(StrEnum):
    """As `log:` in the site's file."""

    TEXT = "text"
    JSON = "json"


def run_command(
    config: Annotated[Path, typer.Argument(help="The site's YAML file.", show_default=False)],
    log_format: Annotated[
        LogFormat | None, typer.Option(help="text, or json: an object a line; as the file says if not given.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Come back once it runs; it goes on by itself.")] = False,
    attach: Annotated[bool, typer.Option("--attach", help="If it runs already, show its progress.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the page and the API beside it, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of --serve.")] = 8080,
) -> None:
    """Run a site until its files end, or for ever with live cameras. Ctrl-C stops it; run again to go on."""
    from pipeline.address import Place
    from pipeline.cli.control import follow_site, run_detached
    from pipeline.cluster import LaunchError
    from pipeline.detached import ask
    from pipeline.launch import already_runs
    from pipeline.running import NotRunningError

    site = load(config)
    place = Place.of(site)
    try:
        if ask(place, "status")["state"] != "failed":
            if not attach:
                raise LaunchError(already_runs(site.site))
            follow_site(place)
            return
    except NotRunningError:
        pass  # as it should be
    if detach and serve:
        raise typer.BadParameter("a detached site is served by `crosscam serve`, from wherever it is wanted")
    if detach:
        run_detached(site, config, None if log_format is None else log_format.value)
        return
    if log_format is not None:
        site = site.model_copy(update={"log": log_format.value})
    if not serve:
        raise typer.Exit(run(site))
    from pipeline.cli.serve import beside

    with beside(config, port) as wait_for_ctrl_c:
        code = run(site)
        if code != INTERRUPTED:
            console.print("The run has ended; it is served until Ctrl-C.")
            wait_for_ctrl_c()
    raise typer.Exit(code)


def demo_command(
    kafka: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of a Kafka broker to write to, instead of a file.", metavar="HOST:PORT"),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the ledger and the pictures.")] = Path("run/demo"),
) -> None:
    """Two bundled cameras in, identities out, with an annotated video and a plan view to look at."""
    from pipeline.cli.output import make_folder, remove_file
    from pipeline.cli.pictures import draw_pictures
    from pipeline.resources import configs

    site = load(configs() / "demo.yaml")
    if kafka is not None:
        # A topic cannot be started afresh like a file can: every demo has a site of its own.
        name = f"{site.site}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        ledger = Ledger(kafka=Kafka(bootstrap_servers=kafka))
    else:
        name = site.site
        path = output / "ledger.sqlite"
        make_folder(output)
        for stale in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            remove_file(stale)
        ledger = Ledger(sqlite=Sqlite(path=path.absolute()))
    site = site.model_copy(update={"site": name, "ledger": ledger})
    code = run(site)
    if code == 0:
        draw_pictures(site, output, console)
        where = f"kafka://{kafka}/{name}" if kafka else str(output / "ledger.sqlite")
        console.print(f"ledger           {where}", markup=False)
    raise typer.Exit(code)


def render_command(
    config: Annotated[Path, typer.Argument(help="The YAML file of a site that was run on recordings.")],
    output: Annotated[Path | None, typer.Option(help="Folder to write to; run/<site> if not given.")] = None,
    camera: Annotated[
        list[str] | None, typer.Option(help="Draw this camera only; may be repeated. All if left out.")
    ] = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT that the video keeps within.")] = "1920x1080",
    blur: Annotated[Blur, typer.Option(help="What is made unrecognisable of everyone tracked.")] = Blur.NONE,
) -> None:
    """Draw a finished run: an annotated mosaic video of all cameras, and the paths on the ground plan.

    Boxes, identities and trails; lines with what they had counted in both directions, zones with who was in them and
    the incidents going on.
    """
    site = load(config)
    known = [one.id for one in site.cameras]
    for name in camera or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r} is no camera of {site.site}; it has {', '.join(known)}")
    within = _size(size)

    from operators.draw import Privacy
    from pipeline.cli.pictures import draw_pictures

    draw_pictures(
        site,
        output or Path("run") / site.site,
        console,
        cameras=camera or (),
        max_size=within,
        privacy=Privacy(blur.value),
    )


def snapshot_command(
    config: Annotated[Path, typer.Argument(help="The YAML file of a site that was run on recordings.")],
    incident: Annotated[
        list[str] | None, typer.Argument(help="Which, as CAMERA/NUMBER; all if left out.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder; run/<site>/incidents if not given.")] = None,
    blur: Annotated[Blur, typer.Option(help="What is made unrecognisable of everyone tracked.")] = Blur.NONE,
) -> None:
    """Write the picture that each incident refers to, a PNG file each."""
    site = load(config)

    from operators.draw import Privacy
    from pipeline.cli.pictures import write_snapshots

    folder = output or Path("run") / site.site / "incidents"
    write_snapshots(site, folder, console, incident or (), privacy=Privacy(blur.value))


def heat_command(
    config: Annotated[Path, typer.Argument(help="The YAML file of a site that has been run.")],
    half_life: Annotated[
        str | None,
        typer.Option(help="What is this much older than the newest counts half, e.g. 10m."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Event time up to which is looked, UTC. To the end if not given.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder; run/<site>/heat if not given.")] = None,
    blur: Annotated[Blur, typer.Option(help="What is made unrecognisable of everyone tracked.")] = Blur.NONE,
) -> None:
    """Draw where everybody was: a heat map and trails, over each camera's picture and on the floor plan."""
    site = load(config)
    half = None if half_life is None else duration(half_life)
    until_ns = None if until is None else round(until.replace(tzinfo=until.tzinfo or UTC).timestamp() * 1e9)

    from operators.draw import Privacy
    from pipeline.cli.pictures import draw_whereabouts

    folder = output or Path("run") / site.site / "heat"
    draw_whereabouts(site, folder, console, half_life_s=half, until_ns=until_ns, privacy=Privacy(blur.value))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,5})[xX](\d{2,5})", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size: write one such as 1920x1080")
    return int(match[1]), int(match[2])


def run(site: Site) -> int:
    """Run the site with progress and print its summary.

    Returns:
        The exit code: 1 where a camera could not be used, 130 if it was stopped.
    """
    from pipeline import logs
    from pipeline.address import AddressError, remember
    from pipeline.assembly import build_reader, build_source
    from pipeline.checks import check
    from pipeline.cli.progress import LogProgress, PlainProgress, RunProgress
    from pipeline.cli.tables import print_summary
    from pipeline.launch import Supervisor
    from pipeline.summary import summarise

    check(site)
    logs.configure(site)
    log = logging.getLogger(__name__)
    as_log = site.log == "json"

    def say(text: str, style: str | None = None, level: int = logging.INFO) -> None:
        if as_log:
            log.log(level, text)
        else:
            console.print(text, style=style, markup=False)

    try:
        remember(site)
    except AddressError as error:
        say(str(error), "yellow", logging.WARNING)
    lengths = {camera.id: build_source(site, camera).length() for camera in site.cameras}
    try:
        shown = LogProgress if as_log else PlainProgress
        with (
            RunProgress(console, lengths) if console.is_terminal and not as_log else shown(console, site.site)
        ) as progress:
            # Ray has a SIGTERM handler of its own, which would end us without a word.
            outcome = Supervisor(site, progress.update, on_connected=install_sigterm).run()
    except KeyboardInterrupt:
        say("Stopped. What was committed stays; the same command goes on from there.", "yellow")
        return INTERRUPTED
    if outcome.stopped:
        say("Stopped, as `crosscam stop` has asked. What was committed stays; the same command goes on from there.")
        return 0
    if outcome.already_complete:
        say(f"The ledger of site {site.site!r} is complete already; remove it to run again from the start.")
    reader = build_reader(site)
    try:
        summary = summarise(reader, (camera.id for camera in site.cameras))
        if as_log:
            log.info("finished", extra={"fields": {"summary": asdict(summary)}})
        else:
            print_summary(console, site.site, summary)
    finally:
        reader.close()
    for camera, reason in sorted(outcome.failures.items()):
        say(f"{camera}: {reason}", "red", logging.ERROR)
    return 1 if outcome.failures else 0
