"""Where benchmarks run: three servers of their own in a temporary home, five filled systems, databases to load into.

Default settings throughout, ``fsync`` included. What does not belong here: anything that is timed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.model import BenchmarkError
from benchmarks.processes import Command, Timed, timed
from demo.generate import fill
from demo.servers import SYSTEMS, Servers
from demo.servers.model import PLATFORM
from warehouse.catalog import Catalog, load_catalog

PROJECT = Path(__file__).resolve().parent.parent

#: The same rows on every day and every machine.
SEED, TODAY = 20, dt.date(2026, 10, 1)

_ENUMS = """
SELECT format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
              string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder))
  FROM pg_enum AS e JOIN pg_type AS t ON t.oid = e.enumtypid JOIN pg_namespace AS n ON n.oid = t.typnamespace
 WHERE n.nspname LIKE 'raw\\_%' GROUP BY n.nspname, t.typname
"""
_TABLES = """
SELECT format('CREATE TABLE %I.%I (%s)', n.nspname, c.relname,
              string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum))
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname LIKE 'raw\\_%' AND c.relkind = 'p' GROUP BY n.nspname, c.relname
"""
_TYPES = """
SELECT n.nspname || '.' || c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname LIKE 'raw\\_%' AND c.relkind IN ('r', 'p')
"""
_TEXT_ONLY = """
SELECT DISTINCT n.nspname::text, c.relname::text
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid JOIN pg_type AS element ON element.oid = t.typelem
 WHERE n.nspname LIKE 'raw\\_%' AND c.relkind = 'p' AND element.typtype = 'e'
"""


@dataclass(frozen=True)
class SourceTable:
    """One table of the catalog, quoted for SQL."""

    system: str
    name: str
    source: str
    target: str
    columns: str
    key: str
    format: str


@dataclass
class Stage:
    """Servers with filled sources, and fresh warehouses on demand.

    Attributes:
        servers: up for as long as the stage stands.
        scale: of the generated data.
        folder: for files of benchmarks; removed with the stage.
        rows: what every source table was filled with, by system.
        peers_python: interpreter of the peers' environment; None if peers are not measured.
        tell: is told what is being done.
        endings: what else must be over before the folder is removed.
    """

    servers: Servers
    scale: float
    folder: Path
    rows: Mapping[str, Mapping[str, int]]
    peers_python: Path | None
    tell: Callable[[str], None]
    endings: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    @cached_property
    def catalog(self) -> Catalog:
        """The project's own."""
        return load_catalog()

    @cached_property
    def total_rows(self) -> int:
        """Rows of all tables of the catalog."""
        return sum(self.rows[name][t] for name, system in self.catalog.systems.items() for t in system.tables)

    def source(self, system: str) -> str:
        """What everybody reads: the replica, as ingestion does where there is one."""
        return self.servers.replica_dsn(system)

    def warehouse(self, database: str) -> str:
        """A database of the warehouse's server, as the platform's role."""
        return self.servers.server("warehouse").dsn(database, PLATFORM)

    @contextlib.contextmanager
    def database(self, template: str | None = None) -> Generator[str]:
        """A fresh database on the warehouse's server, after a checkpoint; dropped at the end. Gives its name."""
        name = self._create(template)
        try:
            yield name
        finally:
            self._admin(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def new_database(self, template: str | None = None) -> str:
        """A fresh database on the warehouse's server that stays until the stage falls. Gives its name."""
        return self._create(template)

    @cached_property
    def reference(self) -> str:
        """A warehouse that all five systems were ingested into once: the shape of the others, and a warm-up."""
        self.tell("ingesting once, untimed")
        name = self._create(None)
        self.worker("load", name)
        return name

    @cached_property
    def empty_tables(self) -> str:
        """A database with the raw tables of the reference as plain tables: logged, empty, without index."""
        name = self._create(None)
        with psycopg.connect(self.warehouse(self.reference), autocommit=True) as shape:
            statements = [row[0] for query in (_ENUMS, _TABLES) for row in shape.execute(query)]
        with psycopg.connect(self.warehouse(name), autocommit=True) as connection:
            for system in self.catalog.systems.values():
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(system.raw_schema)))
            for statement in statements:
                connection.execute(statement.encode())
        return name

    @cached_property
    def tables(self) -> list[SourceTable]:
        """All tables of the catalog."""
        with psycopg.connect(self.warehouse(self.reference), autocommit=True) as connection:
            text_only = set(connection.execute(_TEXT_ONLY).fetchall())

            def quoted(*names: str) -> str:
                return sql.Identifier(*names).as_string(connection)

            return [
                SourceTable(
                    system=name,
                    name=table,
                    source=quoted(*system.source_of(table)),
                    target=quoted(system.raw_schema, table),
                    columns=", ".join(quoted(column) for column in policy.columns),
                    key=", ".join(quoted(column) for column in policy.key),
                    format="text" if (system.raw_schema, table) in text_only else "binary",
                )
                for name, system in self.catalog.systems.items()
                for table, policy in system.tables.items()
            ]

    def worker(self, verb: str, database: str) -> Timed:
        """The platform's domain API in a process of its own (``benchmarks.worker``)."""
        environment = {
            **self.environment,
            "BENCHMARK_WAREHOUSE": self.warehouse(database),
            **{f"BENCHMARK_{s.upper()}_PRIMARY": self.servers.system_dsn(s) for s in SYSTEMS},
            **{f"BENCHMARK_{s.upper()}_REPLICA": self.servers.replica_dsn(s) for s in SYSTEMS},
        }
        return timed([[Command([sys.executable, "-m", "benchmarks.worker", verb], environment, PROJECT)]])

    @property
    def environment(self) -> dict[str, str]:
        """The user's, with the home of this stage and none of their databases."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DRIVETRAIN_"))}
        return {**mine, "DRIVETRAIN_HOME": str(self.servers.home)}

    def count(self, database: str) -> dict[str, int | None]:
        """Rows of every raw table by ``schema.table``; None where there is no such table."""
        found: dict[str, int | None] = {}
        with psycopg.connect(self._admin_dsn(database), autocommit=True) as connection:
            for table in self.tables:
                try:
                    relation = sql.Identifier(f"raw_{table.system}", table.name)
                    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(relation)).fetchone()
                except psycopg.errors.UndefinedTable:
                    row = None
                found[f"{table.system}.{table.name}"] = row[0] if row else None
        return found

    def missing(self, database: str) -> list[str]:
        """What a load did not bring: one line per table with other than its source's rows."""
        wanted = {f"{table.system}.{table.name}": self.rows[table.system][table.name] for table in self.tables}
        found = self.count(database)
        return [f"{name}: {found[name]} of {rows} rows" for name, rows in wanted.items() if found[name] != rows]

    def other_types(self, database: str) -> tuple[list[str], int]:
        """Columns that have another type than at the source, as ``was -> is``, and how many columns there are."""
        with (
            psycopg.connect(self._admin_dsn(self.reference)) as kept,
            psycopg.connect(self._admin_dsn(database)) as made,
        ):
            types = dict(kept.execute(_TYPES).fetchall())
            found = dict(made.execute(_TYPES).fetchall())
        same = [name for name in types if name in found]
        return [f"{types[name]} -> {found[name]}" for name in same if types[name] != found[name]], len(same)

    def check(self, who: str, database: str) -> None:
        """Refuse to time work that was not done.

        Raises:
            BenchmarkError: a table lacks rows.
        """
        if lines := self.missing(database):
            raise BenchmarkError(f"{who} did not load everything: {'; '.join(lines[:5])}")

    def _create(self, template: str | None) -> str:
        name = f"benchmark_{next(self._numbers)}"
        query = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(PLATFORM))
        if template is not None:
            query += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._admin(query, sql.Composed([sql.SQL("CHECKPOINT")]))
        return name

    def _admin_dsn(self, database: str) -> str:
        return self.servers.server("warehouse").dsn(database)

    def _admin(self, *statements: sql.Composed) -> None:
        with psycopg.connect(self._admin_dsn("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@contextlib.contextmanager
def stage(scale: float, peers_python: Path | None, tell: Callable[[str], None]) -> Iterator[Stage]:
    """Servers up and filled for the block; nothing of them is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="drivetrain-benchmarks-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the servers' account must be able to pass
        servers = Servers(folder / "home")
        try:
            with servers.running(tell):
                rows: dict[str, dict[str, int]] = {}
                for system in SYSTEMS:
                    tell(f"filling {system} at scale {scale:g}")
                    rows[system] = fill(servers.system_admin_dsn(system), system, seed=SEED, scale=scale, today=TODAY)
                servers.wait_for_replica(600)
                standing = Stage(servers, scale, folder, rows, peers_python, tell)
                with standing.endings:
                    yield standing
        finally:
            servers.destroy()
