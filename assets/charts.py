"""Pictures of a mart over time, drawn after a refresh.

A mart declares them in its YAML: ``meta: {chart: {<title>: {by: <column of dates or moments>, show: <SQL, one number>,
last: <how many of the newest>}}}``.

What does not belong here: numbers over refreshes, which Dagster draws itself (``shown``).
"""

import base64
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import dagster as dg
from psycopg import sql

from warehouse.postgres.sessions import Connection

#: Inches, and dots in one: legible in the UI's side panel, a dozen kilobytes in the event log.
_SIZE, _DPI = (7.2, 2.2), 80

Point: TypeAlias = tuple[dt.date, float | None]  # a moment is a date too


def charts(
    connection: Connection, relation: sql.Identifier, declared: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The declared charts of a mart as Markdown metadata, by title; one without points is left out.

    Args:
        connection: a session of the warehouse.
        relation: the mart.
        declared: ``meta.chart`` of the mart.

    Raises:
        psycopg.Error: an expression is not what the mart can answer.
    """
    found: dict[str, Any] = {}
    for title, chart in declared.items():
        # The expressions are the project's own.
        query = sql.SQL(
            "SELECT * FROM (SELECT {by}, ({show})::double precision FROM {relation}"
            " GROUP BY 1 ORDER BY 1 DESC LIMIT {last}) AS newest ORDER BY 1"
        ).format(
            by=sql.Identifier(chart["by"]),
            show=sql.SQL(chart["show"]),
            relation=relation,
            last=sql.Literal(chart["last"]),
        )
        points = connection.execute(query).fetchall()
        if points:
            picture = base64.b64encode(png(title, points)).decode()
            found[title] = dg.MetadataValue.md(f"![{title}](data:image/png;base64,{picture})")
    return found


def png(title: str, points: Sequence[Point]) -> bytes:
    """A bar for each point, as wide as the shortest time between two: a period without a row shows as a gap."""
    # Not at the top: a run that shows no chart does without a second of imports.
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes: Any = figure.subplots()
    known = [(moment, value) for moment, value in points if value is not None]
    period = min((after[0] - before[0] for before, after in pairwise(points)), default=dt.timedelta(days=1))
    axes.bar([moment for moment, _ in known], [value for _, value in known], width=period, align="edge")
    axes.set_title(title, fontsize=9, loc="left")
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
