"""``drivetrain metric``: the metrics of the semantic layer, computed."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.output import console, show_csv
from resources.dbt import ensure_manifest
from resources.metrics import metric_names, metric_sql
from resources.settings import Settings
from warehouse.postgres.sessions import connect, translated


def metric(
    names: Annotated[list[str] | None, typer.Argument(help="Metrics; all names, if none is given.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="rider__city, shop, metric_time__month …; repeatable.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="\\{\\{ Dimension('rider__city') \\}\\} = 'Mumbai'")] = None,
    order: Annotated[list[str] | None, typer.Option(help="A metric or dimension; -name for descending.")] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Compute metrics, each by its one definition (dbt's semantic layer), as CSV."""
    settings = Settings.load()
    manifest = ensure_manifest(settings)
    if not names:
        for name in metric_names(manifest):
            console.print(name)
        return
    query = metric_sql(manifest, names, by or [], where or [], order or by or [])
    if sql:
        console.print(query, markup=False, soft_wrap=True)
        return
    with (
        settings.embedded_servers(),
        connect(settings.warehouse(), application="drivetrain metric") as connection,
        translated("metrics"),
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION READ ONLY")
        cursor = connection.execute(query.encode())
        show_csv([column.name for column in cursor.description or ()], cursor.fetchall())
