"""``drivetrain sql``: one name for each table, whichever tier its months are in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pipelines.cli.output import console, counted, errors, show_csv, show_json
from resources.reading import query_tiers
from resources.settings import Settings

#: Rows shown to a person.
SHOWN = 100


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT; tables as system.table, e.g. bikenode.gps_points.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print all rows as a JSON document.")] = False,
) -> None:
    """Query tables over warehouse and lake, in DuckDB's dialect. Reads only.

    Conditions on the time and on the person say which files of the lake are looked into. Hot rows are those of the last
    ingestion. Rows that are wider than the terminal are shown one by one.

    Example: `drivetrain sql "SELECT count(*) FROM bikenode.rides WHERE started_at < '2025-01-01'"`
    """
    settings = Settings.load()
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        answer = query_tiers(settings, query)
    names = answer.rows.column_names
    rows = list(zip(*(column.to_pylist() for column in answer.rows.columns), strict=True))
    if json:
        show_json({"columns": names, "rows": rows})
        return
    if csv:
        show_csv(names, rows)
        return
    _show(names, rows[:SHOWN])
    more = f", {SHOWN} shown (--csv prints all)" if len(rows) > SHOWN else ""
    errors.print(
        f"{counted(len(rows), 'row')}{more}; {answer.files:,} of {counted(answer.all_files, 'file')} of the lake, "
        f"{answer.bytes / 1e6:,.1f} of {answer.all_bytes / 1e6:,.1f} MB",
        style="dim",
    )


def _show(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows below each other; or one by one, each column on its line, where a terminal is too narrow for that.

    Whatever is no terminal takes lines of any length. No value is cut.
    """
    table = Table(box=None, header_style="bold")
    for name in names:
        table.add_column(Text(name), no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    table.width = console.measure(table, options=console.options.update(max_width=sys.maxsize)).maximum
    if table.width <= console.width or not console.is_terminal:
        console.print(table, crop=False)
        return
    for number, row in enumerate(rows, 1):
        record = Table(box=None, show_header=False)
        record.add_column(style="bold", overflow="fold")
        record.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            record.add_row(Text(name), _cell(value))
        console.print(f"row {number}", style="dim")
        console.print(record)


def _cell(value: Any) -> Text:
    return Text("" if value is None else str(value))
