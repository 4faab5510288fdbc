"""`crosscam plan`: what a site will need, and whether it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.config_file import load

if TYPE_CHECKING:
    from pipeline.plan import SitePlan

_WAYS = ("from_source", "to_fusion", "to_ledger")

console = Console(highlight=False, soft_wrap=True)


def plan_command(
    config: Annotated[Path, typer.Argument(help="The site's YAML file.", show_default=False)],
    people: Annotated[int, typer.Option(min=1, max=1000, help="In each picture at a time.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Tell what workers, CPUs, GPUs, memory and bytes a second a site will need, as measured on this machine.

    Exits with 1 where this machine, or the cluster at `ray_address`, has not the room for it.
    """
    from pipeline.checks import check
    from pipeline.plan import plan, the_cluster, this_machine

    site = load(config)
    check(site)
    there = this_machine() if site.ray_address is None else the_cluster(site)
    planned = plan(site, there, Path.home() / ".cache" / "crosscam" / "plan", people=people)
    if as_json:
        typer.echo(json.dumps(planned.as_json()))
    else:
        _show(planned)
    raise typer.Exit(1 if planned.lacks else 0)


def _show(planned: SitePlan) -> None:
    table = Table(box=None, pad_edge=False)
    operators = ["decode", "detect", "embed", "track"]
    operators += ["describe"] * any(camera.costs.describe for camera in planned.cameras)
    on_gpu = planned.gpus > 0
    names = ("camera", "picture", "fps", *operators, "cores", *["GPU"] * on_gpu, "comes in", "to fusion", "to ledger")
    for name in names:
        table.add_column(name, justify="left" if name == "camera" else "right")
    for camera in planned.cameras:
        costs = camera.costs
        shown = "boxes" if camera.size is None else f"{camera.size[0]}x{camera.size[1]}"
        table.add_row(
            camera.camera,
            shown + "*" * any("x" in what for what in camera.assumed),
            f"{camera.rate_hz:g}" + "*" * any("second" in what for what in camera.assumed),
            *(f"{1000 * getattr(costs, operator):.2f} ms" for operator in operators),
            f"{camera.cores:.2f}",
            *[_share(camera.gpu)] * on_gpu,
            f"{camera.from_source / 1000:.1f} kB/s",
            f"{camera.to_fusion / 1000:.1f} kB/s",
            f"{camera.to_ledger / 1000:.1f} kB/s",
        )
    console.print(table)
    if any(camera.assumed for camera in planned.cameras):
        console.print("* assumed: the camera has not been looked at; give its `fps` and `crop` to be exact")
    totals = {way: sum(getattr(camera, way) for camera in planned.cameras) / 1000 for way in _WAYS}
    busy = f" ({_share(planned.gpus_busy)} busy)" if on_gpu else ""
    console.print(
        f"{planned.site}: {len(planned.workers)} workers, {planned.cpus:g} CPUs reserved, {planned.cores:.1f} cores "
        f"busy, {planned.gpus:g} GPUs{busy}, {planned.memory / 1e9:.1f} GB of memory, {totals['from_source']:.0f} kB/s "
        f"from cameras, {totals['to_fusion']:.0f} kB/s to fusion, {totals['to_ledger']:.0f} kB/s to the ledger, with "
        f"{planned.people} people in each picture"
    )
    there = planned.there
    console.print(f"there: {there['cpus']:g} CPUs, {there['gpus']:g} GPUs, {there['memory'] / 1e9:.1f} GB of memory")
    for sentence in planned.lacks:
        console.print(sentence, style="yellow", markup=False)
    if not planned.lacks:
        console.print("It fits.")


def _share(of_a_gpu: float | None) -> str:
    return "not known" if of_a_gpu is None else f"{of_a_gpu:.2f}"
