"""The report as one HTML page: no script, no network, legible on a telephone and on paper."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_STYLE = """:root{color-scheme:light}*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:#1b2126;background:#fff;max-width:64rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.6rem;line-height:1.25;margin:0}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem}
figure{margin:0;min-width:0}figcaption{color:#5c676f;font-size:.9rem}figcaption b{color:#1b2126}
img{display:block;width:100%;height:auto;background:#000;border-radius:4px}svg{display:block;width:100%;height:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.93rem}
td,th{padding:.2rem 1rem .2rem 0;text-align:left;border-bottom:1px solid #dde2e6;white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
details summary{cursor:pointer;color:#2f6f9f;margin:.4rem 0}p.quiet{color:#5c676f;margin:.2rem 0}
i.key{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin:0 .3em 0 .8em}
@media print{details>*{display:block}}"""
_AT_ONCE = 10  # rows in sight; the others are folded away
_ROWS_SHOWN = 200
UP, DOWN = "#2f7fb5", "#d98324"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a name: a CSV file, a Parquet file, and a table on the page.

    Attributes:
        matrix: rows of from, to and a number; on the page, from down the side and to across the top.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    matrix: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over time, of one series or of two, the second downwards.

    Attributes:
        caption: what is counted.
        labels: of the intervals.
        up, down: name and numbers, one an interval; `down` is None for one series.
    """

    caption: str
    labels: Sequence[str]
    up: tuple[str, Sequence[int]]
    down: tuple[str, Sequence[int]] | None = None


def page(
    title: str,
    subtitle: str,
    charts: Mapping[str, Sequence[Chart]],
    pictures: Mapping[str, bytes],
    tables: Sequence[Table],
) -> str:
    """The whole page.

    Args:
        title, subtitle: stand at its top.
        charts: by heading.
        pictures: PNG files by caption.
        tables: those without rows are left out.
    """
    parts = [
        '<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1><p class=quiet>{escape(subtitle)}</p>",
    ]
    for heading, some in charts.items():
        if some:
            parts.append(f"<h2>{escape(heading)}</h2><div class=grid>{''.join(map(_chart, some))}</div>")
    if pictures:
        parts.append("<h2>Where people were</h2><div class=grid>")
        for caption, data in pictures.items():
            source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
            name = escape(caption, quote=True)
            parts.append(
                f'<figure><img alt="heat map of {name}" src="{source}"><figcaption>{name}</figcaption></figure>'
            )
        parts.append("</div>")
    parts += [
        f"<h2>{escape(table.title)}</h2>{_table(_crossed(table) if table.matrix else table)}"
        for table in tables
        if table.rows
    ]
    return "\n".join(parts) + "\n"


def _crossed(table: Table) -> Table:
    firsts, lasts = (sorted({row[i] for row in table.rows}) for i in (0, 1))
    numbers = {(first, last): number for first, last, number in table.rows}
    rows = [(first, *(numbers.get((first, last), 0) for last in lasts)) for first in firsts]
    corner = " \\ ".join(table.columns[:2])
    return Table(table.name, table.title, (corner, *lasts), rows)


def _table(table: Table) -> str:
    number = [all(isinstance(row[i], int | float) for row in table.rows) for i in range(len(table.columns))]

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(
            f"<{tag}{' class=n' if number[i] else ''}>{escape('' if v is None else str(v))}</{tag}>"
            for i, v in enumerate(row)
        )

    def rows(some: Sequence[Sequence[Any]]) -> str:
        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in some)
        return f"<div class=wide><table><tr>{cells('th', table.columns)}</tr>{body}</table></div>"

    if len(table.rows) <= _AT_ONCE + 2:
        return rows(table.rows)
    more = len(table.rows) - _ROWS_SHOWN
    rest = f"<p class=quiet>and {more} more in {table.name}.csv</p>" if more > 0 else ""
    inside = rows(table.rows[_AT_ONCE:_ROWS_SHOWN])
    summary = f"{len(table.rows) - _AT_ONCE} more"
    return f"{rows(table.rows[:_AT_ONCE])}<details><summary>{summary}</summary>{inside}{rest}</details>"


def _chart(chart: Chart) -> str:
    """Bars with the number of each as its title; the highest is written at the left."""
    (up_name, up), down = chart.up, chart.down
    left, width, high = 34, 400, 110
    most_up, most_down = max(up, default=0), max(down[1], default=0) if down else 0
    unit = high / max(most_up + most_down, 1)
    zero, step = 12 + most_up * unit, width / max(len(up), 1)

    def bars(values: Sequence[int], color: str, sign: int, name: str) -> str:
        return "".join(
            f'<rect x="{left + i * step:.2f}" y="{zero - value * unit if sign > 0 else zero:.2f}" '
            f'width="{max(step * 0.8, 0.5):.2f}" height="{value * unit:.2f}" fill="{color}">'
            f"<title>{escape(chart.labels[i])}: {value} {escape(name)}</title></rect>"
            for i, value in enumerate(values)
            if value
        )

    drawn = bars(up, UP, 1, up_name) + (bars(down[1], DOWN, -1, down[0]) if down else "")
    marks = [(12, most_up)] * bool(most_up) + [(zero + most_down * unit, most_down)] * bool(most_down)
    scale = "".join(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>' for y, value in marks)
    foot = 12 + high + 20
    ends = f'<text x="{left}" y="{foot}">{escape(chart.labels[0])}</text>' if chart.labels else ""
    if len(chart.labels) > 1:
        ends += f'<text x="{left + width}" y="{foot}" text-anchor="end">{escape(chart.labels[-1])}</text>'
    axis = f'<line x1="{left}" y1="{zero:.1f}" x2="{left + width}" y2="{zero:.1f}" stroke="#99a"/>'
    series = [(UP, up_name, sum(up))] if down else []
    series += [(DOWN, down[0], sum(down[1]))] if down else []
    keys = "".join(f'<i class=key style="background:{c}"></i>{escape(name)} {total}' for c, name, total in series)
    return (
        f"<figure><figcaption><b>{escape(chart.caption)}</b>{keys}</figcaption>"
        f'<svg viewBox="0 0 {left + width + 6} {foot + 6}" font-size="12" fill="#1b2126" role="img">'
        f"{drawn}{axis}{scale}{ends}</svg></figure>"
    )
