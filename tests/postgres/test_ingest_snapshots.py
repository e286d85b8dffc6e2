"""What happens at the source between the snapshot of a run and the read of a table.

What belongs here: tables remade, partitions dropped, snapshots older than what was loaded. What does not: sources that
go away (``tests/faults``).
"""

from __future__ import annotations

import psycopg
import pytest
from ingesting import Bench, month

from warehouse.errors import CatalogMismatch, SourceInterrupted


@pytest.mark.parametrize(
    "change",
    [
        "BEGIN; TRUNCATE items; INSERT INTO items VALUES (1, 'refilled', now()); COMMIT",
        "ALTER TABLE items ALTER v TYPE varchar(50)",
        "CREATE TABLE fresh (LIKE items INCLUDING ALL); INSERT INTO fresh SELECT * FROM items;"
        " ALTER TABLE items RENAME TO old; ALTER TABLE fresh RENAME TO items",
    ],
    ids=["truncated and refilled", "rewritten", "replaced"],
)
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_table_remade_after_the_snapshot_is_not_read_as_empty(items: Bench, mode: str, change: str) -> None:
    """To a snapshot that is older, a truncated or rewritten table is empty: nobody may take that for the truth."""
    items.declare(
        "items", key=("id",), ingest={"mode": mode, **({"cursor": "updated_at"} if mode == "incremental" else {})}
    )
    items.ingest("items")
    before = items.state("items")
    with items.snapshot() as snapshot:
        items.source(change)
        with pytest.raises((SourceInterrupted, CatalogMismatch)):
            items.ingest("items", snapshot=snapshot)
    assert items.state("items") == before


def test_a_partition_dropped_after_the_snapshot_is_kept(facts: Bench) -> None:
    facts.ingest("facts")
    with facts.snapshot() as snapshot:
        facts.source("DROP TABLE facts_y2024m01")
        assert facts.ingest("facts", snapshot=snapshot).left_source == (month("2024-01"),)
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(360,)]


def test_a_partition_cannot_be_dropped_while_it_is_compared(facts: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the partitions and the look at the rows nothing may vanish: it would look deleted."""
    facts.ingest("facts")
    from warehouse.ingest import apply

    original, refused = apply.RawTable.ensure, []

    def ensure(raw: apply.RawTable) -> None:
        try:
            facts.source("SET lock_timeout = '300ms'; DROP TABLE facts_y2024m01")
        except psycopg.errors.LockNotAvailable as error:
            refused.append(error)
        original(raw)

    monkeypatch.setattr(apply.RawTable, "ensure", ensure)
    result = facts.ingest("facts")
    assert refused
    assert result.loads == ()
    assert facts.assert_equal("facts") == 360


def test_an_older_snapshot_does_not_undo_a_newer_one(items: Bench) -> None:
    """A long run's snapshot must not bring back rows that a later run saw deleted."""
    with items.snapshot() as older:
        items.source("DELETE FROM items WHERE id < 100; INSERT INTO items VALUES (9999, 'new', now())")
        items.ingest("items")
        before = items.state("items")
        with pytest.raises(SourceInterrupted, match="newer snapshot"):
            items.ingest("items", snapshot=older)
    assert items.state("items") == before
    items.assert_equal("items")
