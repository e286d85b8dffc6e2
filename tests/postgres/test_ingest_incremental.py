"""Mode incremental: it follows every change, moves little, and keeps a watermark of the policy's cursor.

What belongs here: cursors, watermarks, and the keys by which rows are compared. What does not: what is asked of every
mode (``test_ingest_modes``).
"""

from __future__ import annotations

import pytest
from ingesting import Bench, reasons


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO items VALUES (9001, 'new', '2025-01-01+00')",
        "UPDATE items SET v = 'x', updated_at = '2025-01-01+00' WHERE id % 10 = 0",
        "UPDATE items SET v = 'cursor did not move' WHERE id = 17",
        "UPDATE items SET v = NULL WHERE id = 17",
        "UPDATE items SET v = '' WHERE id = 17",
        "DELETE FROM items WHERE id IN (1, 1500, 3000)",
        "UPDATE items SET id = id + 100000 WHERE id IN (5, 2999)",
        "UPDATE items SET id = -id",
        "UPDATE items SET updated_at = '2020-01-01+00' WHERE id > 2000",
        "UPDATE items SET updated_at = NULL WHERE id % 7 = 0",
        "UPDATE items SET updated_at = NULL",
        "UPDATE items SET updated_at = 'infinity' WHERE id = 3",
        "UPDATE items SET updated_at = '-infinity'",
        "INSERT INTO items VALUES (-1, 'committed late', '2024-01-01 00:05+00'), (-2, 'much later', '2023-01-01+00')",
        "UPDATE items SET v = (SELECT i.v FROM items i WHERE i.id = 3001 - items.id)",
        "TRUNCATE items",
        "TRUNCATE items; INSERT INTO items VALUES (1, 'v1', '2024-01-01 00:01+00')",
    ],
)
def test_incremental_follows_every_change(items: Bench, change: str) -> None:
    items.ingest("items")
    items.source(change)
    result = items.ingest("items")
    assert result.loads
    items.assert_equal("items")
    assert items.ingest("items").loads == ()
    # And goes on from there.
    items.source("INSERT INTO items VALUES (77777, 'then', '2026-01-01+00')")
    items.ingest("items")
    items.assert_equal("items")


def test_incremental_moves_only_what_changed(items: Bench) -> None:
    items.ingest("items")
    before = items.relations()
    items.source("INSERT INTO items VALUES (3001, 'new', '2025-01-01+00'); DELETE FROM items WHERE id = 4")
    result = items.ingest("items")
    assert result.loads[0].chunk == "delta"
    assert result.rows_written < 100
    assert items.relations() == before
    items.assert_equal("items")


def test_the_watermark_is_of_the_policys_cursor(items: Bench) -> None:
    items.source("ALTER TABLE items ADD version bigint NOT NULL DEFAULT 1")
    items.incremental("items")
    items.ingest("items")
    assert items.watermark("items") == ("updated_at", "2024-01-03 02:00:00+00")
    items.incremental("items", cursor="version")
    items.source("UPDATE items SET v = 'x', version = 2 WHERE id = 5")
    assert reasons(items.ingest("items")) == {"whole": "no watermark for this cursor"}
    assert items.watermark("items") == ("version", "2")
    items.assert_equal("items")


def test_a_changed_key(items: Bench) -> None:
    items.source("ALTER TABLE items ADD other int UNIQUE GENERATED ALWAYS AS (id + 10000) STORED NOT NULL")
    items.incremental("items")
    items.ingest("items")
    items.incremental("items", key=("other",))
    items.source("UPDATE items SET v = 'x', updated_at = now() WHERE id = 5; DELETE FROM items WHERE id = 6")
    items.ingest("items")
    items.assert_equal("items")
    items.source("UPDATE items SET v = 'y', updated_at = now() WHERE id = 5; UPDATE items SET id = -id WHERE id < 9")
    items.ingest("items")
    items.assert_equal("items")


def test_keys_that_are_equal_but_print_differently(bench: Bench) -> None:
    """numeric 1.0 becomes 1.00: the same key to an index, another row to a reader."""
    bench.source(
        "CREATE TABLE t (k numeric PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 50) i"
    )
    bench.incremental("t", key=("k",), cursor="v")
    bench.ingest("t")
    bench.source(
        "UPDATE t SET k = k::numeric(10,2), v = v + 100 WHERE k % 2 = 0; UPDATE t SET k = k::numeric(10,3) WHERE k < 9"
    )
    bench.ingest("t")
    assert bench.assert_equal("t") == 50


def test_a_table_of_key_columns_only(bench: Bench) -> None:
    bench.source(
        "CREATE TABLE t (a int, b numeric, PRIMARY KEY (a, b)); INSERT INTO t SELECT i, i FROM generate_series(1, 50) i"
    )
    bench.incremental("t", key=("a", "b"), cursor="a")
    bench.ingest("t")
    bench.source("UPDATE t SET b = 7.0 WHERE a = 7; UPDATE t SET a = 1000 WHERE a = 9; INSERT INTO t VALUES (51, 51)")
    bench.ingest("t")
    assert bench.assert_equal("t") == 51


@pytest.mark.parametrize("kind", ["date", "timestamp", "bigint", "numeric(10,2)", "real", "xid8", "money"])
def test_kinds_of_cursor(bench: Bench, kind: str) -> None:
    values = "('2024-01-01'::date + i)" if kind in ("date", "timestamp") else "i::text"
    bench.source(f"CREATE TABLE t (id int PRIMARY KEY, v int, c {kind})")
    bench.source(f"INSERT INTO t SELECT i, i, {values}::{kind} FROM generate_series(1, 300) i")
    bench.incremental("t", cursor="c")
    bench.ingest("t")
    bench.source(
        f"INSERT INTO t SELECT i, i, {values}::{kind} FROM generate_series(301, 320) i; DELETE FROM t WHERE id < 4"
    )
    assert [load.chunk for load in bench.ingest("t").loads] == ["delta"]
    assert bench.assert_equal("t") == 317
