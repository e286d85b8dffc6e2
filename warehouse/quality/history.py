"""What a table's volume and freshness are judged by: counts and moments, read from the warehouse.

A table kept by month is read by its own event time, the last weeks of it. Of any other table the ledger of loads tells
when rows came and how many: nothing of the table itself is read.

What does not belong here: what is usual (``anomalies``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.postgres.sessions import Connection, translated
from warehouse.quality.anomalies import WEEKS


@dataclass(frozen=True)
class History:
    """A table's last weeks.

    Attributes:
        as_of: moment of the source up to which the table was read; None: never.
        by_day: rows by UTC day.
        moments: at which rows came, ascending, to the hour.
    """

    as_of: dt.datetime | None
    by_day: Mapping[dt.date, int]
    moments: tuple[dt.datetime, ...]


_AS_OF = "SELECT platform.agreed_as_of(%(system)s, %(table)s)"
_BY_EVENT = sql.SQL("""
SELECT date_trunc('hour', {time} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', count(*)
  FROM {table} WHERE {time} >= %(since)s AND {time} <= %(upto)s GROUP BY 1 ORDER BY 1
""")
_BY_LOAD = """
SELECT date_trunc('hour', committed_at), sum(rows_written)::bigint FROM platform.load
 WHERE system = %(system)s AND table_name = %(table)s AND rows_written > 0
   AND committed_at >= %(since)s GROUP BY 1 ORDER BY 1
"""


def read_history(connection: Connection, system: System, name: str) -> History:
    """Read a table's last weeks."""
    policy = system.tables[name]
    with translated(f"{system.system}.{name}"):
        row = connection.execute(_AS_OF, {"system": system.system, "table": name}).fetchone()
        if row is None or row[0] is None:
            return History(None, {}, ())
        as_of = row[0]
        parameters = {
            "system": system.system,
            "table": name,
            "since": as_of - dt.timedelta(weeks=WEEKS, days=2),
            "upto": as_of,
        }
        if policy.ingest.mode == "partition" and policy.time is not None:
            time = sql.Identifier(policy.time)
            # A time without zone, or a date, is of UTC.
            zoned = policy.columns[policy.time].type == "timestamp with time zone"
            query = _BY_EVENT.format(
                time=time if zoned else sql.SQL("(CAST({} AS timestamp) AT TIME ZONE 'UTC')").format(time),
                table=sql.Identifier(system.raw_schema, name),
            )
            found = connection.execute(query, parameters).fetchall()
        else:
            # The first load brings all history at once: it says nothing of a day.
            found = connection.execute(_BY_LOAD, parameters).fetchall()[1:]
    by_day: dict[dt.date, int] = {}
    for moment, rows in found:
        day = moment.astimezone(dt.UTC).date()
        by_day[day] = by_day.get(day, 0) + rows
    return History(as_of, by_day, tuple(moment for moment, _ in found))
