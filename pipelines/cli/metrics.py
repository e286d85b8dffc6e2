"""``drivetrain metric``: the metrics of the semantic layer, computed."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import psycopg
import typer
from rich.table import Table

from pipelines.cli.output import console, show_csv
from resources.dbt import ensure_manifest
from resources.metrics import metric_sql, metrics
from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.errors import ConfigurationError
from warehouse.postgres.sessions import connect, translated


def metric(
    names: Annotated[
        list[str] | None, typer.Argument(help="Metrics; all are listed with what they are, if none is given.")
    ] = None,
    by: Annotated[list[str] | None, typer.Option(help="rider__city, shop, metric_time__month …; repeatable.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="\\{\\{ Dimension('rider__city') \\}\\} = 'Mumbai'")] = None,
    order: Annotated[list[str] | None, typer.Option(help="A metric or dimension; -name for descending.")] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Compute metrics, each by its one definition (dbt's semantic layer), as CSV.

    It reads what the platform reads: by a person (`--by rider`) it prints true ids, not pseudonyms.
    """
    settings = Settings.load()
    manifest = ensure_manifest(settings)
    if not names:
        table = Table("metric", "what it is", "by, beside quarter and year", box=None, header_style="bold")
        table.columns[0].no_wrap = True
        table.columns[2].overflow = "fold"
        for found in metrics(manifest):
            table.add_row(found.name, found.description, ", ".join(found.by))
        console.print(table)
        return
    query = metric_sql(manifest, names, by or [], where or [], order or by or [])
    if sql:
        console.print(query, markup=False, soft_wrap=True)
        return
    with (
        settings.embedded_servers(),
        connect(open_warehouse(settings, read_only=True), application="drivetrain metric") as connection,
        translated("metrics"),
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION READ ONLY")
        try:
            cursor = connection.execute(query.encode())
        except psycopg.ProgrammingError as error:
            if not where:
                raise
            raise ConfigurationError(
                f"PostgreSQL does not understand the condition: {error.diag.message_primary}",
                hint="Conditions are written like {{ Dimension('rider__city') }} = 'Mumbai'.",
            ) from error
        header = [column.name for column in cursor.description or ()]
        show_csv(header, ([_shown(*cell) for cell in zip(header, row, strict=True)] for row in cursor))


def _shown(column: str, value: object) -> object:
    """A period by its first day, which MetricFlow gives as a moment."""
    period = column.rpartition("__")[2] in ("day", "week", "month", "quarter", "year")
    return value.date() if period and isinstance(value, dt.datetime) else value
