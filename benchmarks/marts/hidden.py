"""``hidden_rows``: what analysts' queries cost through a view that hides restricted persons, below the masks.

The limit is the same masked view without it; beside it the masks inside the barrier, as they were at first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import psycopg

from benchmarks.lake.samples import empty_database
from benchmarks.model import LIMIT, OURS, Benchmark, Prepared, Sample
from benchmarks.stage import Stage
from demo.servers.model import PLATFORM
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

#: At scale 1: rows, persons, and how many of them are restricted in turn.
ROWS, PERSONS, RESTRICTED = 1_000_000, 50_000, (0, 10, 10_000)
_QUERIES = {
    "sums by day": "SELECT day, sum(n) FROM {} GROUP BY day",
    "sums by pseudonym": "SELECT person, sum(n) FROM {} GROUP BY person",
    "one row by its key": "SELECT * FROM {} WHERE id = 4711",
    "50 rows by ANY (ARRAY ...)":
        "SELECT * FROM {} WHERE id = ANY(ARRAY(SELECT 100 * g FROM generate_series(1, 50) g))",
    "50 rows by a join with their keys":
        "SELECT v.* FROM (SELECT g * 100 AS id FROM generate_series(1, 50) g) k JOIN {} v USING (id)",
    "a condition on a numeric, pseudonyms counted": "SELECT count(DISTINCT person) FROM {} WHERE amount > 140",
}  # fmt: skip
_MASKED = """
SELECT u.id, platform.pseudonym('x.person', u.person::text,
       (SELECT k.inner_pad FROM platform.masking_key AS k),
       (SELECT k.outer_pad FROM platform.masking_key AS k)) AS person, u.day, u.amount, u.n FROM {} AS u
"""
_WHO = "SELECT FROM platform.restriction r WHERE r.system = 'x' AND r.table_name = 'p' AND r.column_name = 'id'"
_HIDDEN = f" WHERE NOT (EXISTS ({_WHO}) AND EXISTS ({_WHO} AND r.value = u.person::text))"
_VIEWS = {
    "shows_all": f"CREATE VIEW shows_all AS {_MASKED.format('facts')}",
    "masks_inside": f"CREATE VIEW masks_inside WITH (security_barrier) AS {_MASKED.format('facts')}{_HIDDEN}",
    "below": f"CREATE VIEW below WITH (security_barrier) AS SELECT u.* FROM facts AS u{_HIDDEN}",
    "masks_above": f"CREATE VIEW masks_above AS {_MASKED.format('below')}",
}


def prepare(stage: Stage) -> Prepared:
    """Ready: a table of facts of persons, and the views."""
    server = stage.servers.server("warehouse")
    dsn = empty_database(server, "hidden_rows")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE hidden_rows OWNER TO {PLATFORM}".encode())
    with connect(Dsn(server.dsn("hidden_rows", PLATFORM))) as platform:
        migrate(platform)
    rows = int(ROWS * stage.scale)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE facts AS SELECT i AS id, i * 7919 % {PERSONS} AS person,"
            f" DATE '2024-01-01' + (i % 365)::int AS day, (i % 1000) / 7.0 AS amount, i % 97 AS n"
            f" FROM generate_series(1::bigint, {rows}) i".encode()
        )
        connection.execute("ALTER TABLE facts ADD PRIMARY KEY (id)")
        connection.execute("VACUUM ANALYZE facts")
        for view in _VIEWS.values():
            connection.execute(view.encode())
    notes = [f"{rows:,} rows of {PERSONS:,} persons; {len(_QUERIES)} queries, each with so many persons restricted."]
    return Prepared({"queries": lambda: _all(dsn)}, notes)


def _all(dsn: str) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # the requests that they would be of are not there
        for persons in RESTRICTED:
            connection.execute("DELETE FROM platform.restriction")
            connection.execute(
                "INSERT INTO platform.restriction (system, table_name, column_name, value, request)"
                " SELECT 'x', 'p', 'id', (g * 5)::text, 1 FROM generate_series(1, %s) g", (persons,),
            )  # fmt: skip
            for name, query in _QUERIES.items():
                for view in ("shows_all", "masks_inside", "masks_above"):
                    started = time.perf_counter()
                    connection.execute(query.format(view).encode()).fetchall()
                    found[f"{name}, {persons:,} restricted, {view}"] = Sample(time.perf_counter() - started)
    for series, view in ((OURS, "masks_above"), (LIMIT, "shows_all"), ("masks inside the barrier", "masks_inside")):
        found[series] = Sample(sum(s.seconds for name, s in found.items() if name.endswith(f", {view}")))
    return found


BENCHMARK = Benchmark(
    name="hidden_rows",
    ours="six queries of analysts, with nobody, ten and ten thousand persons restricted",
    limit="the same through masked views that hide nobody",
    prepare=prepare,
)
