"""Rows of models that name a person still, after they were made anew: histories, and what came from months of the lake.

What does not belong here: which columns of which models name persons (dbt's manifest says it).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from psycopg import sql

from warehouse.postgres.sessions import Connection, translated


@dataclass(frozen=True)
class NamingColumn:
    """A column of a model's table that has keys of persons."""

    schema: str
    table: str
    column: str


def forget_in_models(connection: Connection, columns: Sequence[NamingColumn], persons: Set[str]) -> dict[str, int]:
    """Delete the rows; returns how many, by table that had any.

    Args:
        connection: of the warehouse.
        columns: of one system's models; views, and tables that were never made, are passed over.
        persons: keys, as text.
    """
    gone: dict[str, int] = {}
    for each in columns:
        relation = sql.Identifier(each.schema, each.table)
        with translated(f"{each.schema}.{each.table}"):
            if not _holds_rows(connection, relation):
                continue
            rows = connection.execute(
                sql.SQL("DELETE FROM {} WHERE {}::text = ANY(%s)").format(relation, sql.Identifier(each.column)),
                (sorted(persons),),
            ).rowcount
        if rows:
            name = f"{each.schema}.{each.table}"
            gone[name] = gone.get(name, 0) + rows
    return gone


def _holds_rows(connection: Connection, relation: sql.Identifier) -> bool:
    row = connection.execute(
        "SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = to_regclass(%s)", (relation.as_string(connection),)
    ).fetchone()
    return row is not None and bool(row[0])
