"""A database with a partitioned table, its owner, and a maintainer who is no superuser: what tests of partitions share.

What does not belong here: what only one module needs.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import psycopg
from psycopg import conninfo, sql

from warehouse.catalog.partition import Partition, RangePartition
from warehouse.partitions.actions import Action
from warehouse.partitions.apply import Patience, Report, maintain, read_and_plan
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import Dsn, connect

AT = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
MONTHLY = RangePartition(range="at", name="{table}_y{year}m{month}", premake=3)
AHEAD = [f"facts_y2024m{month:02d}" for month in (2, 3, 4, 5)]
QUICK = Patience(lock_timeout=50, attempts=3, pause=0.01)


class Place:
    """A database with a partitioned table, its owner, and a maintainer who is no superuser."""

    def __init__(self, admin: str) -> None:
        self.admin = psycopg.connect(admin, autocommit=True)
        mark = uuid.uuid4().hex[:8]
        self.owner, self.maintainer, self.app = f"owner_{mark}", f"maintainer_{mark}", f"app_{mark}"
        self("CREATE ROLE {} NOLOGIN", self.owner)
        self("CREATE ROLE {} NOLOGIN", self.app)
        self("CREATE ROLE {} LOGIN PASSWORD 'x' IN ROLE {}", self.maintainer, self.owner)
        self("GRANT USAGE, CREATE ON SCHEMA public TO {}", self.owner)
        self("GRANT USAGE ON SCHEMA public TO {}", self.app)
        self.dsn = Dsn(conninfo.make_conninfo(admin, user=self.maintainer, password="x"), "the database")

    def __call__(self, statement: str, *names: str) -> None:
        self.admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]

    def table(self, definition: str = "id bigint, at timestamptz NOT NULL, v text, PRIMARY KEY (id, at)") -> None:
        """``facts``, with January 2024, owned by the owner."""
        self(f"CREATE TABLE facts ({definition}) PARTITION BY RANGE (at)")
        self("CREATE TABLE facts_y2024m01 PARTITION OF facts FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00')")
        self.own("facts", "facts_y2024m01")

    def own(self, *tables: str) -> None:
        for table in tables:
            self("ALTER TABLE {} OWNER TO {}", table, self.owner)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.admin.execute(query.encode()).fetchall()

    def partitions(self, table: str = "facts") -> list[str]:
        return [
            row[0]
            for row in self.admin.execute(
                "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
                " WHERE i.inhparent = %s::regclass ORDER BY 1",
                [sql.Identifier(table).as_string()],
            )
        ]

    def maintain(
        self, policy: Partition = MONTHLY, *, table: str = "facts", at: dt.datetime = AT, patience: Patience = QUICK
    ) -> Report:
        with connect(self.dsn, see_all_rows=True) as connection:
            return maintain(connection, target(policy, table), ("public", table), at, patience)

    def plan(self, policy: Partition = MONTHLY, *, table: str = "facts", at: dt.datetime = AT) -> list[Action]:
        with connect(self.dsn, see_all_rows=True, read_only=True) as connection:
            ((_, _, actions),) = read_and_plan(connection, [(target(policy, table), ("public", table))], at)
            return actions

    def kill(self, process: int) -> None:
        self.admin.execute("SELECT pg_terminate_backend(%s)", [process])

    def close(self) -> None:
        for role in (self.maintainer, self.app, self.owner):
            self("DROP OWNED BY {} CASCADE", role)
            self("DROP ROLE {}", role)
        self.admin.close()


def target(policy: Partition, table: str = "facts") -> Target:
    return Target("app", table, "source", policy)


def kinds(actions: list[Action]) -> list[str]:
    return [action.kind for action in actions]
