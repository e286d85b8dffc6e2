"""Rows that are about a person, as a condition that an index can serve, and what those rows have.

What does not belong here: which values lead to a person (``warehouse.erasure.scope``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from warehouse.errors import CatalogMismatch
from warehouse.postgres.sessions import Connection, translated

_WHOLE = {"smallint": 15, "integer": 31, "bigint": 63}
_DIGITS = re.compile(r"-?[0-9]{1,19}")
_TYPES = """
SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""


def rows_about(types: Mapping[str, str], values: Mapping[str, Set[str]]) -> sql.Composed:
    """Rows in which a column has one of some values; false without any.

    Args:
        types: of the columns, as ``format_type()`` spells them.
        values: by column, as the server prints them.

    Raises:
        CatalogMismatch: a value is no number, and the column has numbers. The value is not quoted.
    """
    parts = [
        sql.SQL("{} = ANY({}::text[]::{}[])").format(
            sql.Identifier(column),
            sql.Literal(fitting),
            sql.SQL(types[column]),  # type: ignore[arg-type]  # format_type() output
        )
        for column, wanted in sorted(values.items())
        if (fitting := fitting_values(column, types[column], wanted))
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(parts)) if parts else sql.SQL("false").format()


def fitting_values(column: str, type_name: str, values: Set[str]) -> list[str]:
    """Those of the values that a column of the type can have: a narrower number than the one that the column follows
    has none of what does not fit into it.

    Raises:
        CatalogMismatch: a value is no number, and the column has numbers. The value is not quoted.
    """
    if (bits := _WHOLE.get(type_name)) is None:
        return sorted(values)
    if any(_DIGITS.fullmatch(value) is None for value in values):
        raise CatalogMismatch(
            f"{column}: values that lead to a person are no numbers, and the column is {type_name}",
            hint="Mend subjects: of the table, or the type of the column that they lead to.",
        )
    return sorted(value for value in values if -(1 << bits) <= int(value) < 1 << bits)


def column_types(connection: Connection, relation: sql.Identifier) -> dict[str, str]:
    """Of a relation's columns, as ``format_type()`` spells them; empty, if there is no such relation."""
    return dict(connection.execute(_TYPES, (relation.as_string(connection),)).fetchall())


@dataclass(frozen=True)
class PersonReader:
    """One database that has tables of a system, as far as the way to a person leads through it.

    A table or a column that it has not has no rows: the warehouse may have been given neither yet.

    Attributes:
        connection: a session that sees all rows.
        names: schema and name of each table that it may have.
    """

    connection: Connection
    names: Mapping[str, tuple[str, str]]

    def values(self, table: str, column: str, about: Mapping[str, Set[str]]) -> Set[str]:
        """What a column has, as text, in rows in which one of the columns ``about`` has one of those values."""
        return {row[0] for row in self.rows(table, (column,), about) if row[0] is not None}

    def rows(self, table: str, columns: Sequence[str], about: Mapping[str, Set[str]]) -> set[tuple[str | None, ...]]:
        """The distinct values, as text, that some columns have in such rows."""
        relation = sql.Identifier(*self.names[table])
        with translated(".".join(self.names[table])):
            types = column_types(self.connection, relation)
            known = {name: values for name, values in about.items() if name in types}
            if not known or any(column not in types for column in columns):
                return set()
            found: list[tuple[Any, ...]] = self.connection.execute(
                sql.SQL("SELECT DISTINCT {} FROM {} WHERE {}").format(
                    sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns),
                    relation,
                    rows_about(types, known),
                )
            ).fetchall()
        return set(found)
