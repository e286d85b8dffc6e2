"""How fresh the raw tables are: what ingestion noted of each when it last compared it with its source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.postgres.sessions import Connection

_TABLES = """
SELECT declared.name, coalesce(content.rows, 0), coalesce(content.differs, false), agreed.source_as_of
  FROM unnest(%(tables)s::text[]) AS declared (name)
  LEFT JOIN (SELECT table_name, sum(rows)::bigint AS rows, bool_or(agrees IS FALSE) AS differs
               FROM platform.raw_content WHERE system = %(system)s GROUP BY table_name) AS content
         ON content.table_name = declared.name
  LEFT JOIN LATERAL (SELECT source_as_of FROM platform.reconciliation
                      WHERE system = %(system)s AND table_name = declared.name AND agrees
                      ORDER BY id DESC LIMIT 1) AS agreed ON true
 ORDER BY declared.name
"""


@dataclass(frozen=True)
class Freshness:
    """One raw table.

    Attributes:
        rows: of it, in the warehouse and in the lake.
        differs: a part of it differed from the source when it was last compared.
        as_of: the source's moment at the last comparison that agreed; None if there was none.
    """

    table: str
    rows: int
    differs: bool
    as_of: dt.datetime | None


def read_freshness(connection: Connection, system: str, tables: Sequence[str]) -> list[Freshness]:
    """What is known of each declared table, by name."""
    return [
        Freshness(*row) for row in connection.execute(_TABLES, {"system": system, "tables": list(tables)}).fetchall()
    ]
