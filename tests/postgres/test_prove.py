"""The proof names whatever is lost, doubled, altered or come back; each wrong is done by hand, and none goes unseen."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from ingesting import Bench
from tiering import LATER, NO_HOT, TIERS, move, moved, proven, tier

from warehouse.lake.store import Store
from warehouse.tiering import cooling


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri())


@pytest.fixture
def cold(facts: Bench, lake: Store) -> Bench:
    """January to March in the lake."""
    tier(facts, NO_HOT)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    assert proven(facts, lake) == []
    return facts


def files(bench: Bench, lake: Store, month: str = "2024-01") -> list[Path]:
    return sorted((Path(lake.under(bench.name, "facts").root) / f"month={month}").rglob("*.parquet"))


def test_a_file_that_is_gone(cold: Bench, lake: Store) -> None:
    files(cold, lake)[0].unlink()
    assert proven(cold, lake, deep=False) == [("lost", "2024-01")]


def test_a_file_that_is_cut_short(cold: Bench, lake: Store) -> None:
    file = files(cold, lake)[0]
    file.write_bytes(file.read_bytes()[:-10])
    assert proven(cold, lake, deep=False) == [("altered", "2024-01")]


def test_a_byte_that_is_flipped(cold: Bench, lake: Store) -> None:
    """Its size is what it was: only a reading of it tells."""
    file = files(cold, lake)[0]
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    assert proven(cold, lake, deep=False) == []
    assert proven(cold, lake) == [("altered", "2024-01")]


def test_a_file_that_came_back(cold: Bench, lake: Store) -> None:
    file = files(cold, lake)[0]
    shutil.copy(file, file.with_name("part-0000000000000000-000-0-0.parquet"))
    assert proven(cold, lake, deep=False) == [("resurrected", "")]


def test_a_file_that_somebody_added_to_the_table(cold: Bench, lake: Store) -> None:
    rows = pq.read_table(files(cold, lake)[0], partitioning=None)
    rows = rows.append_column("month", [["2024-01"] * len(rows)]).append_column("bucket", [[0] * len(rows)])
    schema = rows.schema.set(rows.schema.get_field_index("bucket"), rows.schema.field("bucket").with_type(pa.int32()))
    write_deltalake(lake.under(cold.name, "facts").url, rows.cast(schema), mode="append")
    assert proven(cold, lake, deep=False) == [("resurrected", "")]


def test_a_file_that_somebody_took_out_of_the_table(cold: Bench, lake: Store) -> None:
    DeltaTable(lake.under(cold.name, "facts").url).delete("month = '2024-02'")
    assert proven(cold, lake, deep=False) == [("lost", "2024-02")]


WRONGS: dict[str, tuple[str, list[tuple[str, str]], list[tuple[str, str]]]] = {
    "a row that is gone": (
        "DELETE FROM {raw}.facts WHERE id = 3", [("lost", "2024-01")], [("lost", "2024-01")],
    ),
    "a row that is there twice": (
        "INSERT INTO {raw}.facts VALUES (9999, '2024-01-01+00', 'v0')",
        [("duplicated", "2024-01")], [("duplicated", "2024-01")],
    ),
    "a value that changed": (
        "UPDATE {raw}.facts SET v = 'x' WHERE id = 3", [], [("altered", "2024-01")],
    ),
    "a row of a month that the source has still": (
        "DELETE FROM {raw}.facts WHERE id = 200", [("lost", "2024-02")], [("lost", "2024-02")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_month_that_left_its_source(facts: Bench, lake: Store, wrong: str) -> None:
    tier(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake)
    assert proven(facts, lake) == []
    statement, cheap, deep = WRONGS[wrong]
    facts.warehouse(statement)
    assert proven(facts, lake, deep=False) == cheap
    assert proven(facts, lake) == deep


def test_a_month_in_the_lake_that_is_in_the_warehouse_too(cold: Bench, lake: Store) -> None:
    cold.warehouse(
        "CREATE TABLE {raw}.again PARTITION OF {raw}.facts FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00')"
    )
    cold.warehouse("INSERT INTO {raw}.facts VALUES (1, '2024-02-02+00', 'x')")
    assert proven(cold, lake, deep=False) == [("duplicated", "2024-02")]


@pytest.mark.parametrize("damage", ["DROP TABLE {kept}", "UPDATE {kept} SET v = 'x' WHERE id = 3"])
def test_what_is_kept_for_a_while(facts: Bench, lake: Store, damage: str) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    kept = next(d.move.relation for d in move(facts, lake, LATER) if d.move and f"{d.move.month:%Y-%m}" == "2024-01")
    assert proven(facts, lake) == []
    facts.warehouse(damage.format(kept=kept))
    assert proven(facts, lake) == ([("lost", "2024-01")] if damage.startswith("DROP") else [("altered", "2024-01")])


@pytest.mark.parametrize("damage", ["lost", "altered", "resurrected"])
def test_what_is_kept_at_the_source_for_a_while(facts: Bench, lake: Store, damage: str) -> None:
    tier(facts, TIERS)
    facts.ingest("facts")
    (done,) = move(facts, lake, keep=dt.timedelta(days=7))
    assert done.move is not None
    assert proven(facts, lake) == []
    kept = done.move.relation
    if damage == "lost":
        facts.source(f"DROP TABLE {kept}")
    elif damage == "altered":
        facts.source(f"ALTER TABLE {kept} DISABLE TRIGGER USER; UPDATE {kept} SET v = 'x' WHERE id = 3")
    else:
        facts.warehouse(f"UPDATE platform.tier_move SET state = 'dropped' WHERE id = {done.move.id}")
    assert proven(facts, lake) == [(damage, "2024-01")]


def test_a_move_that_was_cut_off_is_no_wrong(facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    stop: Callable[..., None] = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # noqa: E731
    monkeypatch.setattr(cooling, "read_back", stop)
    with pytest.raises(KeyboardInterrupt):
        move(facts, lake, LATER)
    assert proven(facts, lake) == [("unfinished", "2024-01")]
    monkeypatch.undo()
    moved(facts, lake, LATER)
    assert proven(facts, lake) == []
