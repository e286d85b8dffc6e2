"""Full, incremental and partition alike: after every load the warehouse holds what the source holds.

What belongs here: what is asked of every mode. What does not: what is of one mode only (``test_ingest_incremental``,
``test_ingest_partition``), types (``test_ingest_types``), lost servers and kills (``tests/faults``).
"""

from __future__ import annotations

import pytest
from ingesting import Bench, month

from warehouse.errors import DrivetrainError


@pytest.mark.parametrize("mode", ["full", "incremental", "partition"])
def test_a_second_run_with_nothing_new_writes_nothing(bench: Bench, mode: str) -> None:
    bench.source("CREATE TABLE t (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    bench.source(
        "INSERT INTO t SELECT i, '2024-01-01+00'::timestamptz + i * interval '1 day' FROM generate_series(1, 99) i"
    )
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})
    assert bench.ingest("t").rows_written == 99
    before = bench.state("t"), bench.warehouse("SELECT sum(xmin::text::bigint), count(*) FROM {raw}.t")
    result = bench.ingest("t")
    assert (result.loads, result.rows_written, result.reconciliation.agrees) == ((), 0, True)
    assert (bench.state("t"), bench.warehouse("SELECT sum(xmin::text::bigint), count(*) FROM {raw}.t")) == before


@pytest.mark.parametrize("mode", ["full", "incremental", "partition"])
def test_an_empty_table_and_one_that_is_emptied(bench: Bench, mode: str) -> None:
    bench.source("CREATE TABLE t (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})
    bench.ingest("t")
    assert bench.warehouse("SELECT count(*) FROM {raw}.t") == [(0,)]
    bench.source("INSERT INTO t SELECT i, now() FROM generate_series(1, 9) i")
    bench.ingest("t")
    assert bench.assert_equal("t") == 9
    bench.source("DELETE FROM t")
    bench.ingest("t")
    assert bench.assert_equal("t") == 0


def test_two_raw_tables_of_one_name_do_not_touch_each_other(bench: Bench) -> None:
    """A table whose name is that of another's child."""
    bench.source("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    bench.source("CREATE TABLE t__rows (id int PRIMARY KEY); INSERT INTO t__rows VALUES (2), (3)")
    for table in ("t", "t__rows"):
        bench.declare(table, key=["id"])
    bench.ingest("t__rows")
    with pytest.raises(DrivetrainError, match="t__rows"):
        bench.ingest("t")
    assert bench.assert_equal("t__rows") == 2


@pytest.mark.parametrize(
    ("name", "value"), [("PGTZ", "Asia/Tokyo"), ("PGDATESTYLE", "German"), ("PGCLIENTENCODING", "LATIN1")]
)
def test_the_environment_of_the_process_changes_nothing(
    facts: Bench, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """libpq sends these at the start of a session, after the options of a connection string."""
    facts.source(
        "UPDATE facts SET v = 'ü€😀' WHERE id = 1; CREATE TABLE dims (id int PRIMARY KEY, v text, c timestamptz)"
    )
    facts.source("INSERT INTO dims VALUES (1, 'ü€😀', '2024-02-03+00'), (2, '', '2024-03-02 23:00+00')")
    facts.incremental("dims", cursor="c")
    facts.ingest("dims")
    monkeypatch.setenv(name, value)
    facts.ingest("facts")
    facts.source("DROP TABLE facts_y2024m01; UPDATE dims SET c = '2024-03-03 22:00+00' WHERE id = 1")
    assert facts.ingest("facts").left_source == (month("2024-01"),)
    facts.ingest("dims")
    assert facts.watermark("dims") == ("c", "2024-03-03 22:00:00+00")
    monkeypatch.delenv(name)
    assert facts.ingest("facts").loads == facts.ingest("dims").loads == ()
    facts.assert_equal("dims")
