"""What surrounds a database's tables: who looks, what belongs to an extension, what holds no rows of its own.

What belongs here: facts that only the contract and the draft ask for. What does not: the tables themselves
(``introspection``).
"""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.postgres.sessions import Connection

Name = tuple[str, str]

_RELATIONS = """
SELECT n.nspname, c.relname, c.relkind::text,
       EXISTS (SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
       c.relkind IN ('r', 'p') AND row_security_active(c.oid),
       c.relkind IN ('r', 'p') AND NOT (
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')),
       c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid)
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, c.relname
"""
_ROWLESS = {"v": "view", "m": "materialised view", "f": "foreign table"}


@dataclass(frozen=True)
class Surroundings:
    """Facts about the database and the role that asks.

    Attributes:
        role: who asks.
        standby: the server is a replica.
        tables: every table of the users' schemas that is no partition.
        of_extensions: tables and views that an extension brought.
        hidden: tables whose row-level security is in force for this role.
        unreadable: tables that this role may not read whole.
        inheriting: tables that inherit from another (not partitions): the parent shows their rows as well.
        rowless: views, materialised views and foreign tables, each with what it is.
    """

    role: str
    standby: bool
    tables: frozenset[Name]
    of_extensions: frozenset[Name]
    hidden: frozenset[Name]
    unreadable: frozenset[Name]
    inheriting: frozenset[Name]
    rowless: tuple[tuple[Name, str], ...]


def read_surroundings(connection: Connection) -> Surroundings:
    """Read them, for all schemas at once."""
    head = connection.execute("SELECT current_user::text, pg_is_in_recovery()").fetchone()
    assert head is not None  # a SELECT without FROM has one row
    tables: set[Name] = set()
    flags: tuple[set[Name], set[Name], set[Name], set[Name]] = (set(), set(), set(), set())
    rowless: list[tuple[Name, str]] = []
    for schema, name, kind, *marks in connection.execute(_RELATIONS):
        for mark, flagged in zip(marks, flags, strict=True):
            if mark:
                flagged.add((schema, name))
        if kind in _ROWLESS:
            rowless.append(((schema, name), _ROWLESS[kind]))
        else:
            tables.add((schema, name))
    of_extensions, hidden, unreadable, inheriting = (frozenset(flagged) for flagged in flags)
    return Surroundings(
        role=head[0],
        standby=head[1],
        tables=frozenset(tables),
        of_extensions=of_extensions,
        hidden=hidden,
        unreadable=unreadable,
        inheriting=inheriting,
        rowless=tuple(rowless),
    )
