"""``drivetrain status`` after whole, partial and failed loads: what is there, what differs, what is missing."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ingesting import Bench, with_parameters
from psycopg import sql
from rich.console import Console
from typer.testing import CliRunner

from pipelines.cli import app
from warehouse.errors import ReconciliationFailed
from warehouse.ingest import Months
from warehouse.postgres.sessions import connect
from warehouse.state.migrate import MIGRATIONS, migrate
from warehouse.state.raw_store import RawTable

MODES = ["full", "incremental", "partition"]
Status = Callable[[], tuple[int, dict[str, Any]]]


@pytest.fixture
def facts(bench: Bench) -> Bench:
    """121 days, a row each: January to April."""
    bench.source("CREATE TABLE facts (id int, v text, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    bench.source(
        "INSERT INTO facts SELECT i, 'v' || i, '2024-01-01+00'::timestamptz + i * interval '1 day'"
        " FROM generate_series(0, 120) i"
    )
    bench.monthly("facts")
    return bench


@pytest.fixture
def prepared(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the bench's system the catalog of the command line."""

    def prepare() -> None:
        document = bench.system.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        (tmp_path / f"{bench.name}.yaml").write_text(yaml.safe_dump(document))
        monkeypatch.setenv("DRIVETRAIN_HOME", str(tmp_path))
        monkeypatch.setenv("DRIVETRAIN_CATALOG", str(tmp_path))
        monkeypatch.setenv("DRIVETRAIN_WAREHOUSE_DSN", bench.pair.target.text)
        monkeypatch.setenv("DRIVETRAIN_DAGSTER_DSN", bench.pair.target.text)
        monkeypatch.setenv(f"DRIVETRAIN_{bench.name.upper()}_DSN", bench.pair.primary.text)

    return prepare


@pytest.fixture
def status(prepared: Callable[[], None]) -> Status:
    """Exit code and the system's summary."""

    def ask() -> tuple[int, dict[str, Any]]:
        prepared()
        result = CliRunner().invoke(app, ["status", "--json"])
        (system,) = json.loads(result.stdout)["systems"]
        return result.exit_code, system

    return ask


def span(first: str, last: str | None = None) -> Months:
    return Months(dt.date.fromisoformat(f"{first}-01"), dt.date.fromisoformat(f"{last or first}-01"))


def spoil(monkeypatch: pytest.MonkeyPatch, when: str = "true") -> None:
    """Rows that match lose their text on the way."""
    original = RawTable.receive

    def receive(raw: RawTable, source: object, query: object, into: sql.Identifier, *rest: object, **named: object):
        copied = original(raw, source, query, into, *rest, **named)  # type: ignore[arg-type]
        raw.connection.execute(f"UPDATE {into.as_string(raw.connection)} SET v = NULL WHERE {when}".encode())
        return copied

    monkeypatch.setattr(RawTable, "receive", receive)


def held(bench: Bench, table: str) -> int:
    ((count,),) = bench.warehouse(f"SELECT count(*) FROM {{raw}}.{table}")
    return count


def chunks(bench: Bench, table: str) -> dict[str, tuple[int, bool | None]]:
    rows = bench.warehouse(
        f"SELECT chunk, rows, agrees FROM platform.raw_content WHERE system = '{bench.name}' AND table_name = '{table}'"
    )
    return {chunk: (count, agrees) for chunk, count, agrees in rows}


# --- a comparison that failed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_table_differs_until_a_later_load_agrees(
    bench: Bench, status: Status, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    bench.source("CREATE TABLE t (id int, v text, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    bench.source("INSERT INTO t SELECT i, 'v', '2024-01-20+00' FROM generate_series(1, 50) i")
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})
    bench.ingest("t")
    code, before = status()
    assert (code, before["rows"], before["agree"], before["differing"]) == (0, 50, 1, [])
    bench.source("INSERT INTO t SELECT i, 'w', '2024-01-21+00' FROM generate_series(51, 60) i")
    with monkeypatch.context() as patch:
        spoil(patch)
        with pytest.raises(ReconciliationFailed):
            bench.ingest("t")
    code, failed = status()
    assert (code, failed["rows"], failed["agree"], failed["differing"]) == (1, 50, 0, ["t"])
    assert (failed["loaded"], failed["missing"], failed["as_of"]) == (1, [], before["as_of"])
    scope = "2024-01" if mode == "partition" else "whole"
    last = bench.warehouse(
        "SELECT scope, source_rows, warehouse_rows, agrees, source_digest = warehouse_digest"
        f" FROM platform.reconciliation WHERE system = '{bench.name}' ORDER BY id DESC LIMIT 1"
    )
    assert last == [(scope, 60, 60, False, False)]
    bench.ingest("t")
    code, mended = status()
    assert (code, mended["rows"], mended["agree"], mended["differing"]) == (0, 60, 1, [])
    assert mended["as_of"] > before["as_of"]


def test_a_first_load_that_fails_is_differing_and_missing(
    bench: Bench, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.source("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    bench.declare("t", key=["id"])
    with monkeypatch.context() as patch:
        spoil(patch)
        with pytest.raises(ReconciliationFailed):
            bench.ingest("t")
    code, system = status()
    assert (code, system["loaded"], system["rows"], system["as_of"]) == (1, 0, 0, None)
    assert (system["differing"], system["missing"]) == (["t"], ["t"])


@pytest.mark.parametrize("first", [True, False], ids=["first load", "later load"])
def test_other_months_that_agree_do_not_hide_one_that_differs(
    facts: Bench, status: Status, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    if not first:
        facts.ingest("facts")
        facts.source("UPDATE facts SET v = v || ' changed' WHERE at >= '2024-02-01+00'")
    with monkeypatch.context() as patch:
        spoil(patch, "at >= '2024-02-01+00' AND at < '2024-03-01+00'")
        with pytest.raises(ReconciliationFailed):
            facts.ingest("facts")
    assert facts.ingest("facts", months=span("2024-03", "2024-04")).reconciliation.agrees
    code, system = status()
    assert (code, system["differing"], system["rows"]) == (1, ["facts"], held(facts, "facts"))
    facts.ingest("facts", months=span("2024-02"))
    code, system = status()
    assert (code, system["differing"], system["rows"]) == (0, [], facts.assert_equal("facts"))


# --- rows -------------------------------------------------------------------------------------------------------


def test_rows_are_of_all_months_after_a_run_of_some(facts: Bench, status: Status) -> None:
    result = facts.ingest("facts")
    assert (result.rows, status()[1]["rows"]) == (121, 121)
    facts.source("INSERT INTO facts SELECT i, 'new', '2024-04-30+00' FROM generate_series(200, 209) i")
    facts.source("DELETE FROM facts WHERE id = 0")  # in January, which is not asked for
    result = facts.ingest("facts", months=span("2024-03", "2024-04"))
    assert (result.rows, result.reconciliation.warehouse.rows) == (131, 71)
    code, system = status()
    assert (code, system["rows"], held(facts, "facts")) == (0, 131, 131)
    assert facts.ingest("facts").rows == status()[1]["rows"] == facts.assert_equal("facts") == 130


@pytest.mark.parametrize("mode", MODES)
def test_rows_after_every_kind_of_change(bench: Bench, status: Status, mode: str) -> None:
    bench.source("CREATE TABLE t (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})
    for change in (
        "SELECT",
        "INSERT INTO t SELECT i, '2024-01-31+00'::timestamptz + i * interval '1 day' FROM generate_series(0, 99) i",
        "DELETE FROM t WHERE id % 3 = 0",
        "DELETE FROM t WHERE at >= '2024-02-01+00' AND at < '2024-03-01+00'",
        "SELECT",
        "DELETE FROM t",
        "SELECT",
    ):
        bench.source(change)
        result = bench.ingest("t")
        code, system = status()
        assert result.rows == system["rows"] == bench.assert_equal("t"), change
        assert (code, system["agree"], system["missing"]) == (0, 1, []), change


def test_rows_that_left_the_source_are_counted_and_differ_in_nothing(bench: Bench, status: Status) -> None:
    bench.source("CREATE TABLE days (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    for name, lower, upper in (
        ("a", "2024-01-01", "2024-02-01"), ("b", "2024-02-01", "2024-02-10"), ("c", "2024-02-10", "2024-03-01"),
    ):  # fmt: skip
        bench.source(f"CREATE TABLE days_{name} PARTITION OF days FOR VALUES FROM ('{lower}+00') TO ('{upper}+00')")
    bench.source("INSERT INTO days SELECT i, '2024-01-01+00'::timestamptz + i * interval '1 day'"
                 " FROM generate_series(0, 59) i")  # fmt: skip
    bench.monthly("days")
    bench.ingest("days")
    bench.source("DROP TABLE days_a; DROP TABLE days_b; DELETE FROM days WHERE id = 50")
    result = bench.ingest("days")
    assert (result.rows, result.reconciliation.warehouse.rows, held(bench, "days")) == (59, 19, 59)
    assert chunks(bench, "days") == {"2024-01": (31, None), "2024-02": (28, True)}
    code, system = status()
    assert (code, system["rows"], system["differing"]) == (0, 59, [])


def test_a_table_that_was_dropped_in_the_warehouse_is_counted_anew(facts: Bench, status: Status) -> None:
    facts.ingest("facts")
    facts.warehouse("DROP TABLE {raw}.facts")
    assert facts.ingest("facts", months=span("2024-03")).rows == 31
    assert status()[1]["rows"] == held(facts, "facts") == 31


def test_months_of_before_they_were_told_apart_are_counted_once(facts: Bench, status: Status) -> None:
    facts.ingest("facts")
    facts.warehouse(f"DELETE FROM platform.raw_content WHERE system = '{facts.name}'")
    facts.warehouse(
        "INSERT INTO platform.raw_content (system, table_name, chunk, rows, digest, agrees)"
        f" VALUES ('{facts.name}', 'facts', 'all months', 100, '1', true)"
    )
    assert facts.ingest("facts", months=span("2024-04")).rows == 121
    assert status()[1]["rows"] == 121
    assert {chunk: agrees for chunk, (_, agrees) in chunks(facts, "facts").items()} == {
        "2024-01": None, "2024-02": None, "2024-03": None, "2024-04": True,
    }  # fmt: skip


def test_a_warehouse_of_the_first_version_keeps_its_totals(bench: Bench, tmp_path: Path) -> None:
    bench.warehouse("CREATE DATABASE first_version OWNER drivetrain")
    try:
        dsn = with_parameters(bench.pair.target, dbname="first_version")
        (first, *_) = sorted(MIGRATIONS.glob("*.sql"))
        (tmp_path / first.name).write_text(first.read_text())
        insert = (
            "INSERT INTO platform.reconciliation (system, table_name, scope, source_snapshot, source_as_of,"
            " read_from_replica, source_rows, source_digest, warehouse_rows, warehouse_digest)"
            " VALUES ('s', %s, %s, 'x', now(), false, %s, '1', %s, '1')"
        )
        with connect(dsn) as connection:
            migrate(connection, tmp_path)
            for table, scope, rows in (
                ("a", "whole", 4), ("a", "whole", 5), ("b", "all months", 7), ("b", "2024-01", 1), ("c", "2024-01", 2)
            ):  # fmt: skip
                connection.execute(insert, (table, scope, rows, rows))
            migrate(connection)
            found = connection.execute("SELECT table_name, chunk, rows, agrees FROM platform.raw_content ORDER BY 1")
            assert found.fetchall() == [("a", "whole", 5, True), ("b", "all months", 7, True)]
    finally:
        bench.warehouse("DROP DATABASE first_version WITH (FORCE)")


# --- what is missing --------------------------------------------------------------------------------------------


def test_tables_that_were_never_loaded_are_named(bench: Bench, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"t{number}" for number in range(8)]
    for name in names:
        bench.source(f"CREATE TABLE {name} (id int PRIMARY KEY)")
        bench.declare(name, key=["id"])
    code, system = status()
    assert (code, system["declared"], system["loaded"], system["missing"]) == (1, 8, 0, names)
    bench.ingest("t3")
    code, system = status()
    assert (code, system["loaded"], system["agree"], system["as_of"] is not None) == (1, 1, 1, True)
    assert (system["missing"], system["differing"]) == ([n for n in names if n != "t3"], [])
    shown = io.StringIO()
    monkeypatch.setattr("pipelines.cli.status.console", Console(file=shown, width=200))
    assert CliRunner().invoke(app, ["status"]).exit_code == 1
    assert "never loaded: t0, t1, t2, t4, t5 and 2 more" in " ".join(shown.getvalue().split())
    for name in names:
        bench.ingest(name)
    code, system = status()
    assert (code, system["loaded"], system["agree"], system["missing"]) == (0, 8, 8, [])


def test_as_of_is_the_tables_oldest_agreement(facts: Bench, status: Status) -> None:
    facts.source("CREATE TABLE dims (id int PRIMARY KEY); INSERT INTO dims VALUES (1)")
    facts.declare("dims", key=["id"])
    facts.ingest("facts")
    facts.ingest("dims")
    oldest = status()[1]["as_of"]
    facts.ingest("dims")
    assert status()[1]["as_of"] == oldest
    facts.ingest("facts", months=span("2024-04"))
    assert status()[1]["as_of"] > oldest
