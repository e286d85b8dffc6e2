"""Rows that are about a person, as a condition that an index can serve.

What does not belong here: which values lead to a person (``warehouse.erasure.scope``).
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from psycopg import sql


def rows_about(types: Mapping[str, str], values: Mapping[str, Set[str]]) -> sql.Composed:
    """Rows in which a column has one of some values; false without any.

    Args:
        types: of the columns, as ``format_type()`` spells them.
        values: by column, as the server prints them.
    """
    parts = [
        sql.SQL("{} = ANY({}::text[]::{}[])").format(
            sql.Identifier(column),
            sql.Literal(sorted(wanted)),
            sql.SQL(types[column]),  # type: ignore[arg-type]  # format_type() output
        )
        for column, wanted in sorted(values.items())
        if wanted
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(parts)) if parts else sql.SQL("false").format()
