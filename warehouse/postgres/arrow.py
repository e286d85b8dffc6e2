"""Sessions that send and take rows as Arrow (ADBC), with the settings under which values print alike.

What does not belong here: which rows, and whether they arrived.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from warehouse.postgres.sessions import CANONICAL, Dsn


@contextmanager
def arrow_cursor(dsn: Dsn, snapshot: str | None = None) -> Generator[Any]:
    """A cursor of ADBC in a transaction of its own, committed if the block ends well.

    Args:
        dsn: where to.
        snapshot: exported by another session, which must stay open: the transaction is read-only and sees that moment.

    Raises:
        adbc_driver_postgresql.dbapi.Error: whatever the server says.
    """
    import adbc_driver_postgresql.dbapi  # type: ignore[reportMissingTypeStubs]

    connect: Any = adbc_driver_postgresql.dbapi.connect  # type: ignore[reportUnknownMemberType]
    with connect(dsn.text, autocommit=False) as session, session.cursor() as cursor:
        if snapshot is not None:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)).as_string(None))
        for setting, value in CANONICAL.items():
            told = sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(setting), sql.Literal(value))
            cursor.execute(told.as_string(None))
        yield cursor
        session.commit()
