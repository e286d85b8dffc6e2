"""A database with a partitioned table, its owner, and a maintainer who is no superuser: what tests of partitions share.

What does not belong here: what only one module needs.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, sql

from warehouse.catalog.partition import Partition, RangePartition
from warehouse.partitions.actions import Action
from warehouse.partitions.apply import Patience, Report, Work, maintain, read_and_plan
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import Dsn, connect

JANUARY = dt.datetime(2024, 1, 15, tzinfo=dt.UTC)
AT = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
MONTHLY = RangePartition(range="at", name="{table}_y{year}m{month}", premake=3)
AHEAD = [f"facts_y2024m{month:02d}" for month in (2, 3, 4, 5)]
ALL = ["facts_y2024m01", *AHEAD]
QUICK = Patience(lock_timeout=50, build_timeout=5000, attempts=3, pause=0.01)


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

    def bound(self, partition: str) -> str:
        """As PostgreSQL writes it."""
        query = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %s::regclass"
        row = self.admin.execute(query, [sql.Identifier(partition).as_string()]).fetchone()
        assert row is not None
        return str(row[0])

    def maintain(
        self, policy: Partition = MONTHLY, *, table: str = "facts", at: dt.datetime = AT, patience: Patience = QUICK
    ) -> Report:
        with connect(self.dsn, see_all_rows=True) as connection:
            return maintain(connection, target(policy, table), ("public", table), at, patience)

    def plan(self, policy: Partition = MONTHLY, *, table: str = "facts", at: dt.datetime = AT) -> list[Action]:
        with connect(self.dsn, see_all_rows=True, read_only=True) as connection:
            ((_, _, actions),) = read_and_plan(connection, [(target(policy, table), ("public", table))], at)
            return actions

    def plan_as_admin(self) -> list[Action]:
        """What is due, read by whom nothing holds up."""
        with connect(Dsn(conninfo.make_conninfo(self.admin.info.dsn, password=self.admin.info.password))) as connection:
            ((_, _, actions),) = read_and_plan(connection, [(target(MONTHLY), ("public", "facts"))], AT)
            return actions

    def reconnect(self) -> None:
        """After the server was away."""
        dsn = conninfo.make_conninfo(self.admin.info.dsn, password=self.admin.info.password)
        self.admin.close()
        self.admin = psycopg.connect(dsn, autocommit=True)

    def leftovers(self) -> list[tuple[Any, ...]]:
        """What a split or a conversion made for itself and did not take away."""
        return self.rows(
            "SELECT relname FROM pg_class WHERE relname ~ '^drivetrain_'"
            " UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '^drivetrain_'"
            " UNION ALL SELECT tgname FROM pg_trigger WHERE tgname ~ '^drivetrain_'"
            " UNION ALL SELECT conname FROM pg_constraint WHERE conname ~ '^drivetrain_'"
            " UNION ALL SELECT stxname FROM pg_statistic_ext WHERE stxname ~ '^drivetrain_'"
        )

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


def filled(place: Place, definition: str = "id bigint NOT NULL, at timestamptz NOT NULL, v text") -> None:
    """Five partitions with rows."""
    place.table(definition)
    assert not place.maintain().failed
    place("INSERT INTO facts SELECT i, '2024-01-01+00'::timestamptz + i * interval '6 hours', 'v' || i"
          " FROM generate_series(1, 400) AS i")  # fmt: skip


def validity(place: Place, like: str = "%") -> dict[str, bool]:
    return dict(
        place.admin.execute(
            "SELECT c.relname::text, x.indisvalid FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE %s ORDER BY 1",
            [like],
        ).fetchall()
    )


#: What makes something of each kind due on the table that ``ready`` makes, as often as it is run.
DUE: dict[str, str] = {
    "create": "DROP TABLE facts_y2024m02",
    "mend": "ALTER TABLE facts_y2024m01 DISABLE ROW LEVEL SECURITY; DROP POLICY all_rows ON facts_y2024m01;"
    " GRANT INSERT ON facts_y2024m01 TO PUBLIC; ALTER TABLE facts_y2024m01 REPLICA IDENTITY DEFAULT",
    "index": "DROP INDEX facts_v; CREATE INDEX facts_v ON ONLY facts (v); ALTER TABLE facts DROP CONSTRAINT told;"
    " ALTER TABLE ONLY facts ADD CONSTRAINT told UNIQUE (at, id)",
}
SHORT = MONTHLY.model_copy(update={"premake": 1})


def ready(place: Place) -> None:
    """A table for ``DUE``, maintained by ``SHORT`` as of January 2024."""
    place.table("id bigint NOT NULL, at timestamptz NOT NULL, v text, CONSTRAINT told UNIQUE (at, id)")
    place("CREATE UNIQUE INDEX identity ON facts (id, at)")
    place("CREATE INDEX facts_v ON facts (v)")
    for each in ("facts", "facts_y2024m01"):
        place("GRANT SELECT ON {} TO {}", each, place.app)
        place("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", each)
        place("CREATE POLICY all_rows ON {} USING (true)", each)
    place("ALTER TABLE facts REPLICA IDENTITY USING INDEX identity")
    place("INSERT INTO facts SELECT i, '2024-01-01+00'::timestamptz + i * interval '1 hour', 'v' || i"
          " FROM generate_series(1, 700) AS i")  # fmt: skip
    assert not place.maintain(SHORT, at=JANUARY).failed
    assert place.partitions() == ALL[:2]


class Dying:
    """A connection whose backend is killed after so many statements of a plan."""

    def __init__(self, connection: psycopg.Connection[Any], after: int, kill: Callable[[int], object]) -> None:
        self.connection, self.after, self.kill = connection, after, kill
        self.seen = 0

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            if action.statements:
                Work(self, [action], QUICK).go_on()  # type: ignore[arg-type]

    @property
    def closed(self) -> bool:
        return self.connection.closed

    @property
    def broken(self) -> bool:
        return self.connection.broken

    def transaction(self) -> Any:
        return self.connection.transaction()

    def execute(self, query: Any, parameters: Any = None) -> Any:
        answer = self.connection.execute(query, parameters)
        if isinstance(query, bytes):
            if self.seen == self.after:
                self.kill(self.connection.info.backend_pid)
            self.seen += 1
        return answer


def make_rides(place: Place, rows: int) -> None:
    """``rides``: a plain table with what tables have, from 10 January 2024 on, one every 25 minutes."""
    place("CREATE TABLE riders (id int PRIMARY KEY)")
    place("INSERT INTO riders SELECT generate_series(0, 99)")
    place(
        "CREATE TABLE rides (id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 2 CACHE 5) PRIMARY KEY,"
        " rider int NOT NULL CONSTRAINT of_rider REFERENCES riders ON DELETE CASCADE,"
        " at timestamptz NOT NULL DEFAULT '2024-03-05+00', metres numeric(9,1) CHECK (metres >= 0), note text,"
        " km numeric GENERATED ALWAYS AS (metres / 1000) STORED)"
    )
    place.own("riders", "rides")
    place("GRANT SELECT, INSERT, UPDATE, DELETE ON rides TO {}", place.app)
    place(
        "INSERT INTO rides (rider, at, metres)"
        " SELECT i % 100, '2024-01-10+00'::timestamptz + i * interval '25 min', i"
        f" FROM generate_series(1, {rows}) AS i"
    )


def limit_files(process: int, size: int) -> None:
    """No file that the process writes can grow beyond so many bytes. Only its own account may say so."""
    owner = Path(f"/proc/{process}").stat()
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    subprocess.run(["prlimit", f"--pid={process}", f"--fsize={size}"], check=True, **account)


def make_ledger(place: Place, rows: int) -> None:
    """``ledger``: partitioned by a hash of the rider, in two."""
    place("CREATE TABLE riders (id int PRIMARY KEY)")
    place("INSERT INTO riders SELECT generate_series(0, 99)")
    place(
        "CREATE TABLE ledger (id bigint GENERATED ALWAYS AS IDENTITY, rider int NOT NULL REFERENCES riders,"
        " amount numeric(12,2), note text, twice numeric GENERATED ALWAYS AS (amount * 2) STORED,"
        " PRIMARY KEY (id, rider)) PARTITION BY HASH (rider)"
    )
    for remainder in (0, 1):
        bound = f"FOR VALUES WITH (MODULUS 2, REMAINDER {remainder})"
        place(f"CREATE TABLE ledger_p{remainder} PARTITION OF ledger {bound}")
    place("CREATE INDEX ledger_amount ON ledger (amount)")
    place.own("riders", "ledger", "ledger_p0", "ledger_p1")
    place("GRANT SELECT, INSERT, UPDATE, DELETE ON ledger TO {}", place.app)
    place(f"INSERT INTO ledger (rider, amount) SELECT i % 100, i FROM generate_series(1, {rows}) AS i")


def killed(place: Place, step: Callable[..., Any], when: str) -> Callable[..., Any]:
    """The same step, whose session the server ends ``before`` or ``after`` it."""

    def dying(connection: psycopg.Connection[Any], *rest: Any) -> Any:
        answer = step(connection, *rest) if when == "after" else None
        place.kill(connection.info.backend_pid)
        return step(connection, *rest) if when == "before" else answer

    return dying
