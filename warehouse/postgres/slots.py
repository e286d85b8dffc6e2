"""Logical replication slots and publications of a source: what is there, what is missing, and reading them.

A slot keeps the source's log from its position on: whoever owns one has to read it, or the source's disk fills.

What does not belong here: what messages mean (``pgoutput``), and how far the platform has come (``state.capture``).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from psycopg import errors, sql

from warehouse.errors import Busy, CatalogMismatch, ConfigurationError
from warehouse.postgres.pgoutput import Message, parse
from warehouse.postgres.sessions import Connection

#: The first release whose ``pgoutput`` sends values in the binary format.
OLDEST = 140000
#: How long making a slot waits for transactions that are under way.
_PATIENCE = "60s"
_AT_A_TIME = 5_000


@dataclass(frozen=True)
class LogServer:
    """Whether a server's log can be read.

    Attributes:
        identity: of its cluster and timeline.
        flushed: position up to which its log is on disk.
        problems: what is missing, each with what to do.
    """

    identity: str
    flushed: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class SlotState:
    """A slot as its server has it.

    Attributes:
        confirmed: position that it was told.
        retained: bytes of log that the server keeps for it.
        lost: the server has thrown away what it needs.
    """

    confirmed: int
    retained: int
    lost: bool


def read_log_server(connection: Connection) -> LogServer:
    """What a server is like, asked of a primary or a standby."""
    ((version, level, standby, replication, identity, flushed),) = connection.execute(
        "SELECT current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(),"
        " (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user),"
        " (SELECT system_identifier::text FROM pg_control_system()) || '/' ||"
        " (SELECT timeline_id::text FROM pg_control_checkpoint()),"
        " CASE WHEN pg_is_in_recovery() THEN '0/0'::pg_lsn ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn"
    ).fetchall()
    problems: list[str] = []
    if version < OLDEST:
        problems.append(f"PostgreSQL {version // 10000} has no pgoutput in the binary format: 14 or newer is needed")
    if level != "logical":
        problems.append(f"wal_level is {level}: ALTER SYSTEM SET wal_level = logical, then restart the server")
    if standby:
        problems.append("it is a standby: name the primary")
    if not replication:
        problems.append("the role may not read the log: ALTER ROLE ... REPLICATION")
    return LogServer(identity, int(flushed), tuple(problems))


def refuse_without_log(where: str, server: LogServer) -> None:
    """Nothing can be captured where something is missing.

    Raises:
        ConfigurationError: with all of it.
    """
    if server.problems:
        raise ConfigurationError(
            f"{where}: its changes cannot be captured: {'; '.join(server.problems)}",
            hint="Nothing was changed. Mend that at the source, or take `capture` from the catalog.",
        )


def read_slot_state(connection: Connection, name: str) -> SlotState | None:
    """A slot of this database; None: there is none."""
    row = connection.execute(
        "SELECT confirmed_flush_lsn - '0/0'::pg_lsn, pg_current_wal_lsn() - restart_lsn, wal_status = 'lost'"
        " FROM pg_replication_slots WHERE slot_name = %s AND database = current_database() AND plugin = 'pgoutput'",
        (name,),
    ).fetchone()
    return None if row is None else SlotState(int(row[0] or 0), int(row[1] or 0), row[2] is True)


def create_slot(connection: Connection, where: str, name: str) -> int:
    """Make a slot; returns the position from which it tells every transaction whole.

    Raises:
        Busy: a transaction that began before does not end.
        ConfigurationError: the server has no room for one, or it is another's.
    """
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(_PATIENCE)))
            ((lsn,),) = connection.execute(
                "SELECT lsn - '0/0'::pg_lsn FROM pg_create_logical_replication_slot(%s, 'pgoutput')", (name,)
            ).fetchall()
            return int(lsn)
    except errors.QueryCanceled:
        raise Busy(
            f"{where}: a slot cannot begin as long as transactions of before are under way ({_PATIENCE} waited)",
            hint="Nothing was changed. End the oldest one (pg_stat_activity.xact_start), then run again.",
        ) from None
    except errors.ConfigurationLimitExceeded:
        raise ConfigurationError(
            f"{where}: the server has no room for another slot (max_replication_slots)",
            hint="Nothing was changed. Raise it, or drop a slot that nobody reads.",
        ) from None
    except errors.DuplicateObject:
        raise ConfigurationError(
            f"{where}: there is a slot {name} already, of another database or plugin",
            hint="Drop it if nobody reads it: SELECT pg_drop_replication_slot('...').",
        ) from None


def drop_slot(connection: Connection, where: str, name: str) -> None:
    """Give the source's log free.

    Raises:
        Busy: somebody reads it.
    """
    try:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE slot_name = %s AND database = current_database() AND plugin = 'pgoutput'",
            (name,),
        )
    except errors.ObjectInUse:
        raise Busy(f"{where}: slot {name} is being read", hint="Nothing was changed. Run again.") from None


def advance_slot(connection: Connection, name: str, to: int) -> None:
    """Tell a slot that all up to a position was read for good."""
    connection.execute("SELECT pg_replication_slot_advance(%s, '0/0'::pg_lsn + %s::numeric)", (name, to))


def check_publication(connection: Connection, where: str, name: str, tables: Sequence[tuple[str, str]]) -> None:
    """Refuse a publication that does not tell all that changes in some tables.

    Raises:
        ConfigurationError: it is not there, or tells less; with the SQL that mends it.
    """
    row = connection.execute(
        "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot FROM pg_publication"
        " WHERE pubname = %s",
        (name,),
    ).fetchone()
    # Filters are of PostgreSQL 15 and newer, and so are their columns of the view.
    told = {
        (schema, table)
        for schema, table in connection.execute(
            "SELECT schemaname, tablename FROM pg_publication_tables AS t"
            " WHERE pubname = %s AND to_jsonb(t) ->> 'rowfilter' IS NULL",
            (name,),
        )
    }
    missing = [each for each in tables if each not in told]
    if row is not None and row[0] and row[1] and not missing:
        return
    what = "there is no publication" if row is None else "the publication does not tell all of"
    raise ConfigurationError(
        f"{where}: {what} {name}" + (f": {', '.join('.'.join(each) for each in missing)}" if row and missing else ""),
        hint="As the tables' owner: " + "; ".join(publication_sql(connection, name, tables, there=row is not None)),
    )


def publication_sql(connection: Connection, name: str, tables: Sequence[tuple[str, str]], *, there: bool) -> list[str]:
    """The statements that make a publication of some tables, or make it one."""
    listed = sql.SQL(", ").join(sql.Identifier(*each) for each in tables)
    options = sql.SQL("publish = 'insert, update, delete, truncate', publish_via_partition_root = true")
    parts = {"name": sql.Identifier(name), "tables": listed, "options": options}
    texts = (
        [
            sql.SQL("ALTER PUBLICATION {name} SET TABLE {tables}").format(**parts),
            sql.SQL("ALTER PUBLICATION {name} SET ({options})").format(**parts),
        ]
        if there
        else [sql.SQL("CREATE PUBLICATION {name} FOR TABLE {tables} WITH ({options})").format(**parts)]
    )
    return [text.as_string(connection) for text in texts]


def peek(
    connection: Connection, slot: str, publication: str, *, upto: int, messages: int, binary: bool
) -> Generator[Message | None]:
    """The log's messages from a slot's position on, whole transactions; the slot stays where it is.

    None stands for a message that says nothing of rows. Fewer than ``messages``: these were all.

    Args:
        connection: of the source, outside of a transaction.
        slot, publication: by name.
        upto: no transaction that begins to commit after this position.
        messages: after so many the transaction that is being told is the last.
        binary: values in the binary format.

    Raises:
        Busy: somebody else reads the slot.
        CatalogMismatch: the publication is not known to that part of the log.
    """
    query = (
        "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, '0/0'::pg_lsn + %s::numeric, %s,"
        " 'proto_version', '1', 'publication_names', %s, 'binary', %s)"
    )
    name = sql.Identifier(publication).as_string(connection)
    with connection.transaction(), connection.cursor("drivetrain_changes", binary=True) as cursor:
        cursor.itersize = _AT_A_TIME
        try:
            cursor.execute(query, (slot, upto, messages, name, "true" if binary else "false"))
            for (data,) in cursor:
                yield parse(data)
        except errors.ObjectInUse:
            raise Busy(f"slot {slot} is being read by somebody else", hint="Nothing was changed. Run again.") from None
        except errors.UndefinedObject as error:
            raise CatalogMismatch(
                f"publication {publication} is not known to a part of the log: it was made after the slot",
                hint="Drop the slot (`drivetrain capture stop`), and capture again: tables are compared first.",
            ) from error
