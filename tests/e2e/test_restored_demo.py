"""A backup of the warehouse is restored after an erasure: closed, replayed with the real models, and right again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from command_line import CommandLine
from ingesting import execute

from demo.servers import Servers
from demo.servers.roles import ANALYST_SQL, OFFICERS_SQL

#: Riders who are in marts and have a mail address, but for the one that the demo erases.
_RIDER = "SELECT id::text, email FROM riders WHERE email IS NOT NULL AND id::text = ANY(%s) ORDER BY id LIMIT 1"
_PLACES = ("marts.rider_performance_summary", "raw_logistics.location_logs", "raw_logistics.orders")

pytestmark = pytest.mark.slow


@pytest.fixture
def drivetrain() -> Iterator[CommandLine]:
    # A folder that the servers' account can enter, which pytest's own is not.
    with tempfile.TemporaryDirectory(prefix="drivetrain-e2e-") as folder:
        Path(folder).chmod(0o755)
        command = CommandLine(Path(folder) / "home")
        try:
            command("demo", "--scale", "0.01", "--generated")
            yield command
        finally:
            Servers(command.home).destroy()


def rows(servers: Servers, rider: str) -> dict[str, int]:
    """Of a rider, where there are any."""
    with psycopg.connect(servers.server("warehouse").dsn("warehouse")) as connection:
        counts = {
            place: connection.execute(f"SELECT count(*) FROM {place} WHERE rider_id::text = %s".encode(), (rider,))
            for place in _PLACES
        }
        return {place: count for place, cursor in counts.items() if (count := cursor.fetchall()[0][0])}


def someone(servers: Servers) -> tuple[str, str]:
    """Key and mail address of a rider who is in a mart."""
    with psycopg.connect(servers.server("warehouse").dsn("warehouse")) as connection:
        known = [key for (key,) in connection.execute("SELECT rider_id::text FROM marts.rider_performance_summary")]
    with psycopg.connect(servers.system_admin_dsn("logistics")) as connection:
        ((rider, mail),) = connection.execute(_RIDER, (known,)).fetchall()
    return rider, mail


def test_who_was_erased_since_the_backup_is_erased_again(drivetrain: CommandLine) -> None:
    servers = Servers(drivetrain.home)
    with servers.running():
        admin, warehouse = (servers.server("warehouse").dsn(name) for name in ("postgres", "warehouse"))
        execute(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'warehouse'")
        execute(admin, "CREATE DATABASE backup TEMPLATE warehouse OWNER drivetrain")
        rider, mail = someone(servers)
        before = rows(servers, rider)
        assert "marts.rider_performance_summary" in before
        filed = json.loads(drivetrain("erasure", "request", "--law", "dpdp", "--email", mail, "--json"))
        number = str(filed["request"]["id"])
        drivetrain("erasure", "confirm", number, "--person", f"logistics:{rider}")
        plan = json.loads(drivetrain("erasure", "plan", number, "--json"))
        drivetrain("erasure", "approve", number, "--plan", plan["sha256"])
        drivetrain("erasure", "run", number)
        assert rows(servers, rider) == {}

        execute(admin, "DROP DATABASE warehouse WITH (FORCE)")
        execute(admin, "ALTER DATABASE backup RENAME TO warehouse")
        execute(warehouse, ANALYST_SQL.read_text() + OFFICERS_SQL.read_text())
        assert rows(servers, rider) == before
        assert "was restored to before" in drivetrain("status", expect=1)
        drivetrain("ingest", "logistics", expect=1)
        assert f"Requests since the backup: {number}" in drivetrain("erasure", "replay", "--dry-run")
        assert rows(servers, rider) == before

        said = drivetrain("erasure", "replay")
        assert "the warehouse is open" in said
        assert rows(servers, rider) == {}
        assert "There is nothing to replay" in drivetrain("erasure", "replay")
        drivetrain("ingest", "logistics")
        assert "Every row is accounted for." in drivetrain("prove")
