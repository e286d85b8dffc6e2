"""Checks before models: what blocks, what warns, and what a run shows of it. On real servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets import keys
from assets.quality import EXPECTATIONS, FRESHNESS, SCHEMA, VOLUME
from sensors.failures import models_beside
from warehouse.catalog import Catalog, load_catalog

POLICY = """
system: market
title: A market
description: A market.
owner: market team
history_starts: 2026-01-01
defaults: {retention: lifetime, erasure: no_person}
tables:
  stalls:
    description: Stalls.
    key: [id]
    columns: {id: {type: bigint}, name: {type: text}}
  sales:
    description: Sales.
    key: [id, at]
    time: at
    ingest: {mode: partition}
    columns:
      id: {type: bigint}
      at: {type: timestamptz}
      stall_id: {type: bigint}
      currency: {type: text}
      amount: {type: "numeric(10,2)"}
    quality:
      stall_id: {references: stalls.id}
      amount: {not_null: true, between: [0, 1000]}
      currency: {among: [BRL], severity: warn}
"""
SALES = keys.raw("market", "sales")
ALL = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-02-01"}
FEBRUARY = {**ALL, "dagster/asset_partition_range_start": "2026-02-01"}


@pytest.fixture
def source(new_database: Callable[[str], str]) -> str:
    dsn = new_database("operational")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE stalls (id bigint PRIMARY KEY, name text)")
        connection.execute(
            "CREATE TABLE sales (id bigint, at timestamptz, stall_id bigint, currency text, amount numeric(10, 2),"
            " PRIMARY KEY (id, at))"
        )
        connection.execute("INSERT INTO stalls VALUES (1, 'one')")
        connection.execute(
            "INSERT INTO sales SELECT i, timestamptz '2026-01-01+00' + i * interval '1 day', 1, 'BRL', 10"
            " FROM generate_series(1, 50) AS i"
        )
    return dsn


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(
    source: str,
    new_database: Callable[[str], str],
    definitions: dg.Definitions,  # its import comes first
    manifest: Path,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a job over one small system and a mart that stands on its sales."""
    from pipelines.definitions import build_definitions

    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "market.yaml").write_text(POLICY)
    catalog = load_catalog(tmp_path / "catalog")

    @dg.asset(deps=[SALES], key=["marts", "takings"])
    def takings() -> None: ...

    @dg.asset(deps=[keys.raw("market", "stalls")], key=["marts", "directory"])
    def directory() -> None: ...

    mine = dg.Definitions.merge(build_definitions(catalog, manifest), dg.Definitions(assets=[takings, directory]))
    monkeypatch.setenv("DRIVETRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("DRIVETRAIN_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("DRIVETRAIN_MARKET_DSN", source)
    monkeypatch.setenv("DRIVETRAIN_WAREHOUSE_DSN", new_database("warehouse"))

    def execute(job: str = "daily", tags: dict[str, str] = ALL) -> dg.ExecuteInProcessResult:
        return mine.resolve_job_def(job).execute_in_process(instance=instance, tags=tags, raise_on_error=False)

    return execute


def change(source: str, query: str) -> None:
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(query.encode())


def evaluations(result: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    return {e.asset_key.path[-1]: e for e in result.get_asset_check_evaluations() if e.check_name == name}


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {event.step_materialization_data.materialization.asset_key.path[-1] for event in events}


def test_good_rows_pass_and_models_are_built(run: Run, tmp_path: Path) -> None:
    result = run()
    assert result.success
    assert {"sales", "stalls", "takings", "directory"} == made(result)
    sales = evaluations(result, EXPECTATIONS)["sales"]
    assert sales.passed and sales.blocking
    assert sales.metadata["rows"].value == 50 and sales.metadata["looked at"].value == "the whole table"
    assert Path(sales.metadata["data docs"].value).is_file() and (tmp_path / "data_docs" / "index.html").is_file()
    for name in (VOLUME, FRESHNESS, SCHEMA):
        assert set(evaluations(result, name)) == {"sales", "stalls"}
        assert all(e.passed and not e.blocking for e in evaluations(result, name).values()), name


def test_a_negative_amount_stops_the_models_and_is_named(run: Run, source: str) -> None:
    run()
    change(source, "UPDATE sales SET amount = -3 WHERE id IN (5, 6)")
    result = run()
    assert not result.success
    assert "sales" in made(result), "the raw table is what the source is"
    assert "takings" not in made(result), "the mart keeps what it has"
    assert "directory" in made(result), "stands on another table"
    found = evaluations(result, EXPECTATIONS)["sales"]
    assert not found.passed and found.severity == dg.AssetCheckSeverity.ERROR
    assert "market.sales" in found.description and "2 rows break: amount is between 0 and 1000" in found.description
    assert found.metadata["failed: amount is between 0 and 1000"].value == 2
    assert "5, 2026-01-06" in found.metadata["rules"].value
    assert "market.sales" in found.metadata["what to do"].value

    change(source, "UPDATE sales SET amount = 3 WHERE id IN (5, 6)")
    assert run().success, "mended at the source, the next run builds"


def test_building_models_alone_does_not_pass_by_a_broken_rule(run: Run, source: str) -> None:
    change(source, "UPDATE sales SET amount = -3 WHERE id = 5")
    ingested = run("ingest")
    assert ingested.success and not evaluations(ingested, EXPECTATIONS), "ingestion leaves it to who builds"
    built = run("models", {})
    assert not built.success and made(built) == {"directory"}


def test_a_foreign_currency_warns_and_the_models_are_built(run: Run, source: str) -> None:
    change(source, "UPDATE sales SET currency = 'USD' WHERE id = 5")
    result = run()
    assert result.success and "takings" in made(result)
    found = evaluations(result, EXPECTATIONS)["sales"]
    assert not found.passed and found.severity == dg.AssetCheckSeverity.WARN
    assert "1 rows break: currency is one of BRL" in found.description


def test_a_run_of_recent_months_holds_them_to_the_rules_of_a_row(run: Run, source: str) -> None:
    run()
    change(source, "UPDATE sales SET amount = -3, stall_id = 9 WHERE id = 5")
    change(source, "UPDATE sales SET stall_id = 9 WHERE id = 45")
    found = evaluations(run(tags=FEBRUARY), EXPECTATIONS)["sales"]
    assert found.passed and found.metadata["rows"].value == 20, "January was not loaded, and stalls are for the night"
    nightly = evaluations(run(), EXPECTATIONS)["sales"]
    assert nightly.metadata["failed: stall_id is in stalls.id"].value == 2
    assert nightly.metadata["failed: amount is between 0 and 1000"].value == 1


def test_a_column_that_came_is_named(run: Run, source: str) -> None:
    change(source, "ALTER TABLE sales ADD COLUMN tip numeric")
    found = evaluations(run(), SCHEMA)["sales"]
    assert not found.passed and found.severity == dg.AssetCheckSeverity.WARN
    assert "tip" in found.description
    assert evaluations(run(), SCHEMA)["stalls"].passed


def test_a_source_that_fell_silent_is_told(run: Run, source: str) -> None:
    change(source, "DELETE FROM sales")
    change(
        source,
        "INSERT INTO sales"
        " SELECT i, date_trunc('hour', now()) - interval '10 days' - i * interval '1 hour', 1, 'BRL', 1"
        " FROM generate_series(0, 1000) AS i",
    )
    result = run(tags={**ALL, "dagster/asset_partition_range_end": _this_month()})
    assert result.success, "it warns"
    found = evaluations(result, FRESHNESS)["sales"]
    assert not found.passed and found.metadata["longest_usual_silence_hours"].value == 1.0
    volume = evaluations(result, VOLUME)["sales"]
    assert not volume.passed and volume.metadata["rows"].value == 0 and volume.metadata["usual_rows"].value == 24


def _this_month() -> str:
    import datetime as dt

    return f"{dt.datetime.now(dt.UTC).date().replace(day=1)}"


def test_every_table_has_its_checks_and_only_rules_block(definitions: dg.Definitions, catalog: Catalog) -> None:
    graph = definitions.resolve_asset_graph()
    for name, system in catalog.systems.items():
        for table, policy in system.tables.items():
            for check in (EXPECTATIONS, VOLUME, FRESHNESS, SCHEMA):
                key = dg.AssetCheckKey(keys.raw(name, table), check)
                if check == EXPECTATIONS and not policy.quality:
                    assert key not in graph.asset_check_keys
                    continue
                assert graph.get_check_spec(key).blocking == (check == EXPECTATIONS)


def test_whatever_builds_models_checks_what_they_are_made_from(definitions: dg.Definitions, catalog: Catalog) -> None:
    graph = definitions.resolve_asset_graph()
    rules = {key for key in graph.asset_check_keys if key.name == EXPECTATIONS}
    for job in ("hourly", "six_hourly", "daily", "models"):
        layer = definitions.resolve_job_def(job).asset_layer
        selected = layer.selected_asset_keys
        raw = {parent for key in selected for parent in graph.get(key).parent_keys if parent.path[0].startswith("raw_")}
        checked = {key.asset_key for key in rules if key in layer.asset_graph.asset_check_keys}
        assert raw & {key.asset_key for key in rules} <= checked, job
    for job in ("ingest", *(f"ingest_{name}" for name in catalog.systems)):
        assert not rules & set(definitions.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys), job


def test_the_others_models_are_built_beside_a_table_that_was_refused(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    planned = definitions.resolve_job_def("hourly").asset_layer.selected_asset_keys
    raw = {key for key in planned if not graph.get(key).parent_keys}
    rest = models_beside(graph, planned, raw, refused={keys.raw("shop", "orders")})
    assert keys.model("marts", "rider_leaderboard") in rest
    assert keys.model("marts", "shop_analytics") not in rest
