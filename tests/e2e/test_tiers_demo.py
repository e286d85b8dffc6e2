"""Months of the demo move through all tiers, and no figure of any mart changes: not with the move, not with what comes
after it, not when models are built whole.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from command_line import CommandLine
from psycopg import sql

from demo.servers import Servers

#: What tells when a model was made, and not what it says.
_MOMENTS = {"as_of", "refreshed_at", "published_at"}


@pytest.fixture(scope="module")
def drivetrain() -> Iterator[CommandLine]:
    with tempfile.TemporaryDirectory(prefix="drivetrain-e2e-") as folder:
        Path(folder).chmod(0o755)
        command = CommandLine(Path(folder) / "home", {"DRIVETRAIN_TIER_GRACE": "0 days"})
        try:
            yield command
        finally:
            Servers(command.home).destroy()


def marts(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every mart and of what they stand on."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with psycopg.connect(Servers(home).warehouse_dsn()) as connection:
        tables = connection.execute(
            "SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)"
            " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " JOIN pg_attribute AS a ON a.attrelid = c.oid"
            " WHERE n.nspname IN ('marts', 'intermediate') AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
            " AND c.relname !~ '__changes$' GROUP BY 1, 2"
        ).fetchall()
        for schema, name, columns in tables:
            told = sql.SQL(", ").join(sql.Identifier(column) for column in columns if column not in _MOMENTS)
            rows = connection.execute(
                sql.SQL("SELECT ROW({})::text FROM {} ORDER BY 1").format(told, sql.Identifier(schema, name))
            )
            found[f"{schema}.{name}"] = rows.fetchall()
    assert len(found) > 30
    return found


def differing(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, tuple[int, int]]:
    return {
        name: (len(set(one[name]) - set(other[name])), len(set(other[name]) - set(one[name])))
        for name in one
        if one[name] != other[name]
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_figure_changes_when_months_move(drivetrain: CommandLine) -> None:
    drivetrain("demo", "--generated", "--scale", "0.02")
    with Servers(drivetrain.home).running():
        before = marts(drivetrain.home)
        moved = 0
        while steps := json.loads(drivetrain("tiers", "apply", "--json"))["steps"]:
            assert [step for step in steps if step["failure"]] == []
            moved += len(steps)
        assert moved > 100
        told = json.loads(drivetrain("prove", "--deep", "--json"))
        assert told["holds"], told
        assert sum(account["cold"] for table in told["tables"] for account in table["accounts"]) > 1000
        assert json.loads(drivetrain("tiers", "plan", "--json"))["steps"] == []
        assert differing(before, marts(drivetrain.home)) == {}
        drivetrain("refresh", "daily")
        assert differing(before, marts(drivetrain.home)) == {}
        drivetrain("build", "--whole")
        assert differing(before, marts(drivetrain.home)) == {}
        asked_at = time.time()
        drivetrain("prove")
        heard = re.findall(r"^drivetrain_proof_timestamp_seconds.* (\S+)$", drivetrain("monitor"), re.MULTILINE)
        assert heard
        assert all(float(moment) > asked_at for moment in heard)
