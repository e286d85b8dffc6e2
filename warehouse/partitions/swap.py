"""SQL of a swap: what was split goes aside, the pieces take its place, and what is left over is dropped."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from warehouse.partitions import ddl
from warehouse.partitions.apply import Patience
from warehouse.partitions.mirror import Columns
from warehouse.partitions.pieces import Successor
from warehouse.partitions.splitting import Splitting
from warehouse.postgres.locks import wait_at_most
from warehouse.postgres.relations import is_filled, is_there
from warehouse.postgres.sessions import Connection

_REFERENCED = """
SELECT DISTINCT n.nspname::text, c.relname::text
  FROM pg_constraint AS f JOIN pg_class AS c ON c.oid = f.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.conrelid = %s::regclass AND f.contype = 'f'
   AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') ORDER BY 1, 2
"""

_SEQUENCES = """
SELECT n.nspname::text, s.relname::text, a.attname::text
  FROM pg_depend AS d
  JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_namespace AS n ON n.oid = s.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
   AND d.refobjid = %s::regclass
"""


def at_work(connection: Connection, splitting: Splitting) -> bool:
    """Whether both triggers are there and enabled for all writers."""
    row = connection.execute(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled = 'A' AND tgname = ANY(%s)",
        (splitting.whole.as_string(connection), list(splitting.triggers)),
    ).fetchone()
    return row is not None and row[0] == 2


def lock(connection: Connection, splitting: Splitting, patience: Patience) -> None:
    """Lock the table, and before it all that somebody could make this session wait for: nobody waits for the table
    while this session waits for others.

    Vacuum and ANALYZE hold what was split and the pieces, which writers do not wait for: so they have time to end, or
    for the server (deadlock_timeout) to end them if they are its own. Tables that foreign keys reference are locked by
    attaching too.
    """
    run = connection.execute
    wait_at_most(connection, patience.vacuum_timeout)
    for made in [splitting.whole, *map(splitting.beside, range(len(splitting.pieces)))]:
        run(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(made))
    wait_at_most(connection, patience.lock_timeout)
    for schema, name in run(_REFERENCED, (splitting.whole.as_string(connection),)).fetchall():
        run(sql.SQL("LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(schema, name)))
    run(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(splitting.parent))
    run(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(splitting.whole))


def sequences_to(connection: Connection, splitting: Splitting) -> list[sql.Composed]:
    """Statements by which sequences that the partition's columns own become the parent's, and so outlive it."""
    rows: list[tuple[Any, ...]] = connection.execute(_SEQUENCES, (splitting.whole.as_string(connection),)).fetchall()
    return [
        sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(
            sql.Identifier(schema, name), sql.Identifier(splitting.schema, splitting.table, column)
        )
        for schema, name, column in rows
    ]


def _index_names(connection: Connection, splitting: Splitting, number: int) -> list[sql.Composed]:
    """Statements that give a piece's indexes the names that they would have, had it had its own from the beginning."""
    begun, name = f"{splitting.mark}_{number}", splitting.pieces[number].name
    rows = connection.execute(
        "SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass AND starts_with(c.relname, %s)",
        (splitting.beside(number).as_string(connection), begun),
    ).fetchall()
    found: list[sql.Composed] = []
    for (index,) in rows:
        due = (name + index.removeprefix(begun)).encode()
        taken = is_there(connection, sql.Identifier(splitting.schema, due.decode()))
        if len(due) <= ddl.NAME_BYTES and not taken:  # else the one that it has is as good
            found.append(
                sql.SQL("ALTER INDEX {} RENAME TO {}").format(
                    sql.Identifier(splitting.schema, index), sql.Identifier(due.decode())
                )
            )
    return found


def set_aside(connection: Connection, splitting: Splitting) -> None:
    """Take its names from what was split, in the caller's transaction."""
    indexes = connection.execute(
        "SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass ORDER BY 1",
        (splitting.whole.as_string(connection),),
    ).fetchall()
    for number, (name,) in enumerate(indexes):
        aside = sql.Identifier(f"{splitting.mark}_o{number}")
        connection.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier(splitting.schema, name), aside))
    old = sql.Identifier(f"{splitting.mark}_old")
    connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(splitting.whole, old))


def attach(connection: Connection, splitting: Splitting, columns: Columns) -> None:
    """The pieces in place of the partition, in the caller's transaction, still under the names that they were made by:
    whoever uses the table waits for as little as can be.
    """
    run = connection.execute
    run(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(splitting.parent, splitting.whole))
    for statement in sequences_to(connection, splitting):
        run(statement)
    set_aside(connection, splitting)
    for number, piece in enumerate(splitting.pieces):
        assert not isinstance(piece, Successor)
        made = splitting.beside(number)
        if piece.rest and not is_filled(connection, made):
            continue
        run(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(splitting.parent, made, piece.bound()))
        if columns.forced:
            run(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(made))


def _attached(connection: Connection, relation: sql.Identifier) -> bool:
    row = connection.execute(
        "SELECT relispartition FROM pg_class WHERE oid = %s::regclass", (relation.as_string(connection),)
    ).fetchone()
    return row is not None and bool(row[0])


def settle(connection: Connection, splitting: Splitting, number: int) -> None:
    """A piece that is in place gets its names and loses the constraint that it was attached by, in the caller's
    transaction; nothing, if it has them already. One for the rest that nobody needed is dropped.
    """
    made = splitting.beside(number)
    if not is_there(connection, made):
        return
    run, name = connection.execute, splitting.pieces[number].name
    if not _attached(connection, made):
        run(sql.SQL("DROP TABLE {}").format(made))
        return
    for statement in _index_names(connection, splitting, number):
        run(statement)
    run(sql.SQL("ALTER TABLE {} RENAME TO {}").format(made, sql.Identifier(name)))
    run(
        sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
            sql.Identifier(splitting.schema, name), sql.Identifier(f"{splitting.mark}_bound")
        )
    )


def remove(connection: Connection, splitting: Splitting) -> None:
    """Take away all that a split made, in the caller's transaction; what it splits stays."""
    for trigger in splitting.triggers:
        connection.execute(sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(trigger), splitting.whole))
    connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(splitting.function))
    for number, _ in enumerate(splitting.pieces):
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(splitting.beside(number)))
    connection.execute(sql.SQL("DROP TABLE {}").format(splitting.state))


def clear(connection: Connection, splitting: Splitting) -> None:
    """Drop what was split, after the swap, in the caller's transaction.

    Apart from the swap, because it waits for readers of every table that a foreign key of it references.
    """
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(splitting.replaced))
    connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(splitting.function))
    connection.execute(sql.SQL("DROP TABLE {}").format(splitting.state))
