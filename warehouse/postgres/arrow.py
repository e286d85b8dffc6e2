"""Sessions that send and take rows as Arrow (ADBC), with the settings under which values print alike.

What does not belong here: which rows, and whether they arrived.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from warehouse.errors import ServerUnavailable, StatementRefused
from warehouse.postgres.sessions import CANONICAL, Dsn

#: Beginnings of a SQLSTATE that say: no connection, out of room, the administrator ended it.
_AWAY = ("08", "53", "57")


@contextmanager
def arrow_cursor(dsn: Dsn, snapshot: str | None = None) -> Generator[Any]:
    """A cursor of ADBC in a transaction of its own, committed if the block ends well.

    Args:
        dsn: where to.
        snapshot: exported by another session, which must stay open: the transaction is read-only and sees that moment.

    Raises:
        ServerUnavailable: the session could not begin, or was ended, or the one that exported the snapshot was.
        StatementRefused: whatever else the server says.
    """
    import adbc_driver_postgresql.dbapi  # type: ignore[reportMissingTypeStubs]

    connect: Any = adbc_driver_postgresql.dbapi.connect  # type: ignore[reportUnknownMemberType]
    try:
        with connect(dsn.text, autocommit=False) as session, session.cursor() as cursor:
            if snapshot is not None:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                _see(dsn, cursor, snapshot)
            for setting, value in CANONICAL.items():
                told = sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(setting), sql.Literal(value))
                cursor.execute(told.as_string(None))
            yield cursor
            session.commit()
    except adbc_driver_postgresql.dbapi.Error as error:
        raise _told(dsn, error) from None  # its message may quote a row


def _see(dsn: Dsn, cursor: Any, snapshot: str) -> None:
    """Take another session's snapshot: the first statement of the transaction."""
    from adbc_driver_postgresql.dbapi import Error  # type: ignore[reportMissingTypeStubs]

    try:
        cursor.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)).as_string(None))
    except Error as error:  # a snapshot is there as long as its session
        raise ServerUnavailable(
            f"{dsn.label}: the connection was lost: {_said(error)}", hint="Nothing was kept. Try again."
        ) from None


def _said(error: Exception) -> str:
    """The driver's message, without what it quotes."""
    text = str(error)
    said = next((text.partition(sign)[2] for sign in ("FATAL:", "ERROR:") if sign in text), text).strip()
    return said.splitlines()[0] if said else type(error).__name__


def _told(dsn: Dsn, error: Any) -> ServerUnavailable | StatementRefused:
    said = _said(error)
    if not error.sqlstate or error.sqlstate.startswith(_AWAY):
        return ServerUnavailable(f"{dsn.label}: the connection was lost: {said}", hint="Nothing was kept. Try again.")
    return StatementRefused(said, hint=f"{dsn.label} said so. Nothing of it was kept.")
