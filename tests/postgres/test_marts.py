"""The marts, built by dbt from ingested rows, against an independent computation from the operational rows.

What belongs here: whole marts on real servers. What does not: single definitions (dbt's unit tests, beside the marts).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest
from independent_marts import INDEPENDENT_MARTS
from mart_runs import DbtRun, expected_rows, fresh_database, mart_rows, run_dbt

from demo.generate import change, fill
from demo.servers import Servers
from warehouse.catalog.loader import load_catalog
from warehouse.ingest import ingest_table
from warehouse.ingest.snapshot import open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

SYSTEMS = ("logistics", "throttlecove", "shop")
TODAY = dt.date(2026, 7, 1)
MARTS = sorted(INDEPENDENT_MARTS)


@dataclass(frozen=True)
class Built:
    """Filled operational databases, and a warehouse with the marts made of them."""

    operational: dict[str, str]
    warehouse: str
    run: DbtRun


@pytest.fixture(scope="module")
def databases(servers: Servers) -> Iterator[tuple[dict[str, str], str]]:
    """Connection strings of a fresh database per system, and of a fresh warehouse."""
    with ExitStack() as stack:
        operational = {system: stack.enter_context(fresh_database(servers, "operational")) for system in SYSTEMS}
        yield operational, stack.enter_context(fresh_database(servers, "warehouse"))


@pytest.fixture(scope="module")
def built(databases: tuple[dict[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Three systems after a day of changes, ingested, and what ``dbt build`` made of them."""
    operational, warehouse = databases
    catalog = load_catalog()
    with connect(Dsn(warehouse)) as connection:
        migrate(connection)
    for name, dsn in operational.items():
        fill(dsn, name, seed=3, scale=0.05, today=TODAY)
        change(dsn, name, seed=3, round=1)
        needed = {table for mart in INDEPENDENT_MARTS.values() if mart.system == name for table in mart.tables}
        with open_snapshot(Dsn(dsn)) as snapshot:
            for table in sorted(needed):
                ingest_table(snapshot, Dsn(warehouse), catalog.systems[name], table)
    run = run_dbt(
        warehouse,
        tmp_path_factory.mktemp("dbt"),
        "build",
        "--select",
        *(f"+{mart}" for mart in MARTS),
    )
    return Built(operational, warehouse, run)


def test_the_build_passes(built: Built) -> None:
    assert built.run.code == 0, built.run.output
    assert all(built.run.statuses[mart] == "success" for mart in MARTS)
    assert not [name for name, status in built.run.statuses.items() if status not in ("success", "pass")]


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_equals_the_independent_computation(built: Built, mart: str) -> None:
    independent = INDEPENDENT_MARTS[mart]
    with (
        psycopg.connect(built.operational[independent.system]) as source,
        psycopg.connect(built.warehouse) as target,
    ):
        expected = expected_rows(source, independent)
        found = mart_rows(target, mart, independent.key)
    assert len(expected) > 5, "too few rows to prove anything"
    assert found.keys() == expected.keys()
    assert {key: row for key, row in found.items() if row != expected[key]} == {}
