"""The whole dbt project on raw tables without rows, and its unit tests against marts as they are often written.

What belongs here: that the project builds where nothing happened yet, that its views are replaced in place, and that
each wrong way in ``tests/naive_marts`` fails a unit test. What does not: figures (``test_marts``).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from mart_runs import PROJECT, DbtRun, fresh_database, run_dbt
from psycopg import sql

from demo.servers import Servers
from warehouse.catalog import load_catalog
from warehouse.ingest import ingest_table, open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

ROOT = Path(__file__).parents[2]
NAIVE = ROOT / "tests" / "naive_marts"


#: Whole projects are built for it, each wrong in one place.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def warehouse(servers: Servers) -> Iterator[str]:
    """A warehouse with every raw table, ingested from applications where nothing happened yet."""
    with fresh_database(servers, "warehouse") as dsn:
        with connect(Dsn(dsn)) as connection:
            migrate(connection)
        for name, system in load_catalog().systems.items():
            with fresh_database(servers, "operational") as source:
                _make_schema(source, name)
                with open_snapshot(Dsn(source)) as snapshot:
                    for table in system.tables:
                        ingest_table(snapshot, Dsn(dsn), system, table)
        yield dsn


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all runs, so that dbt parses the project once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def built(warehouse: str, artifacts: Path) -> DbtRun:
    """The whole project, built on the empty tables."""
    return run_dbt(warehouse, artifacts, "build")


def test_the_project_builds_where_nothing_happened_yet(built: DbtRun) -> None:
    assert built.code == 0, built.output
    assert {name for name, status in built.statuses.items() if status not in ("success", "pass", "no-op")} == set()


@pytest.mark.usefixtures("built")
def test_the_unit_tests_notice_every_naive_mart(warehouse: str, artifacts: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
    naive = {file.stem: file.read_text() for file in NAIVE.glob("*.sql")}
    for name, body in naive.items():
        (model,) = project.glob(f"models/*/*/{name}.sql")
        config = re.match(r"\{\{ config\(.*?\) \}\}\n", model.read_text(), re.DOTALL)
        assert config is not None
        model.write_text(f"{config[0]}\n{body}")
    run = run_dbt(warehouse, artifacts, "test", "--select", "test_type:unit", project=project)
    assert not [name for name, status in run.statuses.items() if status == "error"], run.output
    failed = {name for name, status in run.statuses.items() if status == "fail"}
    assert naive
    assert {model for model in naive if not failed & _unit_tests(project, model)} == set()


@pytest.mark.usefixtures("built")
def test_a_view_is_replaced_under_its_readers_unless_its_columns_changed(warehouse: str, artifacts: Path) -> None:
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("CREATE VIEW public.undisturbed AS SELECT id FROM staging.stg_logistics__ratings")
        connection.execute("CREATE VIEW public.dropped AS SELECT id FROM staging.stg_logistics__support_tickets")
        connection.execute("ALTER VIEW staging.stg_logistics__support_tickets RENAME COLUMN subject TO topic")
    run = run_dbt(warehouse, artifacts, "run", "--select", "staging.logistics")
    assert run.code == 0, run.output
    with psycopg.connect(warehouse) as connection:
        views = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public' ORDER BY 1").fetchall()
    assert views == [("undisturbed",)]


@pytest.mark.usefixtures("built")
def test_a_refresh_does_not_wait_for_those_who_read_an_unchanged_view(
    warehouse: str, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = ("run", "--select", "staging.logistics", "int_rider_months")
    assert run_dbt(warehouse, artifacts, *again).code == 0
    with psycopg.connect(warehouse) as reader:
        reader.execute("SELECT count(*) FROM staging.stg_logistics__ratings")
        # What an ANALYZE or autovacuum holds: a comment would wait for it.
        reader.execute("LOCK TABLE intermediate.int_rider_months IN SHARE UPDATE EXCLUSIVE MODE")
        monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=2s")
        run = run_dbt(warehouse, artifacts, *again)
    assert run.code == 0, run.output


def _make_schema(dsn: str, system: str) -> None:
    """An application's tables, without a row."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(
            sql.SQL(
                "DO $$ BEGIN CREATE ROLE {} NOLOGIN;"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            ).format(sql.Identifier(f"{system}_app"))
        )
        connection.execute((ROOT / "demo" / system / "schema.sql").read_bytes())


def _unit_tests(project: Path, model: str) -> set[str]:
    """Names of a model's unit tests."""
    (file,) = project.glob(f"models/*/*/{model}.yml")
    return {test["name"] for test in yaml.safe_load(file.read_text())["unit_tests"]}
