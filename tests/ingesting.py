"""What the tests of ingestion share: a source and a warehouse database, a policy for each table, and a comparison.

The comparison is independent of the code under test: every value of both sides as ``format('%L')`` prints it, rows
sorted in Python. What does not belong here: tables or expectations of any one test.
"""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import yaml
from psycopg import conninfo, sql

from demo.servers import Servers
from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import System
from warehouse.ingest import Months, SourceSnapshot, TableResult, ingest_table, open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

READER, PLATFORM = "drivetrain_reader", "drivetrain"
_NUMBERS = itertools.count(1)

#: Not the code's own: what both sides print must not depend on where it is printed.
_SETTINGS = "SET timezone = 'Asia/Kolkata'; SET intervalstyle = 'iso_8601'; SET datestyle = 'SQL, DMY'"

#: A table ``facts`` of 360 rows in three monthly partitions, for a type of ``time`` and the ``zone`` of the bounds.
PARTITIONED = """
CREATE TABLE facts (id bigint, at {time} NOT NULL, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE facts_y2024m01 PARTITION OF facts FOR VALUES FROM ('2024-01-01{zone}') TO ('2024-02-01{zone}');
CREATE TABLE facts_y2024m02 PARTITION OF facts FOR VALUES FROM ('2024-02-01{zone}') TO ('2024-03-01{zone}');
CREATE TABLE facts_y2024m03 PARTITION OF facts FOR VALUES FROM ('2024-03-01{zone}') TO ('2024-04-01{zone}');
INSERT INTO facts SELECT i, '2024-01-01{zone}'::{time} + i * interval '6 hours', 'v' || i
    FROM generate_series(0, 359) i;
"""


@dataclass(frozen=True)
class Databases:
    """One source database with its replica, and one warehouse database."""

    servers: Servers
    source: str
    warehouse: str

    @property
    def source_admin(self) -> str:
        return self.servers.server("operational").dsn(self.source)

    @property
    def warehouse_admin(self) -> str:
        return self.servers.server("warehouse").dsn(self.warehouse)

    @property
    def primary(self) -> Dsn:
        return Dsn(self.servers.server("operational").dsn(self.source, READER), "PRIMARY")

    @property
    def log(self) -> Dsn:
        return Dsn(self.servers.server("operational").dsn(self.source, "drivetrain_capturer"), "CAPTURE")

    @property
    def replica(self) -> Dsn:
        return Dsn(self.servers.server("replica").dsn(self.source, READER), "REPLICA")

    @property
    def target(self) -> Dsn:
        return Dsn(self.servers.server("warehouse").dsn(self.warehouse, PLATFORM), "WAREHOUSE")


@contextmanager
def databases(servers: Servers, before: str = "") -> Generator[Databases]:
    """A fresh pair, dropped afterwards; ``before`` is run in the warehouse by a superuser before it is migrated."""
    suffix = uuid.uuid4().hex[:10]
    pair = Databases(servers, f"src_{suffix}", f"wh_{suffix}")
    operational = servers.server("operational").dsn("postgres")
    warehouse = servers.server("warehouse").dsn("postgres")
    execute(operational, f"CREATE DATABASE {pair.source}")
    execute(warehouse, f"CREATE DATABASE {pair.warehouse} OWNER {PLATFORM}")
    try:
        if before:
            execute(pair.warehouse_admin, before)
        with connect(pair.target) as connection:
            migrate(connection)
        yield pair
    finally:
        execute(operational, f"DROP DATABASE {pair.source} WITH (FORCE)")
        execute(warehouse, f"DROP DATABASE {pair.warehouse} WITH (FORCE)")


def execute(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """Run statements in a session of their own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return _run(connection, query)


def _run(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    cursor = connection.execute(query.encode())
    while cursor.nextset():
        pass
    return cursor.fetchall() if cursor.description else []


@dataclass
class Bench:
    """One system under test: a schema of the source, policies of its tables, and the raw schema that they land in."""

    pair: Databases
    admin: psycopg.Connection
    store: psycopg.Connection
    name: str = field(default_factory=lambda: f"t{next(_NUMBERS)}")
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    person: dict[str, Any] | None = None
    caches: list[str] = field(default_factory=list)

    def reconnect(self) -> None:
        """After the warehouse was restarted."""
        self.store.close()
        self.store = psycopg.connect(self.pair.warehouse_admin, autocommit=True)
        _run(self.store, _SETTINGS)

    @property
    def raw(self) -> str:
        return f"raw_{self.name}"

    def source(self, query: str) -> list[tuple[Any, ...]]:
        """Change or ask the source, as its owner."""
        return _run(self.admin, query)

    def warehouse(self, query: str) -> list[tuple[Any, ...]]:
        """Ask (or spoil) the warehouse, as superuser; ``{raw}`` is the raw schema."""
        return _run(self.store, query.replace("{raw}", self.raw))

    def declare(self, table: str, *, key: Sequence[str] = (), only: Sequence[str] = (), **policy: Any) -> None:
        """The policy of a table as the source has it now: all columns, or ``only`` some."""
        columns = self.admin.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (f'"{table}"' if "." not in table else table,),
        )
        declared = {name: {"type": kind} for name, kind in columns if not only or name in only}
        self.tables[table] = {"description": table, "key": list(key), "columns": declared, **policy}

    def incremental(self, table: str, key: Sequence[str] = ("id",), cursor: str = "updated_at", **policy: Any) -> None:
        """Declare with mode incremental."""
        only = policy.pop("only", ())
        self.declare(table, key=key, only=only, ingest={"mode": "incremental", "cursor": cursor, **policy})

    def monthly(self, table: str, key: Sequence[str] = ("id", "at"), time: str = "at", **policy: Any) -> None:
        """Declare with mode partition."""
        self.declare(table, key=key, time=time, ingest={"mode": "partition"}, **policy)

    @property
    def catalog_file(self) -> str:
        return yaml.safe_dump({
            "system": self.name, "title": "t", "description": "d", "owner": "o", "schema": self.name,
            "history_starts": dt.date(2024, 1, 1), "defaults": {"retention": "lifetime", "erasure": "no_person"},
            "tables": self.tables, **({"person": self.person} if self.person else {}),
            **({"caches": self.caches} if self.caches else {}),
        })  # fmt: skip

    @property
    def system(self) -> System:
        return parse_system(self.catalog_file, f"{self.name}.yaml")

    @contextmanager
    def snapshot(self, primary: Dsn | None = None, replica: Dsn | None = None) -> Generator[SourceSnapshot]:
        with open_snapshot(primary or self.pair.primary, replica) as snapshot:
            yield snapshot

    def ingest(
        self, table: str, *, months: Months = Months(), snapshot: SourceSnapshot | None = None, **where: Dsn
    ) -> TableResult:
        """One load of one table, under a snapshot of its own unless one is given."""
        target = where.pop("target", self.pair.target)
        if snapshot is not None:
            return ingest_table(snapshot, target, self.system, table, months=months)
        with self.snapshot(**where) as fresh:
            return ingest_table(fresh, target, self.system, table, months=months)

    def rows(self, table: str, *, of: str, where: str = "true") -> Counter[tuple[str, ...]]:
        """Every declared value as SQL prints it, row by row."""
        connection, schema = (self.admin, self.name) if of == "source" else (self.store, self.raw)
        columns = sorted(self.tables[table]["columns"])
        return rows_of(connection, schema, table, columns, where)

    def assert_equal(self, table: str, *, where: str = "true") -> int:
        """Both sides hold the same rows; returns how many."""
        source, warehouse = (self.rows(table, of=side, where=where) for side in ("source", "warehouse"))
        missing, extra = source - warehouse, warehouse - source
        assert not missing, f"{table}: {missing.total()} rows missing, e.g. {next(iter(missing))}"
        assert not extra, f"{table}: {extra.total()} rows too many, e.g. {next(iter(extra))}"
        return source.total()

    def loads(self, table: str) -> list[tuple[Any, ...]]:
        """The ledger's loads of a table: chunk, reason, rows."""
        return self.store.execute(
            "SELECT chunk, reason, rows_written FROM platform.load WHERE system = %s AND table_name = %s ORDER BY id",
            (self.name, table),
        ).fetchall()

    def watermark(self, table: str) -> tuple[Any, ...] | None:
        """Cursor column and high-water mark."""
        return self.store.execute(
            "SELECT cursor_column, high_water FROM platform.watermark WHERE system = %s AND table_name = %s",
            (self.name, table),
        ).fetchone()

    def relations(self) -> dict[str, int]:
        """Every table of the raw schema and the file that it is kept in: changes if anything was swapped."""
        return dict(
            self.store.execute(
                "SELECT relname::text, relfilenode::bigint FROM pg_class"
                " WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p')",
                (self.raw,),
            ).fetchall()
        )

    def leftovers(self) -> list[str]:
        """What a load that did not finish would have left."""
        return [name for name in self.relations() if name.endswith("__next")]

    def state(self, table: str) -> tuple[Any, ...]:
        """All that a failed load must not have touched."""
        rows = self.rows(table, of="warehouse") if table in self.relations() else None
        return rows, self.relations(), self.loads(table), self.watermark(table)


def rows_of(
    connection: psycopg.Connection, schema: str, table: str, columns: Sequence[str], where: str
) -> Counter[tuple[str, ...]]:
    """Rows as tuples of ``format('%L')`` texts, counted."""
    printed = sql.SQL(", ").join(sql.SQL("format('%L', {})").format(sql.Identifier(name)) for name in columns)
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(printed, sql.Identifier(schema, table), sql.SQL(where))  # type: ignore[arg-type]
    return Counter(connection.execute(query).fetchall())


@contextmanager
def bench_on(pair: Databases) -> Generator[Bench]:
    """A system of its own on a shared pair of databases; its schemas are dropped afterwards."""
    with psycopg.connect(pair.source_admin, autocommit=True) as admin:
        bench = Bench(pair, admin, psycopg.connect(pair.warehouse_admin, autocommit=True))
        for connection in (admin, bench.store):
            _run(connection, _SETTINGS)
        bench.source(f"CREATE SCHEMA {bench.name}; SET search_path = {bench.name}")
        bench.source(f"GRANT USAGE ON SCHEMA {bench.name} TO PUBLIC")
        try:
            yield bench
        finally:
            bench.source(f"DROP SCHEMA {bench.name} CASCADE")
            bench.warehouse("DROP SCHEMA IF EXISTS {raw} CASCADE")
            bench.store.close()


def with_parameters(dsn: Dsn, **parameters: Any) -> Dsn:
    """The same connection string with some parts replaced."""
    return Dsn(conninfo.make_conninfo(dsn.text, **parameters), dsn.label)


def month(text: str) -> dt.date:
    """First day of a month such as 2024-01."""
    return dt.date.fromisoformat(f"{text}-01")


def reasons(result: TableResult) -> Mapping[str, str]:
    """What a load did: chunk to reason."""
    return {load.chunk: load.reason for load in result.loads}


def backends_of(bench: Bench, application: str) -> list[int]:
    """Sessions of that name in the warehouse database."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
    return [int(pid) for (pid,) in bench.store.execute(query, (application,))]
