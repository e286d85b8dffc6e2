"""Two facts about relations: whether one is there, and whether they have rows."""

from __future__ import annotations

from collections.abc import Sequence

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


#: So many relations are asked at once: each is locked meanwhile, and the server's table of locks is not large.
_AT_ONCE = 100


def filled(connection: Connection, relations: Sequence[sql.Identifier]) -> list[bool]:
    """Of each relation whether it has a row; looks at no more than one of each, and asks for many at once."""
    found: list[bool] = []
    for start in range(0, len(relations), _AT_ONCE):
        asked = relations[start : start + _AT_ONCE]
        each = sql.SQL(", ").join(sql.SQL("EXISTS (SELECT FROM {})").format(relation) for relation in asked)
        ((answers,),) = connection.execute(sql.SQL("SELECT ARRAY[{}]").format(each)).fetchall()
        found += answers
    return found
