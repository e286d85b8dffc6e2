"""What both benchmarks of upkeep stand on: a table of a thousand daily partitions, once for us, once for pg_partman.

The two lie in two databases of one server, copied from one another. What does not belong here: what is timed.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from benchmarks.model import BenchmarkError, Sample
from benchmarks.peers import partman
from benchmarks.stage import Stage
from benchmarks.writers import Operation, Readers, Record, Writers, beside
from demo.servers import Server
from demo.servers.cluster import connect as administer
from warehouse.catalog.partition import RangePartition
from warehouse.partitions.apply import Report, maintain
from warehouse.partitions.plan import Target
from warehouse.postgres.sessions import Dsn, connect

PARTITIONS, AHEAD, DUE = 1000, 3, 50
#: Rows of one day at scale 1.
ROWS = 400
WRITERS, READERS, RIDERS = 4, 2, 2_000
#: Seconds that a long reader holds its snapshot and a lock on every partition.
HOLD = 3.0
#: Seconds that the sessions are at work before and after what is timed beside them.
AROUND = 1.0
#: No wait of a writer should be longer.
LONGEST = 0.25
TABLE = "public.ledger"
NAME = "{table}_p{year}_{month}_{day}"
_DAY = dt.timedelta(days=1)

_TABLE = """
CREATE TABLE ledger (
    id bigint NOT NULL, rider_id bigint NOT NULL, entry_type text NOT NULL, amount numeric(12,2) NOT NULL,
    metadata jsonb, created_at timestamptz NOT NULL, PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX ledger_rider ON ledger (rider_id, created_at);
CREATE SEQUENCE ledger_id;
GRANT SELECT, INSERT, UPDATE ON ledger TO pg_monitor;
"""
_FILL = """
INSERT INTO ledger
SELECT nextval('ledger_id'), i %% %(riders)s, 'earning', (i %% 50000) / 100.0, NULL,
       day + i * interval '1 second'
  FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz, interval '1 day') AS day,
       generate_series(1, %(rows)s) AS i
"""
_RECENT = sql.SQL("rider_id = %s AND created_at >= {since}")
_STATEMENTS: dict[str, LiteralString] = {
    "insert": "INSERT INTO ledger SELECT nextval('ledger_id'), %s, 'earning', 10, NULL, now()",
    "update": "UPDATE ledger SET metadata = '{{\"seen\": 1}}' WHERE {recent}",
    "delete": "DELETE FROM ledger WHERE {recent} AND amount < 1",
    "read": "SELECT sum(amount) FROM ledger WHERE {recent}",
}


@dataclass(frozen=True)
class Ground:
    """Two databases with the same table in each, and how they are kept.

    Attributes:
        ours: where the platform maintains it.
        theirs: where pg_partman does; None where there is no pg_partman.
        today: the day that the newest rows were filled in.
    """

    ours: str
    theirs: str | None
    today: dt.date

    def maintain(self, ahead: int) -> tuple[float, Report]:
        """The platform's, in a session of its own: seconds without the connecting, and what was done.

        Raises:
            BenchmarkError: something failed.
        """
        declared = RangePartition(range="created_at", every="day", name=NAME, premake=ahead)
        target = Target("benchmark", "ledger", "source", declared)
        with connect(Dsn(self.ours), see_all_rows=True) as connection:
            began = time.monotonic()
            report = maintain(connection, target, ("public", "ledger"), dt.datetime.now(dt.UTC))
            took = time.monotonic() - began
        if report.failed or report.findings:
            raise BenchmarkError(f"maintenance says {report.busy or report.findings or report.done}")
        return took, report

    def run_maintenance(self, ahead: int) -> float:
        """pg_partman's, likewise."""
        assert self.theirs is not None
        with psycopg.connect(self.theirs, autocommit=True) as connection:
            partman.keep_ahead(connection, TABLE, ahead)
        with psycopg.connect(self.theirs, autocommit=True) as connection:
            began = time.monotonic()
            partman.run_maintenance(connection, TABLE)
            return time.monotonic() - began

    @contextmanager
    def others(self, dsn: str) -> Iterator[Record]:
        """Writers and long readers for the block, and a little longer on both sides."""
        with beside(self._writers(dsn), Readers(dsn, "ledger", "SELECT count(*) FROM ledger", HOLD, READERS)) as record:
            time.sleep(AROUND)
            yield record
            time.sleep(AROUND)

    def _writers(self, dsn: str) -> Writers:
        since = sql.Literal(_midnight(self.today) - _DAY)  # a constant: partitions are chosen when it is planned
        recent = _RECENT.format(since=since)
        return Writers(
            dsn,
            {
                name: Operation(sql.SQL(statement).format(recent=recent).as_string(None).encode(), (range(RIDERS),))
                for name, statement in _STATEMENTS.items()
            },
            WRITERS,
        )

    def remove_due(self, dsn: str) -> int:
        """Remove the partitions beyond ``AHEAD`` days; gives how many there were."""
        last = partition_name(self.today + AHEAD * _DAY)
        with psycopg.connect(dsn) as connection:
            found = connection.execute(
                "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
                " WHERE i.inhparent = 'ledger'::regclass AND c.relname > %s",
                (last,),
            ).fetchall()
            for (name,) in found:
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        return len(found)


def partition_name(day: dt.date) -> str:
    """As pg_partman names a daily partition."""
    return f"ledger_p{day:%Y_%m_%d}"


def creation(day: dt.date) -> sql.Composed:
    """The plainest statement that makes a day's partition."""
    return sql.SQL("CREATE TABLE {} PARTITION OF ledger FOR VALUES FROM ({}) TO ({})").format(
        sql.Identifier(partition_name(day)), sql.Literal(_midnight(day)), sql.Literal(_midnight(day + _DAY))
    )


def prepare(stage: Stage, name: str, notes: list[str]) -> Ground:
    """Both databases, filled and analysed, on pg_partman's server or else an embedded one."""
    rows, today = max(1, int(ROWS * stage.scale)), dt.datetime.now(dt.UTC).date()
    with_partman = partman.server(stage, name, notes)
    server = with_partman or stage.servers.server("operational")
    ours, theirs = f"{name}_ours", f"{name}_theirs"
    stage.tell(f"making {PARTITIONS:,} partitions of {rows:,} rows")
    _command(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(ours)))
    with psycopg.connect(server.dsn(ours)) as connection:
        connection.execute(_TABLE)
        days = [today + (AHEAD - number) * _DAY for number in range(PARTITIONS)]
        for day in reversed(days):
            connection.execute(creation(day))
        connection.execute(
            _FILL, {"riders": RIDERS, "rows": rows, "first": _midnight(days[-1]), "last": _midnight(today)}
        )
    notes.append(
        f"{PARTITIONS:,} daily partitions, {AHEAD} of them ahead, of {rows:,} rows each; PostgreSQL {_version(server)}."
        f" Beside the maintenance: {WRITERS} sessions that write and read without a pause, and {READERS} that hold a"
        f" snapshot and a lock on every partition for {HOLD:g} s."
    )
    if with_partman is not None:
        copied = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(theirs), sql.Identifier(ours))
        _command(server, copied)
        version = partman.adopt(server, theirs, TABLE, "created_at", AHEAD)
        notes.append(
            f"pg_partman {version} with its defaults: its template, no ANALYZE, grants on the parent only, as here."
            " There is no default partition, with which it would wait for the readers."
        )
    for database in (ours, *([theirs] if with_partman is not None else [])):
        with administer(server, database) as connection:
            connection.execute("VACUUM ANALYZE")
    return Ground(server.dsn(ours), server.dsn(theirs) if with_partman is not None else None, today)


def waits(record: Record, whom: str, notes: list[str]) -> Mapping[str, Sample]:
    """The longest wait of each operation.

    Args:
        record: of the sessions.
        whom: what was beside them.
        notes: told of a wait that is longer than it should be.
    """
    for operation in record.waits:
        if (longest := record.longest(operation)) > LONGEST:
            notes.append(f"Beside {whom} a wait of {longest * 1000:.0f} ms: {operation}.")
    return {f"longest {name} beside {whom}": Sample(record.longest(name)) for name in record.waits}


def refuse_failures(record: Record) -> None:
    """What was timed held somebody up.

    Raises:
        BenchmarkError: a session failed.
    """
    if record.failures:
        raise BenchmarkError(f"sessions beside the maintenance failed: {record.failures[:3]}")


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _command(server: Server, statement: sql.Composed) -> None:
    with administer(server, "postgres") as connection:
        connection.execute(statement)


def _version(server: Server) -> str:
    with administer(server, "postgres") as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]).split()[0] if row else ""
