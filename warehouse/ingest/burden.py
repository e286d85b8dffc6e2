"""What a source has to bear already: ingestion adds nothing to what is too much.

A long transaction holds back vacuum, a slot that nobody reads fills the disk; reading on would make both worse.
What a role may not see it is not told, and does not wait for: ``pg_read_all_stats`` shows other roles' transactions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from warehouse.catalog.model import Reading
from warehouse.errors import Busy, ServerUnavailable
from warehouse.postgres.sessions import Connection, Dsn, connect, translated

#: Seconds that ingestion waits by itself; then whoever runs it decides when to try again.
PATIENCE, PAUSE = 30.0, 5.0

_BURDEN = """
SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - min(xact_start))::float8 FROM pg_stat_activity
                  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                    AND application_name NOT LIKE 'drivetrain%'), 0),
       coalesce((SELECT max(pg_current_wal_lsn() - restart_lsn)::bigint FROM pg_replication_slots), 0)
"""


@dataclass(frozen=True)
class Burden:
    """What a primary has to bear.

    Attributes:
        oldest: seconds for which somebody else's transaction is open.
        retained: bytes of log that it keeps for the slot that is furthest behind.
    """

    oldest: float
    retained: int

    def beyond(self, reading: Reading) -> str | None:
        """What of it is too much by a policy, in words."""
        if self.oldest > reading.transaction.approximate_days * 86_400:
            allowed = f"reading.transaction: {reading.transaction}"
            return f"a transaction is open for {self.oldest / 60:,.0f} minutes ({allowed})"
        if self.retained > reading.retained_mb * 1_000_000:
            allowed = f"reading.retained_mb: {reading.retained_mb}"
            return f"a slot makes it keep {self.retained / 1e6:,.0f} MB of log ({allowed})"
        return None


def read_burden(connection: Connection) -> Burden:
    """Of a primary."""
    ((oldest, retained),) = connection.execute(_BURDEN).fetchall()
    return Burden(oldest, retained)


def wait_for_relief(primary: Dsn, reading: Reading, sleep: Callable[[float], object] = time.sleep) -> None:
    """Return when a primary has little enough to bear.

    Raises:
        Busy: it did not for a while.
        AccessDenied: it refuses the role.
    """
    ends = time.monotonic() + PATIENCE
    while (beyond := _beyond(primary, reading)) is not None:
        if time.monotonic() >= ends:
            raise Busy(
                f"{primary.label}: the source has too much to bear already: {beyond}",
                hint="Nothing was read. It is tried again later; see pg_stat_activity and pg_replication_slots.",
            )
        sleep(PAUSE)


def _beyond(primary: Dsn, reading: Reading) -> str | None:
    """What is too much; a primary that is away has nothing to bear, and its replica may be read."""
    try:
        with connect(primary, read_only=True, application="drivetrain ingest") as session, translated(primary.label):
            return read_burden(session).beyond(reading)
    except ServerUnavailable:
        return None
