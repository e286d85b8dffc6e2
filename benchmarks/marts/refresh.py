"""``mart_refresh``: refresh ``rider_leaderboard`` and ``shop_analytics`` after 1 % new rows, late ones and corrections.

The limit is PostgreSQL's own way, ``REFRESH MATERIALIZED VIEW CONCURRENTLY`` of plain views with the same definition:
here a ratio above 1 means that ours costs less. What is compared is the time that the server spends on statements
(``pg_stat_statements``), so neither side pays for a client.

Three histories of 1/4, 1/2 and all of the rows meet the same change, of 1 % of the smallest: what grows with the
history shows in the series. The whole history also meets a change of 1 % of its own rows, which is what ``ours`` and
``limit`` are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks import psql
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Candidate, Prepared, Sample
from benchmarks.processes import Command, timed
from benchmarks.stage import PROJECT, Stage
from resources.dbt import DBT_EXECUTABLE, DBT_PROJECT, connection_environment
from warehouse.postgres.sessions import Dsn

#: Rows of the ledger, and of order items, at scale 1.
ROWS = 20_000_000
RIDERS, SHOPS = 5_000, 3_000
MARTS = ("rider_leaderboard", "shop_analytics")
PARTS = {"1/4 of the history": 4, "1/2 of the history": 2, "the whole history": 1}

_HERE = Path(__file__).parent
_NUMBERS = itertools.count(1)
_SPENT = """
SELECT coalesce(sum(total_exec_time), 0) / 1000 FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
 WHERE d.datname = current_database()
"""
_DIFFERENT = {
    "rider_leaderboard": ("rider_id", "total_earnings", "completed_orders", "avg_rating", "earnings_rank", "city_rank"),
    "shop_analytics": ("shop_id", "total_orders", "avg_order_value", "avg_fulfillment_time", "avg_rating"),
}


@dataclass(frozen=True)
class Warehouse:
    """A warehouse with a history, marts over it, and plain views beside them."""

    stage: Stage
    database: str
    rows: int
    marts: tuple[str, ...] = MARTS

    @classmethod
    def made(cls, stage: Stage, name: str, rows: int, more: tuple[str, ...] = ()) -> Warehouse:
        """A warehouse with ``rows`` ledger entries and order items, whose marts (and ``more`` of them) are built."""
        stage.tell(f"making {name}: {rows:,} ledger entries and order items")
        made = cls(stage, stage.new_database(stage.reference), rows, (*MARTS, *more))
        made.script("history.sql", rows=rows)
        made.script("views.sql")
        with psycopg.connect(made.admin, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        made.dbt()
        made.check()
        return made

    @property
    def dsn(self) -> str:
        return self.stage.warehouse(self.database)

    @property
    def admin(self) -> str:
        return self.stage.servers.server("warehouse").dsn(self.database)

    def script(self, file: str, **variables: int) -> None:
        """Run a file of this folder."""
        given = {"riders": RIDERS, "shops": SHOPS, **variables}
        told = [part for name, value in given.items() for part in ("-v", f"{name}={value}")]
        command = [psql.program(), "-X", "-q", "-v", "ON_ERROR_STOP=1", *told, "-f", str(_HERE / file)]
        timed([[Command(command, psql.environment(self.dsn))]])

    def dbt(self, *arguments: str) -> None:
        """Build the marts and what they are made of."""
        folder = self.stage.folder / "dbt" / self.database
        environment = {
            **self.stage.environment,
            **connection_environment(Dsn(self.dsn)),
            "DBT_PROJECT_DIR": str(DBT_PROJECT),
            "DBT_PROFILES_DIR": str(DBT_PROJECT),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        select = [f"+{mart}" for mart in self.marts]
        timed([[Command([str(DBT_EXECUTABLE), "run", "--select", *select, *arguments], environment, PROJECT)]])

    def spent(self, work: str) -> float:
        """Seconds that the server spends on statements while the marts (``ours``) or the views are refreshed."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute("SELECT pg_stat_statements_reset()")
            if work == "ours":
                self.dbt()
            else:
                for mart in MARTS:
                    view = sql.Identifier("plain", mart)
                    connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW CONCURRENTLY {}").format(view))
            row = connection.execute(_SPENT.encode()).fetchone()
            assert row is not None
            return float(row[0])

    def check(self) -> None:
        """Both must say the same.

        Raises:
            BenchmarkError: they do not.
        """
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for mart, columns in _DIFFERENT.items():
                ours, plain = (
                    sql.SQL("SELECT {} FROM {}").format(
                        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(schema, mart)
                    )
                    for schema in ("marts", "plain")
                )
                different = sql.SQL("SELECT count(*) FROM (({0} EXCEPT {1}) UNION ALL ({1} EXCEPT {0})) AS d")
                row = connection.execute(different.format(ours, plain)).fetchone()
                if row is None or row[0]:
                    raise BenchmarkError(f"{mart} differs from the plain view in {row and row[0]} rows")


def prepare(stage: Stage) -> Prepared:
    """Ready: three warehouses, marts built, views filled, one change refreshed untimed."""
    rows = int(ROWS * stage.scale)
    warehouses = {name: Warehouse.made(stage, name, rows // divisor) for name, divisor in PARTS.items()}
    candidates: dict[str, Candidate] = {
        name: lambda name=name: _refresh(warehouses[name], rows // 400, name) for name in PARTS
    }
    candidates["1 % of the whole history"] = lambda: _refresh(warehouses["the whole history"], rows // 100, None)
    for candidate in candidates.values():
        candidate()
    return Prepared(
        candidates,
        [
            f"{rows:,} ledger entries and as many order items in the whole history; a change is 1 % of them"
            f" ({rows // 100:,} of each, with their orders), or {rows // 400:,} where the series names a history.",
            "Of every change 2 % are late rows of any month; some rows are corrected or deleted.",
            "Database time only: the sum of pg_stat_statements. After every refresh both sides are compared.",
        ],
    )


def _refresh(warehouse: Warehouse, changed: int, name: str | None) -> Mapping[str, Sample]:
    warehouse.script("change.sql", rows=changed, first=next(_NUMBERS) * 1_000_000_000)
    ours, plain = (Sample(warehouse.spent(work)) for work in ("ours", "plain"))
    warehouse.check()
    if name is None:
        return {OURS: ours, LIMIT: plain}
    return {f"ours, {name}": ours, f"views, {name}": plain}


BENCHMARK = Benchmark(
    name="mart_refresh",
    ours="refreshing rider_leaderboard and shop_analytics after 1 % new rows (database time of one dbt run)",
    limit="REFRESH MATERIALIZED VIEW CONCURRENTLY of plain views with the same definition (database time)",
    prepare=prepare,
)
