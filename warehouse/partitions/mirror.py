"""SQL of a split: the pieces beside a partition, the trigger that mirrors changes, batches, comparison, mending."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from warehouse.partitions import ddl
from warehouse.partitions.facts import Surroundings
from warehouse.partitions.reading import read_surroundings
from warehouse.partitions.splitting import Splitting
from warehouse.postgres.sessions import Connection

_COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attgenerated = '',
       (SELECT k.place FROM pg_index AS i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
         WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.attnum = a.attnum AND k.place <= i.indnkeyatts)
  FROM pg_attribute AS a
 WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""

_FOREIGN_KEYS = """
SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = %s::regclass AND contype = 'f' ORDER BY conname
"""

#: Constraints that old rows may break, or that ON CONFLICT cannot use.
_UNFIT = """
SELECT conname::text, 'not validated: VALIDATE CONSTRAINT it' FROM pg_constraint
 WHERE conrelid = %s::regclass AND contype IN ('c', 'f') AND NOT convalidated
UNION ALL
SELECT conname::text, 'deferrable, which ON CONFLICT cannot use' FROM pg_constraint
 WHERE conrelid = %s::regclass AND contype = 'p' AND condeferrable
"""

_SENDS_ALL = """
SELECT p.pubname::text FROM pg_publication AS p
 WHERE p.puballtables AND EXISTS (
       SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database())
"""

#: From PostgreSQL 15 on.
_SENDS_SCHEMA = """
SELECT p.pubname::text FROM pg_publication AS p
  JOIN pg_publication_namespace AS l ON l.pnpubid = p.oid
  JOIN pg_namespace AS n ON n.oid = l.pnnspid
 WHERE n.nspname = %(schema)s AND EXISTS (
       SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database())
"""


@dataclass(frozen=True)
class Columns:
    """Columns of the partition.

    Attributes:
        stored: those that are written; generated ones are computed again.
        key: of the primary key, in its order.
        types: of the key's columns, as PostgreSQL spells them.
        forced: row-level security holds for the owner too.
    """

    stored: tuple[str, ...]
    key: tuple[str, ...]
    types: tuple[str, ...]
    forced: bool = False


def read_columns(connection: Connection, schema: str, table: str, key_column: str) -> Columns:
    """Columns of a table; the one that it is partitioned by, or will be, ends the key if it is not in it yet."""
    relation = sql.Identifier(schema, table).as_string(connection)
    rows = connection.execute(_COLUMNS, (relation,)).fetchall()
    key = sorted((row for row in rows if row[3] is not None), key=lambda row: row[3])
    if key and not any(row[0] == key_column for row in key):
        key += [row for row in rows if row[0] == key_column]
    forced = connection.execute(
        "SELECT relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", (relation,)
    ).fetchone()
    return Columns(
        stored=tuple(row[0] for row in rows if row[2]),
        key=tuple(row[0] for row in key),
        types=tuple(row[1] for row in key),
        forced=bool(forced and forced[0]),
    )


def snapshots(connection: Connection) -> set[str]:
    """Other sessions' transactions of this database that hold a snapshot now, by virtual id."""
    rows = connection.execute(
        "SELECT l.virtualxid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid"
        " WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND a.backend_xmin IS NOT NULL"
        " AND a.datname = current_database() AND a.pid <> pg_backend_pid()"
    )
    return {row[0] for row in rows}


def sees_all(connection: Connection) -> bool:
    """Whether no row-level security holds for the session's role."""
    row = connection.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()
    return bool(row and row[0])


def _listed(names: Iterable[str], prefix: str = "") -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names)


def _holds(splitting: Splitting, number: int, prefix: str) -> sql.Composable:
    column = sql.SQL("{}.{}").format(sql.SQL(prefix), sql.Identifier(splitting.key_column))  # type: ignore[arg-type]
    return splitting.pieces[number].holds(splitting.parent, column)


def _same_key(columns: Columns, one: str, other: str) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(
            sql.SQL("{}.{}").format(sql.SQL(one), sql.Identifier(name)),  # type: ignore[arg-type]
            sql.SQL("{}.{}").format(sql.SQL(other), sql.Identifier(name)),  # type: ignore[arg-type]
        )
        for name in columns.key
    )


def obstacles(connection: Connection, splitting: Splitting, columns: Columns) -> list[str]:
    """Why its rows cannot be mirrored into copies without an error of some writer."""
    whole = splitting.whole.as_string(connection)
    found = [f"its constraint {name} is {what}" for name, what in connection.execute(_UNFIT, (whole, whole))]
    if not columns.key:
        found.append("it has no primary key: its rows cannot be told apart")
    if columns.forced and not sees_all(connection):
        found.append(
            "row-level security is forced on its owner too, and who copies must see every row: give the maintaining "
            "role BYPASSRLS for the time of it"
        )
    by_schema = connection.info.server_version >= 150000
    query = f"{_SENDS_ALL} UNION {_SENDS_SCHEMA}" if by_schema else _SENDS_ALL
    for (publication,) in connection.execute(query.encode(), {"schema": splitting.schema}):
        found.append(
            f"the publication {publication} sends every table, the copies too, and there is a replication slot: "
            "publish tables by name for the time of it"
        )
    return found


def make_pieces(connection: Connection, splitting: Splitting) -> None:
    """Tables beside the partition, like it in all but rows, in the caller's transaction."""
    run = connection.execute
    relation = splitting.whole.as_string(connection)
    due = read_surroundings(connection, relation)
    for number, _ in enumerate(splitting.pieces):
        piece = splitting.beside(number)
        run(sql.SQL("CREATE TABLE {} (LIKE {} " + ddl.LIKE + " INCLUDING INDEXES)").format(piece, splitting.whole))
        for constraint, definition in run(_FOREIGN_KEYS, (relation,)).fetchall():
            run(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    piece, sql.Identifier(constraint), sql.SQL(definition)
                )
            )
        have: Surroundings = read_surroundings(connection, piece.as_string(connection))
        own = f"{splitting.mark}_{number}"
        for statement in (
            *ddl.store(splitting.schema, own, due.storage, due.tablespace),
            *ddl.give(splitting.schema, own, have, due),
        ):
            run(statement.sql.encode())


def set_up(connection: Connection, splitting: Splitting, columns: Columns, owner: str) -> None:
    """Let every change be mirrored from now on; last in the caller's transaction."""
    run, function, whole = connection.execute, splitting.function, splitting.whole
    run(_function(splitting, columns, function))
    run(sql.SQL("ALTER FUNCTION {}() OWNER TO {}").format(function, sql.Identifier(owner)))
    run(sql.SQL("REVOKE ALL ON FUNCTION {}() FROM PUBLIC").format(function))
    # SHARE ROW EXCLUSIVE: waits for writers under way, so that all later ones are mirrored.
    each, emptied = map(sql.Identifier, splitting.triggers)
    run(
        sql.SQL("CREATE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()").format(
            each, whole, function
        )
    )
    run(
        sql.SQL("CREATE TRIGGER {} AFTER TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}()").format(
            emptied, whole, function
        )
    )
    for trigger in (each, emptied):  # for changes that replication applies too
        run(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(whole, trigger))


def _function(splitting: Splitting, columns: Columns, function: sql.Identifier) -> sql.Composed:
    """A change of the partition, made to the piece that the row belongs to, as the owner of both."""
    inserts, deletes, emptyings = list[sql.Composable](), list[sql.Composable](), list[sql.Composable]()
    updates = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns.stored)
    for number, _ in enumerate(splitting.pieces):
        piece = splitting.beside(number)
        inserts.append(
            sql.SQL(
                "IF {holds} THEN INSERT INTO {piece} ({columns}) VALUES ({values})"
                " ON CONFLICT ({key}) DO UPDATE SET {updates}; RETURN NULL; END IF;"
            ).format(
                holds=_holds(splitting, number, "NEW"),
                piece=piece,
                columns=_listed(columns.stored),
                values=_listed_of("NEW", columns.stored),
                key=_listed(columns.key),
                updates=updates,
            )
        )
        deletes.append(
            sql.SQL("IF {} THEN DELETE FROM {} AS piece WHERE {}; END IF;").format(
                _holds(splitting, number, "OLD"), piece, _same_key(columns, "piece", "OLD")
            )
        )
        emptyings.append(sql.SQL("TRUNCATE {};").format(piece))
    body = sql.SQL(
        "BEGIN"
        " IF TG_OP = 'TRUNCATE' THEN {emptyings} RETURN NULL; END IF;"
        " IF TG_OP IN ('UPDATE', 'DELETE') THEN {deletes} END IF;"
        " IF TG_OP = 'DELETE' THEN RETURN NULL; END IF;"
        " {inserts}"
        " RAISE EXCEPTION 'no piece takes the row';"
        " END"
    ).format(
        emptyings=sql.SQL(" ").join(emptyings),
        deletes=sql.SQL(" ").join(deletes),
        inserts=sql.SQL(" ").join(inserts),
    )
    return sql.SQL(
        "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS {}"
    ).format(function, sql.Literal(body.as_string(None)))


def _listed_of(prefix: str, names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{}.{}").format(sql.SQL(prefix), sql.Identifier(name))  # type: ignore[arg-type]
        for name in names
    )


def copy_batch(connection: Connection, splitting: Splitting, columns: Columns, size: int) -> int:
    """Copy the next rows in order of the key; how many there were. What the mirror brought already is newer, and stays.

    The rows are locked against writers until the caller's transaction ends: what is copied is what is there.
    """
    state = splitting.state
    row = connection.execute(sql.SQL("SELECT position FROM {}").format(state)).fetchone()
    position: list[str] | None = row[0] if row else None
    after = sql.SQL("true")
    if position is not None:
        after = sql.SQL("({}) > ({})").format(
            _listed(columns.key),
            sql.SQL(", ").join(
                sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))  # type: ignore[arg-type]
                for value, kind in zip(position, columns.types, strict=True)
            ),
        )
    copies = [
        sql.SQL("{name} AS (INSERT INTO {piece} ({columns}) SELECT {columns} FROM batch WHERE {holds}"
                " ON CONFLICT DO NOTHING)").format(
            name=sql.Identifier(f"into_{number}"),
            piece=splitting.beside(number),
            columns=_listed(columns.stored),
            holds=_holds(splitting, number, "batch"),
        )
        for number, _ in enumerate(splitting.pieces)
    ]  # fmt: skip
    query = sql.SQL(
        "WITH batch AS MATERIALIZED (SELECT * FROM ONLY {whole} WHERE {after} ORDER BY {key} LIMIT {size}"
        " FOR NO KEY UPDATE), {copies},"
        " furthest AS (SELECT ARRAY[{texts}] AS position FROM batch ORDER BY {descending} LIMIT 1),"
        " moved AS (UPDATE {state} SET position = (SELECT f.position FROM furthest AS f)"
        " WHERE EXISTS (SELECT FROM furthest))"
        " SELECT count(*) FROM batch"
    ).format(
        whole=splitting.whole,
        after=after,
        key=_listed(columns.key),
        size=sql.Literal(size),
        copies=sql.SQL(", ").join(copies),
        texts=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns.key),
        descending=sql.SQL(", ").join(sql.SQL("{} DESC").format(sql.Identifier(name)) for name in columns.key),
        state=state,
    )
    found = connection.execute(query).fetchone()
    return int(found[0]) if found else 0


def _content(relation: sql.Composable, columns: Columns) -> sql.Composed:
    """Number of rows, and a sum over all of them that does not depend on their order."""
    return sql.SQL(
        "SELECT count(*) AS rows, coalesce(sum(hashtextextended(row({})::text, 0)::numeric), 0) AS digest FROM {}"
    ).format(_listed(columns.stored), relation)


def equal(connection: Connection, splitting: Splitting, columns: Columns) -> bool:
    """Whether the pieces together are the partition, by count and fingerprint in one snapshot."""
    pieces = sql.SQL(" UNION ALL ").join(
        _content(splitting.beside(number), columns) for number, _ in enumerate(splitting.pieces)
    )
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        whole = connection.execute(_content(splitting.whole, columns)).fetchone()
        parts = connection.execute(
            sql.SQL("SELECT coalesce(sum(rows), 0), coalesce(sum(digest), 0) FROM ({}) AS pieces").format(pieces)
        ).fetchone()
    return whole == parts


def mend(connection: Connection, splitting: Splitting, columns: Columns, number: int) -> int:
    """Make a piece equal where it differs, in the caller's transaction; how many rows were wrong.

    A writer of REPEATABLE READ does not see a row that was copied after its snapshot, so its mirror misses it.
    """
    piece = splitting.beside(number)
    wrong = connection.execute(
        sql.SQL("DELETE FROM {} AS piece WHERE NOT EXISTS (SELECT FROM ONLY {} AS whole WHERE {})").format(
            piece, splitting.whole, _same_key(columns, "piece", "whole")
        )
    ).rowcount
    wrong += connection.execute(
        sql.SQL(
            "WITH missing AS MATERIALIZED (SELECT whole.* FROM ONLY {whole} AS whole WHERE {holds}"
            " AND NOT EXISTS (SELECT FROM {piece} AS piece WHERE {same}"
            " AND row({ours})::text = row({theirs})::text) FOR NO KEY UPDATE OF whole)"
            " INSERT INTO {piece} ({columns}) SELECT {columns} FROM missing"
            " ON CONFLICT ({key}) DO UPDATE SET {updates}"
        ).format(
            whole=splitting.whole,
            holds=_holds(splitting, number, "whole"),
            piece=piece,
            same=_same_key(columns, "piece", "whole"),
            ours=_listed_of("piece", columns.stored),
            theirs=_listed_of("whole", columns.stored),
            columns=_listed(columns.stored),
            key=_listed(columns.key),
            updates=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns.stored
            ),
        )
    ).rowcount
    return wrong


def bind(connection: Connection, splitting: Splitting, number: int) -> None:
    """Constrain a piece to its own rows, yet to be validated; in the caller's transaction."""
    piece, name = splitting.beside(number), sql.Identifier(f"{splitting.mark}_bound")
    column = sql.Identifier(splitting.key_column)
    connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(piece, name))
    connection.execute(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
            piece, name, splitting.pieces[number].holds(splitting.parent, column)
        )
    )
