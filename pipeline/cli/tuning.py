"""`crosscam tune fusion`."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)


def tune_fusion_command(
    sites: Annotated[list[Path], typer.Argument(help="YAML files of sites on recordings: files, not live cameras.")],
    ground_truth: Annotated[
        list[Path] | None,
        typer.Option("--gt", help="Folder of <camera>.txt; one a site, in order. truth/ beside the file if left out."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A parameter to tune; may be repeated. All if left out.")
    ] = None,
    evaluations: Annotated[int, typer.Option(min=1, help="About how many settings to try in each search.")] = 200,
    held_out: Annotated[
        bool, typer.Option(help="Also score every site with what the others chose: what to expect of new ones.")
    ] = True,
    output: Annotated[Path | None, typer.Option(help="File to write the `fusion:` of a site's file to.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Find fusion's parameters from recordings with ground truth. Ctrl-C ends the search with the best so far."""
    from mtmct.mot_text import find_ground_truth
    from pipeline.cli.output import OutputError
    from pipeline.config_file import load
    from pipeline.tune_fusion import fragment, read_recording, tune

    truths = ground_truth or [site.parent / "truth" for site in sites]
    if len(truths) != len(sites):
        raise typer.BadParameter(f"there are {len(sites)} sites and {len(truths)} --gt: give one a site")
    loaded = [(load(path), find_ground_truth(truth)) for path, truth in zip(sites, truths, strict=True)]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading")
        recordings = []
        for path, (site, truth) in zip(sites, loaded, strict=True):
            say = partial(_say_batches, progress, task, path)
            recordings.append(read_recording(site, truth, say))
        tuned = tune(
            recordings,
            only=only or (),
            evaluations=evaluations,
            held_out=held_out,
            progress=lambda tried, best: progress.update(
                task, description=f"{tried} settings tried, best IDF1 {best:.2f} (mean of corrected and published)"
            ),
        )
    text = fragment(tuned, [str(path) for path in sites])
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{output}: cannot be written ({error.strerror}); choose another by --output") from None
    if as_json:
        typer.echo(json.dumps(asdict(tuned), indent=1))
        return
    if tuned.interrupted:
        console.print("Stopped early: the best so far.", style="yellow")
    table = Table("", "IDF1", "IDF1 as published")
    rows = {"before": tuned.before, "tuned": tuned.after, "tuned on the others": tuned.held_out}
    for label, scores in rows.items():
        if scores is not None:
            table.add_row(label, f"{scores.corrected:.2f}", f"{scores.published:.2f}")
    console.print(table)
    console.print(text, markup=False, end="")


def _say_batches(progress: Progress, task: TaskID, site: Path, batches: int) -> None:
    progress.update(task, description=f"reading {site}: {batches} batches")
