"""Pictures of a mart over time, drawn after a refresh.

A mart declares them in its YAML: ``meta: {chart: {<title>: {by: <column of dates or moments>, show: <SQL, one number>,
last: <how many of the newest>}}}``.

What does not belong here: numbers over refreshes, which Dagster draws itself (``shown``).
"""

import base64
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg
from psycopg import sql

from warehouse.postgres.sessions import Connection

#: Inches, and dots in one: legible in the UI's side panel, a dozen kilobytes in the event log.
_SIZE, _DPI = (7.2, 2.2), 80

Point: TypeAlias = tuple[dt.date | dt.datetime, float]


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
    """A line over time, its zero in sight. A figure that is not known (None) interrupts the line."""
    # Not at the top: a run that shows no chart does without a second of imports.
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes: Any = figure.subplots()
    moments, values = zip(*points, strict=True)
    axes.plot(moments, values, linewidth=1.2, marker="." if len(points) < 3 else "")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
