"""Between two comparisons only what moved past the watermark is read, and what was read is proven."""

from __future__ import annotations

import pytest
from ingesting import Bench, reasons
from test_change_feeds import follow

from warehouse.errors import CatalogError, ReconciliationFailed
from warehouse.ingest import since

NOTHING = "past the watermark"


@pytest.fixture
def notes(bench: Bench) -> Bench:
    """A hundred rows that were compared once, and may go without for a day."""
    bench.source(
        "CREATE TABLE notes (id int PRIMARY KEY, v text, updated_at timestamptz NOT NULL);"
        "INSERT INTO notes SELECT i, 'v', '2024-01-01Z'::timestamptz + i * interval '1 day'"
        " FROM generate_series(1, 100) i"
    )
    bench.incremental("notes", compare="1 day")
    bench.ingest("notes")
    return bench


def test_only_what_moved_is_read(notes: Bench) -> None:
    notes.source(
        "UPDATE notes SET v = 'w', updated_at = '2024-06-01Z' WHERE id < 4;"
        "INSERT INTO notes VALUES (101, 'n', '2024-06-02Z')"
    )
    result = notes.ingest("notes")
    assert reasons(result) == {"delta": "rows past the watermark, 5 read"}  # the last one is within the lookback
    assert (result.rows_written, result.rows) == (4, 101)
    assert (result.reconciliation.scope, result.reconciliation.source.rows) == (NOTHING, 5)
    notes.assert_equal("notes")
    assert notes.ingest("notes").loads == ()


def test_what_is_held_is_known(notes: Bench) -> None:
    notes.source("UPDATE notes SET v = 'w', updated_at = '2024-06-01Z' WHERE id < 4")
    notes.ingest("notes")
    notes.tables["notes"]["ingest"].pop("compare")
    result = notes.ingest("notes")
    assert (result.reconciliation.scope, result.loads) == ("whole", ())


def test_what_it_cannot_see_is_found_by_the_next_comparison(notes: Bench) -> None:
    notes.source("DELETE FROM notes WHERE id = 7; UPDATE notes SET v = 'behind its back' WHERE id = 8")
    assert notes.ingest("notes").reconciliation.scope == NOTHING
    assert notes.rows("notes", of="source") != notes.rows("notes", of="warehouse")
    notes.warehouse("UPDATE platform.raw_content SET agreed_as_of = agreed_as_of - interval '1 day'")
    assert notes.ingest("notes").reconciliation.scope == "whole"
    notes.assert_equal("notes")


@pytest.mark.parametrize("spoil", ["agrees = false", "agreed_as_of = now() + interval '1 hour'"])
def test_it_is_compared_where_nothing_is_known_for_sure(notes: Bench, spoil: str) -> None:
    notes.warehouse(f"UPDATE platform.raw_content SET {spoil} WHERE system = '{notes.name}'")
    assert notes.ingest("notes").reconciliation.scope == "whole"


def test_rows_that_arrive_otherwise_are_not_kept(notes: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.source("UPDATE notes SET v = 'w', updated_at = '2024-06-01Z' WHERE id < 4")
    before = notes.state("notes")
    real = since.queries.select_rows
    monkeypatch.setattr(since.queries, "select_rows", lambda *a: real(*a) + since.queries.sql.SQL(" AND id <> 2"))
    with pytest.raises(ReconciliationFailed, match="3 rows past the watermark arrived, and the source has 4"):
        notes.ingest("notes")
    assert notes.state("notes") == before


def test_readers_of_changes_hear_of_them(notes: Bench) -> None:
    follow(notes, "notes")
    notes.source("UPDATE notes SET v = 'w', updated_at = '2024-06-01Z' WHERE id < 4")
    notes.ingest("notes")
    assert notes.warehouse("SELECT sign, v, count(*) FROM {raw}.notes__changes GROUP BY 1, 2 ORDER BY 1") == [
        (-1, "v", 3), (1, "w", 3),
    ]  # fmt: skip


def test_only_where_there_is_a_watermark(bench: Bench) -> None:
    bench.source("CREATE TABLE plain (id int PRIMARY KEY)")
    bench.declare("plain", key=["id"], ingest={"compare": "1 day"})
    with pytest.raises(CatalogError, match="mode full compares every time"):
        assert bench.system
