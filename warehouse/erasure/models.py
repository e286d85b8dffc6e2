"""Rows of models that name a person still, after they were made anew: histories, and what came from months of the lake.

What does not belong here: which columns of which models name persons (dbt's manifest says it).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from psycopg import sql

from warehouse.postgres.relations import is_there
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
        columns: of one system's models; one whose table was never made is passed over.
        persons: keys, as text.
    """
    gone: dict[str, int] = {}
    for each in columns:
        relation = sql.Identifier(each.schema, each.table)
        with translated(f"{each.schema}.{each.table}"):
            if not is_there(connection, relation):
                continue
            rows = connection.execute(
                sql.SQL("DELETE FROM {} WHERE {}::text = ANY(%s)").format(relation, sql.Identifier(each.column)),
                (sorted(persons),),
            ).rowcount
        if rows:
            name = f"{each.schema}.{each.table}"
            gone[name] = gone.get(name, 0) + rows
    return gone
