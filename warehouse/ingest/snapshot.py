"""One moment of a source that all tables of a system are read from.

The holder session exports a snapshot; each table is read in a session of its own under it, so that one table's error
leaves the others' reads alone. The replica is read where one is declared; a replica that does not answer is passed over
for the primary, and the load's record says so.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from psycopg import errors, sql

from warehouse.catalog.model import Reading
from warehouse.errors import ServerUnavailable, SourceInterrupted
from warehouse.postgres.sessions import Connection, Dsn, connect, translated

log = logging.getLogger(__name__)

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
#: The role's own limits are for interactive sessions: a reader idles while its rows are indexed elsewhere.
_NO_IDLE_LIMIT = "SET idle_in_transaction_session_timeout = 0"
#: A table that is locked for good (a migration that hangs) must not hang ingestion, too.
LOCK_TIMEOUT = "60s"


@dataclass(frozen=True)
class SourceSnapshot:
    """An exported snapshot, alive while its ``open_snapshot`` block is.

    Attributes:
        dsn: the server that it is of.
        id: as ``pg_export_snapshot`` names it.
        as_of: the source's clock when it was taken.
        replica: whether that server is a standby.
        lag_seconds: how far the standby's replay was behind then; None on a primary or when it cannot tell.
        seen: which transactions it has seen, as ``pg_current_snapshot`` says; None on a standby, which cannot tell.
        bound_seconds: for how long it may be read from; None: for ever.
    """

    dsn: Dsn
    id: str
    as_of: dt.datetime
    replica: bool
    lag_seconds: float | None
    seen: str | None = None
    bound_seconds: float | None = None

    @contextmanager
    def session(self) -> Generator[Connection]:
        """A read-only session that sees exactly this moment.

        Raises:
            SourceInterrupted: the snapshot is gone, because its holder lost its connection.
        """
        with connect(
            self.dsn, read_only=True, see_all_rows=True, lock_timeout=LOCK_TIMEOUT, application="drivetrain ingest"
        ) as connection:
            with translated(f"{self.dsn.label} (source)"):
                connection.execute(_NO_IDLE_LIMIT)
                if self.bound_seconds is not None:
                    milliseconds = sql.Literal(max(1, int(self.bound_seconds * 1000)))
                    connection.execute(sql.SQL("SET statement_timeout = {}").format(milliseconds))
                connection.execute(_BEGIN)
                try:
                    connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self.id)))
                except (errors.UndefinedObject, errors.InvalidParameterValue) as error:
                    raise SourceInterrupted(
                        f"{self.dsn.label}: the snapshot of {self.as_of:%Y-%m-%d %H:%M:%S} UTC is gone",
                        hint="Its session was ended. Run again.",
                    ) from error
            yield connection


@contextmanager
def open_snapshot(
    primary: Dsn, replica: Dsn | None = None, reading: Reading | None = None
) -> Generator[SourceSnapshot]:
    """Export a snapshot of the replica, or of the primary where there is no replica that answers and keeps up.

    Args:
        primary, replica: the source.
        reading: what may be asked of it; everything, if nothing is said.

    Raises:
        ServerUnavailable, AccessDenied: neither can be read.
    """
    with ExitStack() as stack:
        snapshot = None if replica is None else _of_replica(stack, replica, reading)
        snapshot = snapshot or stack.enter_context(_export(primary))
        bound = None if reading is None else reading.snapshot.approximate_days * 86_400
        yield replace(snapshot, bound_seconds=bound)


def _of_replica(stack: ExitStack, replica: Dsn, reading: Reading | None) -> SourceSnapshot | None:
    """None: the primary is to be read."""
    try:
        opened = ExitStack()
        snapshot = opened.enter_context(_export(replica))
    except ServerUnavailable as error:
        log.warning("%s does not answer, reading the primary instead: %s", replica.label, error.message)
        return None
    late = reading is not None and (snapshot.lag_seconds or 0) > reading.replica_lag.approximate_days * 86_400
    if late:
        log.warning("%s is %.0f s behind, reading the primary instead", replica.label, snapshot.lag_seconds)
        opened.close()
        return None
    stack.push(opened)
    return snapshot


@contextmanager
def _export(dsn: Dsn) -> Generator[SourceSnapshot]:
    with connect(dsn, read_only=True, see_all_rows=True, application="drivetrain snapshot") as holder:
        with translated(f"{dsn.label} (source)"):
            holder.execute(_NO_IDLE_LIMIT)
            holder.execute(_BEGIN)
            # All received is replayed: no lag, if a receiver is there to say so (a cut-off standby says it, too).
            row = holder.execute(
                "SELECT pg_export_snapshot(), clock_timestamp(), pg_is_in_recovery(),"
                " CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
                " AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0"
                " ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,"
                " CASE WHEN NOT pg_is_in_recovery() THEN pg_current_snapshot()::text END"
            ).fetchone()
        assert row is not None
        yield SourceSnapshot(dsn, row[0], row[1], row[2], None if row[3] is None else float(row[3]), row[4])
