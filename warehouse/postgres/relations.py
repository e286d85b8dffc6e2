"""Two facts about one relation: whether it is there, and whether it has rows."""

from __future__ import annotations

from psycopg import sql

from warehouse.postgres.sessions import Connection


def is_there(connection: Connection, relation: sql.Identifier) -> bool:
    """Whether there is a relation of the name."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (relation.as_string(connection),)).fetchone()
    return row is not None and bool(row[0])


def is_filled(connection: Connection, relation: sql.Identifier) -> bool:
    """Whether it has a row; looks at no more than one."""
    row = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(relation)).fetchone()
    return row is not None and bool(row[0])
