"""The tier map on real servers: what lies where while months walk down, against the stores themselves."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ingesting import Bench
from psycopg import conninfo
from tiering import AT, LATER, NO_HOT, TIERS, environment, move, places, tier
from typer.testing import CliRunner

from pipelines.cli import app
from warehouse.lake.store import Store
from warehouse.tiering.rehydrating import Request, rehydrate_table

JANUARY = dt.date(2024, 1, 1)
Mapped = Callable[..., dict[str, Any]]


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    return Store((tmp_path / "lake").as_uri())


@pytest.fixture
def mapped(facts: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapped:
    """Ask for the map on the command line; of the table and as of a moment."""

    def ask(at: Any = AT, code: int = 0) -> dict[str, Any]:
        for name, value in environment(facts, tmp_path).items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, ["tiers", "map", "--json", "--at", f"{at:%Y-%m-%d}"])
        assert result.exit_code == code, result.output
        (table,) = json.loads(result.stdout)["tables"]
        return table

    return ask


def rows(table: dict[str, Any]) -> dict[str, int]:
    return {shelf: held["rows"] for shelf, held in table["tiers"].items()}


def tonight(table: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    return [(each["step"], each["at"], each["months"], each["rows"]) for each in table["tonight"]]


def size(bench: Bench, query: str, *, source: bool) -> int:
    ((found,),) = (bench.source if source else bench.warehouse)(query)
    return found


def test_the_map_follows_a_month_down(facts: Bench, lake: Store, mapped: Mapped) -> None:
    tier(facts, TIERS)
    facts.ingest("facts")
    facts.source("ANALYZE facts")
    facts.warehouse("ANALYZE {raw}.facts")
    before = mapped()
    assert rows(before) == {"hot": 360, "hot_kept": 0, "warm": 360, "warm_kept": 0, "cold": 0}
    assert (before["tiers"]["hot"]["first"], before["tiers"]["hot"]["last"]) == ("2024-01", "2024-03")
    assert tonight(before) == [("leave", "source", 1, 124)]
    at_source = "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree('facts')"
    assert before["tiers"]["hot"]["bytes"] == size(facts, at_source, source=True)

    assert [done.failure for done in move(facts, lake, keep=LATER - AT)] == [None]
    kept = mapped()
    assert rows(kept) == {"hot": 236, "hot_kept": 124, "warm": 360, "warm_kept": 0, "cold": 0}
    assert kept["tiers"]["hot_kept"]["first"] == kept["tiers"]["hot_kept"]["last"] == "2024-01"
    ((left, in_bytes),) = facts.source(
        "SELECT relname::text, pg_total_relation_size(oid) FROM pg_class WHERE relname ~ '^drivetrain_left_[0-9]+$'"
    )
    assert left
    assert kept["tiers"]["hot_kept"]["bytes"] == in_bytes
    assert [(each["step"], each["bytes"]) for each in kept["tonight"]] == [("keep", in_bytes)]
    assert kept["lag_seconds"] == {"hot": 0, "warm": 0}

    for _ in range(2):
        assert not any(done.failure for done in move(facts, lake, LATER))
    facts.warehouse("ANALYZE {raw}.facts")
    cold = mapped(LATER)
    files = facts.warehouse(
        "SELECT sum(f.rows)::bigint, sum(f.bytes)::bigint FROM platform.lake_file AS f"
        f" JOIN platform.tier_move AS m ON m.id = f.move WHERE m.system = '{facts.name}'"
    )
    assert [(cold["tiers"]["cold"]["rows"], cold["tiers"]["cold"]["bytes"])] == files
    assert rows(cold)["cold"] + rows(cold)["warm"] == 360
    assert rows(cold)["hot"] == 0
    assert cold["tiers"]["hot"]["months"] == 0  # the partitions that take late rows are empty


def test_a_table_that_stays_in_its_source_is_counted_there(facts: Bench, mapped: Mapped) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    facts.source("ANALYZE facts")
    found = mapped(LATER)
    assert (rows(found)["hot"], rows(found)["warm"]) == (360, 360)
    assert [each[:3] for each in tonight(found)] == [("cool", "warehouse", 3)]
    assert set(found["lag_seconds"]) == {"warm"}
    assert found["lag_seconds"]["warm"] > 30 * 86400
    for month in ("2024-01-01", "2024-02-01", "2024-03-01"):  # months that were back until two days ago
        facts.warehouse(
            "INSERT INTO platform.rehydration (system, table_name, month, reason, until, rows, bytes)"
            f" VALUES ('{facts.name}', 'facts', '{month}', 'asked', '{LATER}'::timestamptz - interval '2 days', 1, 1)"
        )
    assert mapped(LATER)["lag_seconds"]["warm"] == 2 * 86400


def test_a_month_that_is_back_is_said_with_its_end_whether_it_is_due_or_not(
    facts: Bench, lake: Store, mapped: Mapped
) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    move(facts, lake, LATER)
    assert mapped(LATER)["back"] == []
    until = LATER + dt.timedelta(days=7)
    rehydrate_table(places(facts, lake), facts.system, "facts", Request([JANUARY], until, "claim 4711", 10**9))
    due, early = mapped(LATER), mapped(AT)
    ((size,),) = facts.warehouse(f"SELECT bytes FROM platform.rehydration WHERE system = '{facts.name}'")
    assert due["back"] == early["back"] == [
        {"month": "2024-01", "rows": 124, "bytes": size, "until": until.isoformat(), "reason": "claim 4711"}
    ]  # fmt: skip
    assert ("keep", "warehouse", 1) in [each[:3] for each in tonight(due)]
    assert ("keep", "warehouse", 1) not in [each[:3] for each in tonight(early)]


def test_a_source_that_is_away_leaves_the_rest(facts: Bench, mapped: Mapped, monkeypatch: pytest.MonkeyPatch) -> None:
    tier(facts, TIERS)
    facts.ingest("facts")
    admin = facts.pair.source_admin
    with monkeypatch.context() as patch:
        patch.setattr(type(facts.pair), "source_admin", property(lambda _: conninfo.make_conninfo(admin, port=1)))
        away = mapped(code=1)
    assert rows(away) == {"warm": 360, "warm_kept": 0, "cold": 0}
    assert away["tonight"] == []
    assert away["lag_seconds"] == {}
    assert ":1/" in away["error"]


def test_a_table_that_was_never_ingested_is_said(facts: Bench, mapped: Mapped) -> None:
    tier(facts, TIERS)
    found = mapped(code=1)
    assert "is not in the warehouse" in found["error"]
    assert found["tiers"]["hot"]["bytes"] > 0
    assert rows(found)["warm"] == 0
