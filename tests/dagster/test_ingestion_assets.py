"""Raw assets at work on real servers: what a run shows, what it retries, and what it refuses to pass on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg import conninfo

import assets.failures
import assets.ingestion
from assets import keys
from assets.ingestion import COMPLETE, RECONCILED
from resources.alerts import Alerts
from sensors.failures import failed_runs
from warehouse.catalog import load_catalog
from warehouse.errors import Busy, ReconciliationFailed, ServerUnavailable

POLICY = """
system: sixth
title: A sixth
description: Another system.
owner: somebody
history_starts: 2025-01-01
defaults: {retention: lifetime, erasure: no_person}
tables:
  things:
    description: Things.
    key: [id]
    columns: {id: {type: bigint}, name: {type: text}}
  facts:
    description: Facts.
    key: [id, at]
    time: at
    ingest: {mode: partition}
    columns: {id: {type: bigint}, at: {type: timestamptz}}
"""
MONTHS = {"dagster/asset_partition_range_start": "2025-01-01", "dagster/asset_partition_range_end": "2025-03-01"}

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def source(new_database: Callable[[str], str]) -> str:
    dsn = new_database("operational")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id bigint PRIMARY KEY, name text)")
        connection.execute("CREATE TABLE facts (id bigint, at timestamptz, PRIMARY KEY (id, at))")
        connection.execute("INSERT INTO things SELECT i, 'thing ' || i FROM generate_series(1, 10) AS i")
        connection.execute(
            "INSERT INTO facts SELECT i, timestamptz '2025-01-15+00' + i * interval '10 days'"
            " FROM generate_series(0, 5) AS i"
        )
    return dsn


@pytest.fixture
def run(
    source: str,
    new_database: Callable[[str], str],
    definitions: dg.Definitions,  # its import comes first
    manifest: Path,
    home: Path,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a job of a catalog with one small system."""
    from pipelines.definitions import build_definitions

    (tmp_path / "sixth.yaml").write_text(POLICY)
    catalog = load_catalog(tmp_path)

    @dg.asset(deps=[keys.raw("sixth", "things")])
    def downstream() -> None: ...

    mine = dg.Definitions.merge(build_definitions(catalog, manifest), dg.Definitions(assets=[downstream]))
    monkeypatch.setenv("DRIVETRAIN_HOME", str(home))
    monkeypatch.setenv("DRIVETRAIN_CATALOG", str(tmp_path))
    monkeypatch.setenv("DRIVETRAIN_SIXTH_DSN", source)
    monkeypatch.setenv("DRIVETRAIN_WAREHOUSE_DSN", new_database("warehouse"))
    for pauses in ("BUSY_PAUSES", "OTHER_PAUSES"):
        monkeypatch.setattr(assets.failures, pauses, tuple(0.01 for _ in getattr(assets.failures, pauses)))

    def execute(**tags: str) -> dg.ExecuteInProcessResult:
        return mine.resolve_job_def("daily").execute_in_process(
            instance=instance, tags={**MONTHS, **tags}, raise_on_error=False
        )

    return execute


def materialized(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> list[dg.AssetMaterialization]:
    events = (e.step_materialization_data.materialization for e in result.get_asset_materialization_events())
    return [event for event in events if event.asset_key == key]


def checks(result: dg.ExecuteInProcessResult, name: str = RECONCILED) -> dict[str, bool]:
    return {e.asset_key.path[-1]: e.passed for e in result.get_asset_check_evaluations() if e.check_name == name}


def test_a_run_shows_rows_bytes_time_and_proof(run: Run) -> None:
    result = run()
    assert result.success
    (things,) = materialized(result, keys.raw("sixth", "things"))
    values = {name: entry.value for name, entry in things.metadata.items()}
    assert values["rows_written"] == 10 == values["dagster/row_count"] == values["source_rows"]
    assert values["bytes_moved"] > 0 and values["seconds"] > 0
    assert values["source_fingerprint"] == values["warehouse_fingerprint"]
    assert len(materialized(result, keys.raw("sixth", "facts"))) == 3, "one event per month, from a single step"
    assert checks(result) == {"things": True, "facts": True}


def test_the_row_count_is_the_tables_and_not_the_runs(run: Run) -> None:
    run()
    month = {"dagster/asset_partition_range_start": "2025-03-01", "dagster/asset_partition_range_end": "2025-03-01"}
    (facts,) = materialized(run(**month), keys.raw("sixth", "facts"))
    values = {name: entry.value for name, entry in facts.metadata.items()}
    assert values["dagster/row_count"] == 6
    assert values["source_rows"] == values["warehouse_rows"] == 1
    assert values["scope"] == "2025-03"


def test_a_second_run_writes_nothing(run: Run) -> None:
    run()
    (things,) = materialized(run(), keys.raw("sixth", "things"))
    assert things.metadata["rows_written"].value == 0


def test_all_tables_of_a_run_are_read_under_one_snapshot(
    run: Run, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Rows that arrive between two tables' loads belong to the next run."""
    original = assets.ingestion.ingest_table
    order: list[str] = []

    def ingest_then_insert(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        order.append(arguments[3])
        with psycopg.connect(source, autocommit=True) as connection:
            connection.execute("INSERT INTO things SELECT max(id) + 1, 'late' FROM things")
            connection.execute("INSERT INTO facts SELECT max(id) + 1, timestamptz '2025-02-01+00' FROM facts")
        return result

    monkeypatch.setattr(assets.ingestion, "ingest_table", ingest_then_insert)
    result = run()
    assert result.success and len(order) == 2
    (things,) = materialized(result, keys.raw("sixth", "things"))
    facts = materialized(result, keys.raw("sixth", "facts"))
    assert (things.metadata["source_rows"].value, facts[0].metadata["source_rows"].value) == (10, 6)


def test_a_transient_error_is_retried(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = assets.ingestion.ingest_table
    calls: list[str] = []

    def busy_twice(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[3])
        if calls.count("things") <= 2 and arguments[3] == "things":
            raise Busy("sixth.things: another ingestion of this table is running")
        return original(*arguments, **options)

    pauses: list[int] = []

    def noted(error: Any, attempt: int) -> Exception:
        pauses.append(attempt)
        return assets.failures.failed(error, attempt)

    monkeypatch.setattr(assets.ingestion, "failed", noted)
    monkeypatch.setattr(assets.ingestion, "ingest_table", busy_twice)
    assert run().success
    assert calls.count("things") == 3
    assert pauses == [0, 1]


def test_pauses_grow() -> None:
    for error, expected in ((Busy("a table"), [15, 30, 60, 120, 240]), (ServerUnavailable("a server"), [5, 10, 20])):
        requests = [assets.failures.failed(error, attempt) for attempt in range(len(expected))]
        assert [r.seconds_to_wait for r in requests if isinstance(r, dg.RetryRequested)] == expected
        assert {r.max_retries for r in requests if isinstance(r, dg.RetryRequested)} == {len(expected)}


def test_a_lasting_error_is_not_retried_and_stops_no_other_table(
    run: Run, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = assets.ingestion.ingest_table
    calls: list[str] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[3])
        return original(*arguments, **options)

    monkeypatch.setattr(assets.ingestion, "ingest_table", counted)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("ALTER TABLE things DROP COLUMN name")
    result = run()
    assert not result.success
    assert calls.count("things") == 1
    assert checks(result) == {"facts": True}
    assert checks(result, COMPLETE) == {"facts": False}  # the months before were never asked for
    (failure,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    data = failure.step_failure_data.user_failure_data
    assert data is not None and "sixth.things: column 'name' is declared" in (data.description or "")
    assert "catalog check" in str(data.metadata["what to do"].value)
    assert not materialized(result, dg.AssetKey("downstream"))


def test_a_wrong_password_is_said_without_saying_it(run: Run, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {**conninfo.conninfo_to_dict(source), "password": "not-the-secret-one"}
    monkeypatch.setenv("DRIVETRAIN_SIXTH_DSN", conninfo.make_conninfo(**parts))
    result = run()
    assert not result.success
    failures = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    assert failures
    for failure in failures:
        assert "DRIVETRAIN_SIXTH_DSN" in (failure.step_failure_data.user_failure_data.description or "")  # type: ignore[union-attr]
        assert "not-the-secret-one" not in str(failure.step_failure_data)


def test_a_difference_fails_the_check_and_keeps_everything_below_from_running(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*arguments: Any, **options: Any) -> Any:
        raise ReconciliationFailed(f"sixth.{arguments[3]}: source and warehouse differ")

    monkeypatch.setattr(assets.ingestion, "ingest_table", differ)
    result = run()
    assert not result.success
    assert checks(result) == {"things": False, "facts": False}
    assert not materialized(result, dg.AssetKey("downstream"))


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    received: list[dict[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_failed_run_becomes_an_alert(
    run: Run,
    source: str,
    instance: dg.DagsterInstance,
    webhook: tuple[str, list[dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, received = webhook
    monkeypatch.setenv("DRIVETRAIN_ALERT_WEBHOOK", address)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("DROP TABLE things")
    result = run()
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE"),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()
    failed_runs(context, alerts=Alerts())
    (alert,) = received
    assert alert["subject"] == "daily failed"
    assert "the source has no table public.things" in alert["body"]
    assert conninfo.conninfo_to_dict(source)["password"] not in alert["body"]


def test_an_alert_that_cannot_be_delivered_is_not_lost_silently(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DRIVETRAIN_ALERT_WEBHOOK", "http://127.0.0.1:9/")
    assert Alerts(timeout_seconds=1).send("subject", "body") == []
    assert "not delivered by webhook" in caplog.text and "alert: subject" in caplog.text
