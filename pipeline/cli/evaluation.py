"""`crosscam eval`: boxes in files, or whole sites, against ground truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from pipeline.cli.offline import eval_command

if TYPE_CHECKING:  # loads SciPy
    from mtmct.site_evaluation import SiteEvaluation

console = Console(highlight=False, soft_wrap=True)


class FilesUnlessNamed(TyperGroup):
    """`crosscam eval out --gt gt` means `crosscam eval files out --gt gt`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put the name of the usual command in front where none is given."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["files", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=FilesUnlessNamed,
    help="Scores against ground truth: of files (the command may be left out) or of a whole site.",
    no_args_is_help=True,
)
app.command("files")(eval_command)


@app.command("sites")
def sites_command(
    results: Annotated[
        list[str],
        typer.Argument(help="Ledgers (file, folder, site's YAML file, kafka://HOST:PORT/SITE) or folders of MOT text."),
    ],
    ground_truth: Annotated[
        list[Path],
        typer.Option("--gt", help="Folder of <camera>.txt, ids shared by the cameras; once for all, or one a site."),
    ],
    people: Annotated[
        Path | None, typer.Option(help="Ids of the ground truth that are the same person, one person a line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All scores as JSON.")] = False,
) -> None:
    """Who is who over all cameras of a site: right in the end, as it was published, how soon, how often corrected."""
    from mtmct.mot_text import find_ground_truth, find_results, read_people
    from mtmct.site_evaluation import evaluate_boxes, evaluate_site
    from pipeline.address import open_reader
    from pipeline.site_results import read_results

    if len(ground_truth) not in (1, len(results)):
        raise typer.BadParameter(f"there are {len(results)} sites: give --gt once, or {len(results)} times")
    scored: dict[str, SiteEvaluation] = {}
    same = {} if people is None else read_people(people)
    for index, name in enumerate(results):
        truth = find_ground_truth(ground_truth[index % len(ground_truth)])
        truth = {camera: boxes.with_people(same) for camera, boxes in truth.items()}
        if _is_export(Path(name)):
            scored[name] = evaluate_boxes(truth, find_results(Path(name), truth))
            continue
        reader = open_reader(name)
        try:
            scored[name] = evaluate_site(truth, *read_results(reader))
        finally:
            reader.close()
    if as_json:
        typer.echo(json.dumps({name: asdict(each) for name, each in scored.items()}, indent=1))
        return
    table = Table("", *scored)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, cells in _rows(list(scored.values())):
        table.add_row(label, *cells)
    console.print(table)


def _is_export(path: Path) -> bool:
    return path.is_dir() and not (path / "ledger.sqlite").exists() and any(path.glob("*.txt"))


def _rows(scored: list[SiteEvaluation]) -> list[tuple[str, list[str]]]:
    def number(value: float | None, digits: int = 2) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    def published(each: SiteEvaluation, name: str) -> str:
        return "" if each.published is None else number(getattr(each.published, name), 0 if name == "idsw" else 2)

    return [
        ("IDF1", [number(each.corrected.idf1) for each in scored]),
        ("IDF1 as published", [published(each, "idf1") for each in scored]),
        ("HOTA", [number(each.corrected.hota) for each in scored]),
        ("HOTA as published", [published(each, "hota") for each in scored]),
        ("identity switches", [str(each.corrected.idsw) for each in scored]),
        ("identity switches as published", [published(each, "idsw") for each in scored]),
        ("people", [str(each.people) for each in scored]),
        ("identities", [str(each.identities) for each in scored]),
        ("corrections an identity", [number(each.corrections_per_identity) for each in scored]),
        ("visits to a camera", [number(each.visits, 0) for each in scored]),
        ("never under the right identity", [number(each.never_right, 0) for each in scored]),
        ("seconds to the right identity, median", [number(each.seconds_median) for each in scored]),
        ("seconds to the right identity, 90 %", [number(each.seconds_p90) for each in scored]),
        ("provisional, % of points", [number(each.provisional) for each in scored]),
    ]
