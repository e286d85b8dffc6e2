"""``drivetrain monitor`` on real servers: what it tells Prometheus after moves, failures, and with databases away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ingesting import Bench
from prometheus_client.parser import text_string_to_metric_families
from psycopg import conninfo
from tiering import LATER, TIERS, environment, move, tier
from typer.testing import CliRunner

from pipelines.cli import app
from warehouse.lake.store import Store

Said = dict[tuple[str, ...], float]
Monitor = Callable[..., Said]


def parse(text: str) -> Said:
    """Values by name and labels; those of names first."""
    return {
        (sample.name.removeprefix("drivetrain_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    return Store((tmp_path / "lake").as_uri())


@pytest.fixture
def settings(facts: Bench, tmp_path: Path) -> dict[str, str]:
    """Of a table with tiers, ingested. Dagster's storage is away: making it takes seconds."""
    tier(facts, TIERS)
    facts.ingest("facts")
    away = conninfo.make_conninfo(facts.pair.target.text, port=1)
    replica = {f"DRIVETRAIN_{facts.name.upper()}_REPLICA_DSN": facts.pair.replica.text}
    return {**environment(facts, tmp_path), "DRIVETRAIN_DAGSTER_DSN": away, **replica}


@pytest.fixture
def monitor(settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Monitor:
    """Write the textfile, and read it."""

    def ask(code: int = 0, **changed: str) -> Said:
        for name, value in {**settings, **changed}.items():
            monkeypatch.setenv(name, value)
        file = tmp_path / "drivetrain.prom"
        result = CliRunner().invoke(app, ["monitor", "--textfile", str(file)])
        assert result.exit_code == code, result.output
        assert file.stat().st_mode & 0o777 == 0o644
        return parse(file.read_text())

    return ask


def test_moves_are_counted_and_nothing_else_is_told(
    facts: Bench, lake: Store, monitor: Monitor, settings: dict[str, str], tmp_path: Path
) -> None:
    before = monitor()
    assert before["warehouse_up",] == before["source_up", facts.name] == before["replica_up", facts.name] == 1
    assert before["replication_lag_seconds", facts.name] < 60
    assert before["dagster_up",] == 0
    assert before["monitor_failures",] == 0
    assert before["raw_rows", facts.name, "facts"] == 360
    assert before["ingest_differs", facts.name, "facts"] == 0
    assert before["tier_planned_steps", "leave", facts.name, "facts"] == 3
    assert before["tier_lag_seconds", "hot", facts.name, "facts"] > 86400
    ((size,),) = facts.source("SELECT pg_total_relation_size('facts_y2024m01')")
    assert before["partition_size_bytes", "facts_y2024m01", facts.name, "facts", "source"] == size
    assert ("partition_size_bytes", "facts_y2024m01", facts.name, "facts", "warehouse") in before

    for _ in range(3):
        assert not any(done.failure for done in move(facts, lake, LATER))
    after = monitor()
    assert after["tier_moves", "hot", "dropped", facts.name, "facts"] == 3
    assert after["tier_transitions_total", "hot", "flipped", facts.name, "facts"] == 3
    assert after["tier_moved_rows_total", "hot", facts.name, "facts"] == 360
    assert after["tier_lag_seconds", "hot", facts.name, "facts"] == 0
    assert (
        after["lake_written_bytes_total", facts.name, "facts"] == after["tier_bytes", facts.name, "facts", "cold"] > 0
    )
    told = (tmp_path / "drivetrain.prom").read_text()
    for dsn in settings.values():
        secret = str(conninfo.conninfo_to_dict(dsn).get("password") or "") if "password" in dsn else ""
        assert not secret or secret not in told


def test_a_failure_is_counted_and_is_no_step(facts: Bench, lake: Store, monitor: Monitor) -> None:
    facts.source("CREATE VIEW seen AS SELECT count(*) FROM facts_y2024m01")  # so that the partition cannot be dropped
    for _ in range(3):
        failed = [done.failure for done in move(facts, lake, LATER) if done.failure]
    assert len(failed) == 1
    found = monitor()
    key = (facts.name, "facts")
    assert found["tier_transitions_total", "hot", "failed", *key] == 2
    assert found["tier_transitions_total", "hot", "flipped", *key] == 3
    assert found["tier_transitions_total", "hot", "dropped", *key] == 2
    assert found["tier_planned_steps", "drop", *key] >= 1
    details = facts.warehouse(
        "SELECT DISTINCT e.detail::text FROM platform.tier_event AS e JOIN platform.tier_move AS m ON m.id = e.move"
        f" WHERE m.system = '{facts.name}' AND e.detail ? 'failure'"
    )
    assert len(details) == 1
    assert "seen" not in details[0][0]  # its kind, and not what was said


def test_a_source_that_is_away_is_said_and_the_rest_too(facts: Bench, monitor: Monitor) -> None:
    def away(dsn: str) -> str:
        return conninfo.make_conninfo(dsn, port=1)

    name = f"DRIVETRAIN_{facts.name.upper()}"
    dsns = {f"{name}_DSN": facts.pair.primary.text, f"{name}_MAINTENANCE_DSN": facts.pair.source_admin}
    found = monitor(**{setting: away(dsn) for setting, dsn in dsns.items()})
    assert found["source_up", facts.name] == 0
    assert found["warehouse_up",] == found["replica_up", facts.name] == 1
    assert found["tier_rows", facts.name, "facts", "warm"] == 360
    assert ("tier_rows", facts.name, "facts", "hot") not in found
    assert found["monitor_failures",] == 2


def test_without_a_warehouse_the_sources_are_known(facts: Bench, monitor: Monitor) -> None:
    found = monitor(3, DRIVETRAIN_WAREHOUSE_DSN=conninfo.make_conninfo(facts.pair.target.text, port=1))
    assert found["warehouse_up",] == 0
    assert found["source_up", facts.name] == 1
    assert ("partition_size_bytes", "facts_y2024m01", facts.name, "facts", "source") in found
    assert not [key for key in found if key[0].startswith(("tier_", "ingest_"))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--textfile", "/nowhere/at/all.prom"], "cannot write"),
        (["--listen", "somewhere"], "HOST:PORT"),
        (["--listen", "192.0.2.1:9187"], "cannot listen"),
        (["--listen", "127.0.0.1:1", "--textfile", "x"], "exclude each other"),
    ],
)
def test_a_place_that_is_none_is_refused(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    result: Any = CliRunner().invoke(app, ["monitor", *arguments])
    assert message in str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_ended(facts: Bench, settings: dict[str, str], end: signal.Signals) -> None:
    command = [str(Path(sys.executable).with_name("drivetrain")), "monitor", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command, env={**os.environ, **settings, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[3].rstrip(".")
        for _ in range(2):
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain")
                found = parse(answer.read().decode())
            assert found["raw_rows", facts.name, "facts"] == 360
        process.send_signal(end)
        assert process.wait(30) == 0
