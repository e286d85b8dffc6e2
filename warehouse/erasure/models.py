"""Rows of models that name a person still, after they were made anew: histories, and what came from months of the lake.

What does not belong here: which columns of which models name persons (dbt's manifest says it).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from psycopg import sql

from warehouse.erasure.remnants import sweep
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
        connection: of the warehouse, in autocommit, as who owns the models.
        columns: of one system's models; views, and tables that were never made or lack the column, are passed over.
        persons: keys, as text.
    """
    gone: dict[str, int] = {}
    there: dict[tuple[str, str], None] = {}
    for each in columns:
        relation = sql.Identifier(each.schema, each.table)
        with translated(f"{each.schema}.{each.table}"):
            if not _holds_rows(connection, relation, each.column):
                continue
            there[each.schema, each.table] = None
            rows = connection.execute(
                sql.SQL("DELETE FROM {} WHERE {}::text = ANY(%s)").format(relation, sql.Identifier(each.column)),
                (sorted(persons),),
            ).rowcount
        if rows:
            name = f"{each.schema}.{each.table}"
            gone[name] = gone.get(name, 0) + rows
    sweep(connection, there)  # a refresh may have taken rows out, too, and statistics keep values of theirs
    return gone


def _holds_rows(connection: Connection, relation: sql.Identifier, column: str) -> bool:
    """Whether it is a table, and has the column: a history has some of those that it is made from."""
    row = connection.execute(
        "SELECT c.relkind IN ('r', 'p') FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.oid = to_regclass(%s) AND a.attname = %s AND a.attnum > 0 AND NOT a.attisdropped",
        (relation.as_string(connection), column),
    ).fetchone()
    return row is not None and bool(row[0])
