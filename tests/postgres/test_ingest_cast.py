"""A type that cannot be carried is read as what it prints as, where the policy says so."""

from __future__ import annotations

import pytest
from ingesting import Bench, month, reasons

from warehouse.errors import CatalogError, UnsupportedType
from warehouse.ingest import Months
from warehouse.postgres.contract import check_system
from warehouse.postgres.sessions import connect

MODES = ("full", "incremental", "partition")


def spots(bench: Bench, mode: str) -> None:
    """Composite values, arrays of them, and a type that is of one database."""
    bench.source(
        "CREATE TYPE spot AS (row text, at timestamptz, size numeric(4,1));"
        "CREATE TABLE spots (id int, at timestamptz, place spot, places spot[], kind regtype, PRIMARY KEY (id, at));"
        "INSERT INTO spots SELECT i, '2024-01-01Z'::timestamptz + i * interval '1 day',"
        " CASE WHEN i % 3 > 0 THEN ROW(E'a\\tb,\"' || i, '2024-01-01 12:00Z', i / 7.0)::spot END,"
        " ARRAY[ROW('x', NULL, 1)::spot, NULL], 'int'::regtype FROM generate_series(1, 50) i"
    )
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("spots", key=["id", "at"], time="at", ingest={"mode": mode, **cursor})
    for name in ("place", "places", "kind"):
        bench.tables["spots"]["columns"][name] = {"type": "text", "cast": "text"}


def printed(bench: Bench, of: str) -> list[tuple[object, ...]]:
    query = "SELECT id, place::text, places::text, kind::text FROM {} ORDER BY id"
    set_utc = "SET timezone = UTC; SET datestyle = 'ISO, YMD';"
    if of == "source":
        return bench.source(set_utc + query.format("spots"))
    return bench.warehouse(set_utc + query.format("{raw}.spots"))


@pytest.mark.parametrize("mode", MODES)
def test_it_is_carried_compared_and_followed(bench: Bench, mode: str) -> None:
    spots(bench, mode)
    bench.ingest("spots")
    assert printed(bench, "source") == printed(bench, "warehouse")
    assert bench.ingest("spots").loads == ()
    bench.source("UPDATE spots SET place.size = 9 WHERE id = 40; DELETE FROM spots WHERE id = 2")
    assert bench.ingest("spots").loads
    assert printed(bench, "source") == printed(bench, "warehouse")


def test_a_month_of_it(bench: Bench) -> None:
    spots(bench, "partition")
    bench.ingest("spots", months=Months(month("2024-02"), month("2024-02")))
    assert bench.warehouse("SELECT min(id) FROM {raw}.spots") == [(31,)]


def test_without_it_the_column_is_refused_with_what_to_declare(bench: Bench) -> None:
    spots(bench, "full")
    bench.declare("spots", key=["id", "at"])
    with pytest.raises(UnsupportedType, match=r"(?s)spots.place: .*spots.kind: .*cast: text"):
        bench.ingest("spots")
    assert bench.relations() == {}


def test_the_check_says_the_same(bench: Bench) -> None:
    spots(bench, "full")
    with connect(bench.pair.primary, read_only=True, see_all_rows=True) as source:
        assert not [each for each in check_system(source, bench.system) if each.table == "spots"]
        bench.tables["spots"]["columns"].pop("place")
        (found,) = [each for each in check_system(source, bench.system) if each.table == "spots"]
    assert found.field == "columns.place"
    assert "cast: text" in found.hint


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"place": {"type": "integer", "cast": "text"}}, "columns.place: cast to text, and declared as integer"),
        ({"at": {"type": "text", "cast": "text"}}, "columns.at: a key, a way to persons, a time"),
    ],
)
def test_what_contradicts_it(bench: Bench, policy: dict[str, object], said: str) -> None:
    spots(bench, "full")
    bench.tables["spots"]["columns"] |= policy
    with pytest.raises(CatalogError, match=said):
        assert bench.system


def test_it_is_neither_captured_nor_moved(bench: Bench) -> None:
    spots(bench, "partition")
    bench.tables["spots"]["ingest"]["capture"] = True
    with pytest.raises(CatalogError, match="the log has 'kind' as it is"):
        assert bench.system
    bench.tables["spots"]["ingest"].pop("capture")
    bench.tables["spots"]["tiers"] = {"hot": "30 days", "warm": "1 year"}
    with pytest.raises(CatalogError, match="cannot leave its source"):
        assert bench.system


def test_reasons_name_months(bench: Bench) -> None:
    spots(bench, "partition")
    assert reasons(bench.ingest("spots")) == {"2024-01": "new month", "2024-02": "new month"}
