"""The command line as a newcomer uses it: the demo from nothing, killed and again, twice, and the UI.

Everything here runs in processes of its own, on a home of its own; what is compared is read from the servers directly.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from command_line import CommandLine
from independent_marts import INDEPENDENT_MARTS
from mart_runs import expected_rows, mart_rows
from psycopg import sql

from demo.generate import change
from demo.servers import SYSTEMS, Servers
from pipelines.cli.demo import MOVED
from warehouse.catalog import load_catalog
from warehouse.errors import DemoError

DEMO = ("demo", "--scale", "0.02")


@pytest.fixture(scope="module")
def drivetrain() -> Iterator[CommandLine]:
    # A folder that the servers' account can enter, which pytest's own is not.
    with tempfile.TemporaryDirectory(prefix="drivetrain-e2e-") as folder:
        Path(folder).chmod(0o755)
        command = CommandLine(Path(folder) / "home")
        try:
            yield command
        finally:
            Servers(command.home).destroy()


def loads(home: Path) -> int:
    """How many loads the warehouse has committed; none while it is not there yet."""
    try:
        with psycopg.connect(Servers(home).warehouse_dsn(), connect_timeout=2) as connection:
            row = connection.execute("SELECT count(*) FROM platform.load").fetchone()
    except (DemoError, psycopg.Error):
        return 0
    return row[0] if row else 0


@pytest.fixture(scope="module")
def demo(drivetrain: CommandLine) -> CommandLine:
    """The demo, killed twice on its way (while it fills, and while it ingests) and run again until it is done."""
    for is_there in (lambda: (drivetrain.home / "operational").exists(), lambda: loads(drivetrain.home) >= 20):
        process = drivetrain.start(*DEMO)
        while not is_there():
            assert process.poll() is None, f"over before it could be killed: {process.communicate()[0]}"
            time.sleep(0.1)
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        drivetrain.wait_until_quiet()
    output = drivetrain(*DEMO)
    assert "Where to look next" in output
    assert "Every row is accounted for." in output
    return drivetrain


@pytest.fixture(scope="module")
def servers_of_demo(demo: CommandLine) -> Iterator[Servers]:
    servers = Servers(demo.home)
    with servers.running():
        yield servers


def content(dsn: str, table: sql.Identifier, columns: list[str], where: str) -> list[str]:
    """Every row as text, sorted: independent of the fingerprints that ingestion compares by."""
    query = sql.SQL("SELECT ROW({})::text FROM {}").format(sql.SQL(", ").join(map(sql.Identifier, columns)), table)
    with psycopg.connect(dsn, options="-c timezone=UTC -c row_security=off") as connection:
        rows = sorted(row[0] for row in connection.execute(query))
    assert rows, f"{where} is empty"
    return rows


def moved_months(servers: Servers) -> dict[tuple[str, str], list[str]]:
    """Months that left their source and are in the lake by now, by system and table."""
    with psycopg.connect(servers.warehouse_dsn()) as connection:
        rows = connection.execute(
            "SELECT system, table_name, array_agg(to_char(month, 'YYYY-MM')) FROM platform.tier_move"
            " WHERE state = 'dropped' AND from_tier = 'warm' GROUP BY 1, 2"
        )
        return {(system, table): months for system, table, months in rows}


def test_a_month_of_each_table_is_in_the_lake(demo: CommandLine, servers_of_demo: Servers) -> None:
    moved = moved_months(servers_of_demo)
    assert {f"{system}.{table}" for system, table in moved} == set(MOVED)
    proof = json.loads(demo("prove", "--deep", "--json"))
    assert proof["holds"]
    for table in proof["tables"]:
        months = moved.get((table["system"], table["table"]), [])
        for account in table["accounts"]:
            if account["month"][:7] in months:
                assert account["cold"] == account["came"] > 0 == account["warm"], account


def test_source_and_warehouse_agree_in_every_table(servers_of_demo: Servers) -> None:
    compared = 0
    moved = moved_months(servers_of_demo)
    for name, system in load_catalog().systems.items():
        for table, policy in system.tables.items():
            source = content(
                servers_of_demo.system_dsn(name), sql.Identifier(*system.source_of(table)), list(policy.columns), table
            )
            raw = content(
                servers_of_demo.warehouse_dsn(), sql.Identifier(system.raw_schema, table), list(policy.columns), table
            )
            assert source == raw, f"{name}.{table}"
            for month in moved.get((name, table), []):
                assert not any(f'"{month}-' in row for row in source), f"{name}.{table} {month} left"
            compared += 1
    assert compared == 56


@pytest.mark.parametrize("mart", sorted(INDEPENDENT_MARTS))
def test_a_mart_equals_its_independent_computation(servers_of_demo: Servers, mart: str) -> None:
    independent = INDEPENDENT_MARTS[mart]
    with psycopg.connect(servers_of_demo.system_admin_dsn(independent.system)) as source:
        expected = expected_rows(source, independent)
    with psycopg.connect(servers_of_demo.warehouse_dsn()) as warehouse:
        assert mart_rows(warehouse, mart, independent.key) == expected


def test_killed_runs_are_shown_as_failed(servers_of_demo: Servers) -> None:
    with psycopg.connect(servers_of_demo.dagster_dsn()) as connection:
        statuses = [row[0] for row in connection.execute("SELECT status FROM runs ORDER BY id")]
    assert set(statuses[:-4]) <= {"FAILURE"}
    assert statuses[-4:] == ["SUCCESS"] * 4  # loaded and modelled, and again of the system of who was erased


def test_nothing_is_left_behind_between_commands(demo: CommandLine) -> None:
    # The fixture above keeps servers running for this module; a second home shows what a command leaves.
    assert not [command for command in demo.processes() if "dagster" in command or "dbt" in command]


def test_a_second_demo_finds_everything_done(demo: CommandLine) -> None:
    output = demo(*DEMO)
    assert "models are up to date" in output
    assert " 0 rows written" in output


def test_other_options_are_refused_and_change_nothing(demo: CommandLine) -> None:
    before = json.loads(demo("status", "--json"))
    demo("demo", "--scale", "0.03", expect=1)
    after = json.loads(demo("status", "--json"))
    assert [s["rows"] for s in before["systems"]] == [s["rows"] for s in after["systems"]]


def test_status_says_that_all_is_equal(demo: CommandLine) -> None:
    status = json.loads(demo("status", "--json"))
    assert {system["system"] for system in status["systems"]} == set(load_catalog().systems)
    for system in status["systems"]:
        assert system["agree"] == system["loaded"] == system["declared"]
        assert system["differing"] == []
    assert {mart["mart"] for mart in status["marts"]} >= set(INDEPENDENT_MARTS)


def test_the_catalog_agrees_with_the_live_databases(demo: CommandLine) -> None:
    assert json.loads(demo("catalog", "check", "--json")) == {"ok": True, "findings": []}


def test_a_change_at_the_source_arrives(demo: CommandLine, servers_of_demo: Servers) -> None:
    with psycopg.connect(servers_of_demo.system_admin_dsn("carddb"), autocommit=True) as connection:
        connection.execute("UPDATE cards SET name = name || ' *' WHERE id = (SELECT min(id) FROM cards)")
    servers_of_demo.wait_for_replica(30)
    summary = json.loads(demo("ingest", "carddb.cards", "--json"))
    assert summary["success"]
    assert summary["materialized"] == ["raw_carddb/cards"]
    assert summary["rows_written"] >= 1
    again = json.loads(demo("ingest", "carddb.cards", "--json"))
    assert again["rows_written"] == 0


@pytest.mark.slow
def test_a_broken_rule_stops_the_build_of_one_model(demo: CommandLine, servers_of_demo: Servers) -> None:
    more = (
        "UPDATE raw_logistics.wallet_ledger SET amount = amount + %s"
        " WHERE id = (SELECT min(id) FROM raw_logistics.wallet_ledger)"
    )
    with psycopg.connect(servers_of_demo.warehouse_dsn(), autocommit=True) as warehouse:
        warehouse.execute(more, [1_000_000])
        try:
            stopped = json.loads(demo("build", "rider_leaderboard", "--json", expect=1))
        finally:
            warehouse.execute(more, [-1_000_000])
    assert not stopped["success"] and stopped["materialized"] == []
    assert any("raw_logistics/wallet_ledger" in failed for failed in stopped["checks_failed"]), stopped
    built = json.loads(demo("build", "rider_leaderboard", "--json"))
    assert built["success"] and built["materialized"] == ["marts/rider_leaderboard"]


@pytest.mark.slow
def test_a_refused_row_is_told_of_and_not_shown(demo: CommandLine, servers_of_demo: Servers) -> None:
    with psycopg.connect(servers_of_demo.warehouse_dsn(), autocommit=True) as warehouse:
        found = warehouse.execute(
            "SELECT id, name, city FROM raw_logistics.riders WHERE status = 'active' ORDER BY id LIMIT 1"
        ).fetchone()
        assert found is not None
        rider, name, city = found
        warehouse.execute("UPDATE raw_logistics.riders SET city = NULL WHERE id = %s", [rider])
        try:
            told = demo("build", "rider_leaderboard", expect=1)
        finally:
            warehouse.execute("UPDATE raw_logistics.riders SET city = %s WHERE id = %s", [city, rider])
    assert 'null value in column "city"' in told
    assert name not in told
    written = [
        file for file in demo.home.rglob("*") if file.is_file() and "data" not in file.relative_to(demo.home).parts
    ]
    assert len(written) > 20
    assert [str(file) for file in written if name.encode() in file.read_bytes()] == []
    demo("build", "rider_leaderboard")


@pytest.mark.parametrize("folder", ["logs", "dbt", "dagster", "data_docs"])
def test_what_programs_write_is_nobody_else_s(demo: CommandLine, folder: str) -> None:
    assert (demo.home / folder).stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_the_hourly_refresh_follows_a_day_of_use(demo: CommandLine, servers_of_demo: Servers) -> None:
    """New riders and shops too: tests of marts that are refreshed less often are none of its business."""
    for system in SYSTEMS:
        change(servers_of_demo.system_admin_dsn(system), system, seed=9, round=7)
    servers_of_demo.wait_for_replica(30)
    summary = json.loads(demo("refresh", "hourly", "--json"))
    assert summary["success"] and summary["rows_written"] > 0, summary
    built = {name.removeprefix("marts/") for name in summary["materialized"] if name.startswith("marts/")}
    assert {"rider_leaderboard", "shop_analytics"} <= built and "rider_performance_summary" not in built
    daily = json.loads(demo("refresh", "daily", "--json"))
    assert daily["success"], daily


@pytest.mark.slow
def test_a_refresh_builds_what_stands_on_nothing_broken(demo: CommandLine, servers_of_demo: Servers) -> None:
    too_much = "UPDATE orders SET delivery_fee = delivery_fee + %s WHERE id = (SELECT max(id) FROM orders)"
    with psycopg.connect(servers_of_demo.system_admin_dsn("logistics"), autocommit=True) as source:
        source.execute(too_much, [9000])
        servers_of_demo.wait_for_replica(30)
        try:
            stopped = json.loads(demo("refresh", "hourly", "--json", expect=1))
        finally:
            source.execute(too_much, [-9000])
            servers_of_demo.wait_for_replica(30)
    assert any("rows break: delivery_fee is between" in failed for failed in stopped["checks_failed"]), stopped
    assert "marts/shop_analytics" in stopped["materialized"]
    assert "marts/rider_leaderboard" not in stopped["materialized"]
    assert json.loads(demo("refresh", "hourly", "--json"))["success"]


def test_servers_status_gives_addresses_that_work(demo: CommandLine, servers_of_demo: Servers) -> None:
    status: dict[str, dict[str, Any]] = json.loads(demo("servers", "status", "--json"))
    assert set(status["servers"]) == {"operational", "warehouse", "replica"}
    for server in status["servers"].values():
        with psycopg.connect(server["dsn"]) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert "password" not in demo("servers", "status").lower() or "--json" in demo("servers", "status")


def test_psql_is_an_analyst_s(demo: CommandLine, servers_of_demo: Servers) -> None:
    told = demo("servers", "psql", "-At", "-c", "SELECT current_user, count(*) > 0 FROM rider_leaderboard")
    assert told.strip() == "analyst|t"
    demo("servers", "psql", "-c", "SELECT FROM marts.rider_leaderboard", expect=1)


def address_of(ui: subprocess.Popen[str]) -> str:
    """Where it serves, once it does."""
    assert ui.stdout is not None
    for line in ui.stdout:
        if "Dagster is at" in line:
            return line.split("Dagster is at ")[1].split(". Ctrl-C")[0].strip()
    raise AssertionError("the UI did not come up")


def ends_well(ui: subprocess.Popen[str], drivetrain: CommandLine, sign: signal.Signals) -> None:
    """A signal to the command alone ends it and all of Dagster."""
    assert ui.stdout is not None
    assert any("dagster" in command for command in drivetrain.processes())
    ui.send_signal(sign)
    output = ui.stdout.read()
    ui.stdout.close()
    assert ui.wait(40) == 0, output
    deadline = time.monotonic() + 20
    while left := [command for command in drivetrain.processes() if "dagster" in command]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_the_ui_serves_every_asset_until_it_is_interrupted(demo: CommandLine) -> None:
    process = demo.start("ui", "--port", "0")
    address = address_of(process)
    query = json.dumps({"query": "{ assetNodes { assetKey { path } groupName } }"}).encode()
    request = urllib.request.Request(f"{address}/graphql", query, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        nodes = json.load(answer)["data"]["assetNodes"]
    tables = {(n, t) for n, system in load_catalog().systems.items() for t in system.tables}
    assert {(f"raw_{system}", table) for system, table in tables} <= {tuple(n["assetKey"]["path"]) for n in nodes}
    ends_well(process, demo, signal.SIGINT)


@pytest.mark.slow
def test_the_ui_ends_with_a_service_manager_s_signal_as_with_ctrl_c(demo: CommandLine) -> None:
    process = demo.start("ui", "--port", "0")
    address_of(process)
    ends_well(process, demo, signal.SIGTERM)


def until_dbt_is_at_work(demo: CommandLine, job: str, process: subprocess.Popen[str]) -> None:
    """Return in the middle of a run, when Dagster catches signals itself."""
    before = set((demo.home / "logs").glob(f"{job}-*.log"))
    while process.poll() is None:
        time.sleep(0.05)
        new = set((demo.home / "logs").glob(f"{job}-*.log")) - before
        if any("START sql" in log.read_text() for log in new):
            return


@pytest.mark.slow
@pytest.mark.parametrize("command", [["ingest", "shop"], ["refresh", "hourly"]])
def test_an_interrupted_command_says_so_and_the_next_one_completes(demo: CommandLine, command: list[str]) -> None:
    process = demo.start(*command)
    if command[0] == "refresh":
        until_dbt_is_at_work(demo, command[1], process)
    else:
        time.sleep(2.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: dbt too
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Interrupted" in output and "Traceback" not in output
    assert json.loads(demo(*command, "--json"))["success"]
