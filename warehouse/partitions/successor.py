"""The partitioned table that takes a plain one's place: made beside it, filled by the split's machinery, swapped in.

What it has under its own names would collide with the original's, so indexes and statistics carry the split's mark
until the swap. Triggers come with the swap: they must not fire for what is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from psycopg import sql

from warehouse.errors import DrivetrainError
from warehouse.partitions import ddl, mirror, swap
from warehouse.partitions.facts import Surroundings
from warehouse.partitions.original import STATISTICS, Identity, Index, Original, read_original
from warehouse.partitions.pieces import Successor
from warehouse.partitions.reading import read_surroundings
from warehouse.partitions.splitting import Splitting, original_of, write_down
from warehouse.postgres.relations import is_filled, is_there
from warehouse.postgres.sessions import Connection

#: Does a piece of work in a transaction, again while it gets no lock.
Attempt = Callable[[Callable[[], None]], None]

_TRIGGER = {"O": "", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}


def make(connection: Connection, splitting: Splitting, columns: mirror.Columns, attempt: Attempt, begun: bool) -> None:
    """All that is needed before the first row is copied, or what of it is not there yet.

    Args:
        connection: a canonical session of a member of the table's owner.
        splitting: the conversion.
        columns: of the table.
        attempt: runs one transaction of it.
        begun: an earlier run was at it.
    """
    successor = splitting.successor
    assert successor is not None
    if not begun:
        attempt(partial(_found, connection, splitting, successor, columns))
    due = _surroundings(connection, splitting)
    for part in successor.parts:
        if not is_there(connection, sql.Identifier(splitting.schema, part.name)):
            attempt(partial(_add, connection, splitting, part.name, part.bound(), due))
    if not swap.at_work(connection, splitting) and not _copied(connection, splitting):
        attempt(partial(mirror.set_up, connection, splitting, columns, due.owner))


def _surroundings(connection: Connection, splitting: Splitting) -> Surroundings:
    """What the successor and its partitions are to have. Who reads through the parent needs no grant on them."""
    found = read_surroundings(connection, splitting.whole.as_string(connection))
    return replace(
        found,
        grants=frozenset(),
        column_grants=frozenset(),
        publications=frozenset(),
        replica_identity="default" if found.replica_identity.startswith("index") else found.replica_identity,
    )


def _copied(connection: Connection, splitting: Splitting) -> bool:
    row = connection.execute(sql.SQL("SELECT position IS NOT NULL FROM {}").format(splitting.state)).fetchone()
    return row is not None and bool(row[0])


def _found(connection: Connection, splitting: Splitting, successor: Successor, columns: mirror.Columns) -> None:
    """The note that it begins, and the successor without its partitions."""
    run, beside = connection.execute, splitting.beside(0)
    original = read(connection, splitting)
    due = _surroundings(connection, splitting)
    write_down(connection, splitting, due.owner, original.fingerprint)
    by, key = sql.SQL("RANGE" if successor.by_range else "HASH"), sql.Identifier(splitting.key_column)
    run(
        sql.SQL("CREATE TABLE {} (LIKE {} " + ddl.LIKE + ") PARTITION BY {} ({})").format(
            beside, splitting.whole, by, key
        )
    )
    run(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})").format(
            beside, sql.Identifier(_index_name(splitting, 0)), sql.SQL(", ").join(map(sql.Identifier, columns.key))
        )
    )
    for number, index in enumerate(_others(original), start=1):
        name = sql.Identifier(_index_name(splitting, number))
        if index.constraint:
            run(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    beside,
                    name,
                    sql.SQL(index.constraint_definition),  # type: ignore[arg-type]
                )
            )
        else:
            kind = sql.SQL("UNIQUE INDEX" if index.unique else "INDEX")
            run(sql.SQL("CREATE {} {} ON {} {}").format(kind, name, beside, sql.SQL(index.tail)))  # type: ignore[arg-type]
        if index.comment:
            made = sql.Identifier(splitting.schema, _index_name(splitting, number))
            run(sql.SQL("COMMENT ON INDEX {} IS {}").format(made, sql.Literal(index.comment)))
    have = read_surroundings(connection, beside.as_string(connection))
    for statement in ddl.give(splitting.schema, f"{splitting.mark}_0", have, due):
        run(statement.sql.encode())
    if successor.by_range:
        _add(connection, splitting, f"{splitting.mark}_rest", sql.SQL("DEFAULT"), due)
    for constraint in original.constraints:
        if constraint.kind == "f":  # last: they lock the tables that they reference
            run(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    beside,
                    sql.Identifier(constraint.name),
                    sql.SQL(constraint.definition),  # type: ignore[arg-type]
                )
            )


def _add(connection: Connection, splitting: Splitting, name: str, bound: sql.Composable, due: Surroundings) -> None:
    """One partition."""
    run, part = connection.execute, sql.Identifier(splitting.schema, name)
    run(sql.SQL("CREATE TABLE {} (LIKE {} " + ddl.LIKE + ")").format(part, splitting.beside(0)))
    have = read_surroundings(connection, part.as_string(connection))
    for statement in (
        *ddl.store(splitting.schema, name, due.storage, due.tablespace),
        *ddl.give(splitting.schema, name, have, due),
    ):
        run(statement.sql.encode())
    run(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(splitting.beside(0), part, bound))


def read(connection: Connection, splitting: Splitting) -> Original:
    """The plain table as it is now."""
    relation = splitting.whole.as_string(connection)
    return read_original(connection, relation, splitting.key_column, list(splitting.triggers))


def unaltered(connection: Connection, splitting: Splitting, original: Original | None = None) -> bool:
    """Whether the plain table is what it was when its conversion began."""
    return (original or read(connection, splitting)).fingerprint == original_of(connection, splitting)


def _others(original: Original) -> list[Index]:
    return [index for index in original.indexes if not index.primary]


def _index_name(splitting: Splitting, number: int) -> str:
    return f"{splitting.mark}_x{number}"


def take_place(connection: Connection, splitting: Splitting, columns: mirror.Columns) -> None:
    """The successor under the original's name, with everything that hung on it, in the caller's transaction.

    Raises:
        DrivetrainError: somebody altered the table since the conversion began.
    """
    run = connection.execute
    original = read(connection, splitting)
    if not unaltered(connection, splitting, original):
        raise DrivetrainError(
            f"{splitting.schema}.{splitting.table} was altered since its conversion began",
            hint="Abandon the conversion (--abandon) and begin again: its successor has what the table had then.",
        )
    due = read_surroundings(connection, splitting.whole.as_string(connection))
    owned = swap.sequences_to(connection, splitting)
    counters = [_counter(connection, splitting, each, of) for each, of in enumerate(original.identities)]
    swap.set_aside(connection, splitting)
    run(sql.SQL("ALTER TABLE {} RENAME TO {}").format(splitting.beside(0), sql.Identifier(splitting.table)))
    primary = original.primary
    assert primary is not None
    for number, index in enumerate([primary, *_others(original)]):
        mine = sql.Identifier(splitting.schema, _index_name(splitting, number))
        run(sql.SQL("ALTER INDEX {} RENAME TO {}").format(mine, sql.Identifier(index.name)))
    _rename_statistics(connection, splitting, original)
    for statement in owned:
        run(statement)
    for identity, (last, called) in zip(original.identities, counters, strict=True):
        _hand_over(connection, splitting, identity, last, called)
    for view in original.views:
        options = sql.SQL("")
        if view.options:
            pairs = [option.partition("=") for option in view.options]
            options = sql.SQL("WITH ({}) ").format(
                sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(sql.Identifier(key), sql.Literal(value)) for key, _, value in pairs
                )
            )
        run(
            sql.SQL("CREATE OR REPLACE VIEW {} {}AS {}").format(
                sql.Identifier(view.schema, view.name),
                options,
                sql.SQL(view.definition),  # type: ignore[arg-type]
            )
        )
    for trigger in original.triggers:
        run(trigger.definition.encode())
        if _TRIGGER[trigger.enabled]:
            mode = sql.SQL(_TRIGGER[trigger.enabled])  # type: ignore[arg-type]
            run(sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(splitting.parent, mode, sql.Identifier(trigger.name)))
    have = read_surroundings(connection, splitting.parent.as_string(connection))
    for statement in (
        *ddl.give(splitting.schema, splitting.table, have, due),
        *ddl.force(splitting.schema, splitting.table, have, due),
    ):
        run(statement.sql.encode())
    for index in original.indexes:
        if index.replica_identity:
            run(
                sql.SQL("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}").format(
                    splitting.parent, sql.Identifier(index.name)
                )
            )
    if columns.forced and splitting.successor is not None:
        for part in splitting.successor.parts:
            run(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(sql.Identifier(splitting.schema, part.name)))


def _rename_statistics(connection: Connection, splitting: Splitting, original: Original) -> None:
    """LIKE made one for each of the original's, in the same order."""
    mine = connection.execute(STATISTICS, (splitting.parent.as_string(connection),)).fetchall()
    renaming = sql.SQL("ALTER STATISTICS {} RENAME TO {}")
    for number, ((schema, name, _), own) in enumerate(zip(original.statistics, mine, strict=True)):
        aside = sql.Identifier(f"{splitting.mark}_s{number}")
        connection.execute(renaming.format(sql.Identifier(schema, name), aside))
        connection.execute(renaming.format(sql.Identifier(own[0], own[1]), sql.Identifier(name)))


def _counter(connection: Connection, splitting: Splitting, number: int, identity: Identity) -> tuple[int, bool]:
    """Where a sequence stands. Renamed first: from then on nobody draws from it, by name or by its table."""
    aside = f"{splitting.mark}_q{number}"
    connection.execute(
        sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(
            sql.Identifier(identity.schema, identity.sequence), sql.Identifier(aside)
        )
    )
    row = connection.execute(
        sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(identity.schema, aside))
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _hand_over(connection: Connection, splitting: Splitting, identity: Identity, last: int, called: bool) -> None:
    """An identity column cannot keep its sequence: another one of the same name goes on where it stood."""
    run, column = connection.execute, sql.Identifier(identity.column)
    sequence = sql.Identifier(identity.schema, identity.sequence)
    run(sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY").format(splitting.replaced, column))
    run(
        sql.SQL(
            "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY (SEQUENCE NAME {} START {} INCREMENT {}"
            " MINVALUE {} MAXVALUE {} CACHE {} {})"
        ).format(
            splitting.parent,
            column,
            sql.SQL("ALWAYS" if identity.always == "a" else "BY DEFAULT"),
            sequence,
            *map(sql.Literal, (identity.start, identity.increment, identity.least, identity.greatest, identity.cache)),
            sql.SQL("CYCLE" if identity.cycle else "NO CYCLE"),
        )
    )
    run("SELECT setval(%s::regclass, %s, %s)", (sequence.as_string(connection), last, called))
    for statement in ddl.grant_sequence(identity.schema, identity.sequence, identity.grants):
        run(statement.sql.encode())


def settle(connection: Connection, splitting: Splitting) -> None:
    """Drop the default partition if nobody needed it; else it stays, to be split into periods as any other."""
    rest = sql.Identifier(splitting.schema, f"{splitting.mark}_rest")
    if not is_there(connection, rest):
        return
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(splitting.parent))
    if is_filled(connection, rest):
        name = f"{splitting.table}_default"
        if len(name.encode()) > ddl.NAME_BYTES or is_there(connection, sql.Identifier(splitting.schema, name)):
            name = f"{splitting.mark}_default"
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(rest, sql.Identifier(name)))
    else:
        connection.execute(sql.SQL("DROP TABLE {}").format(rest))
