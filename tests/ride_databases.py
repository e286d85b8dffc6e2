"""The generated databases of bikenode and throttlecove in a test: of which day, how large, and what is in them.

What does not belong here: expectations of any one test, and databases of the other systems.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import psycopg
from psycopg import sql

SYSTEMS = ("bikenode", "throttlecove")
TODAY = dt.date(2026, 3, 31)  # 30 months back is the 30th of September: months of unequal length
MIDNIGHT = dt.datetime(2026, 3, 31, tzinfo=dt.UTC)
SCALE = 0.01

MakeDatabase = Callable[[], str]


def content(dsn: str) -> dict[str, tuple[int, str | None]]:
    """Per table, the number of its rows and one digest over all of them in the order of their text."""
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        tables = [
            row[0]
            for row in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'p') AND NOT relispartition"
            )
        ]
        query = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text COLLATE \"C\")) FROM {} AS t"
        found: dict[str, tuple[int, str | None]] = {}
        for table in sorted(tables):
            row = connection.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone()
            assert row is not None
            found[table] = (row[0], row[1])
        return found
