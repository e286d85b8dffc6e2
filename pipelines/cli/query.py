"""``drivetrain sql``: one name for each table, whichever tier its months are in."""

from __future__ import annotations

from typing import Annotated

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
    ingestion. Example: `drivetrain sql "SELECT count(*) FROM bikenode.rides WHERE started_at < '2025-01-01'"`
    """
    settings = Settings.load()
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        answer = query_tiers(settings, query)
    names = answer.rows.column_names
    if json:
        show_json({"columns": names, "rows": [list(row.values()) for row in answer.rows.to_pylist()]})
        return
    rows = [tuple(row.values()) for row in answer.rows.to_pylist()]
    if csv:
        show_csv(names, rows)
        return
    shown = Table(box=None, header_style="bold")
    for name in names:
        shown.add_column(Text(name))
    for row in rows[:SHOWN]:
        shown.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(shown)
    more = f", {SHOWN} shown (--csv prints all)" if len(rows) > SHOWN else ""
    errors.print(
        f"{counted(len(rows), 'row')}{more}; {answer.files:,} of {counted(answer.all_files, 'file')} of the lake, "
        f"{answer.bytes / 1e6:,.1f} of {answer.all_bytes / 1e6:,.1f} MB",
        style="dim",
    )
