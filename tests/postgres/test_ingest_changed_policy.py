"""A table whose policy is another than at its last load: what left it leaves the warehouse, or all stays as it was.

What belongs here: changed columns, types, modes and time columns. What does not: a changed cursor or key of mode
incremental (``test_ingest_incremental``), and a source that is not what its policy says (``test_ingest_errors``).
"""

from __future__ import annotations

import pytest
from ingesting import Bench

from warehouse.errors import CatalogMismatch


def test_a_column_that_the_policy_gains_and_loses(facts: Bench) -> None:
    facts.source("CREATE TABLE dims (id int PRIMARY KEY, v text, w text); INSERT INTO dims VALUES (1, 'a', 'b')")
    facts.monthly("facts", only=("id", "at"))
    facts.declare("dims", key=["id"], only=("id", "v"))
    for table in ("facts", "dims"):
        facts.ingest(table)
    facts.monthly("facts")
    facts.declare("dims", key=["id"])
    for table in ("facts", "dims"):
        facts.ingest(table)
    assert (facts.assert_equal("facts"), facts.assert_equal("dims")) == (360, 1)
    # What left the policy may be personal: nothing of it stays.
    facts.monthly("facts", only=("id", "at"))
    facts.declare("dims", key=["id"], only=("id", "w"))
    for table in ("facts", "dims"):
        facts.ingest(table)
    assert (facts.assert_equal("facts"), facts.assert_equal("dims")) == (360, 1)
    kept = facts.warehouse(
        "SELECT DISTINCT attname::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE relnamespace = '{raw}'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped"
    )
    assert {name for (name,) in kept} == {"id", "at", "w"}


def test_a_column_that_a_view_still_reads_is_not_dropped(items: Bench) -> None:
    items.ingest("items")
    items.warehouse("CREATE VIEW {raw}.seen AS SELECT id, v FROM {raw}.items")
    before = items.state("items")
    items.incremental("items", only=("id", "updated_at"))
    with pytest.raises(CatalogMismatch, match="items") as refused:
        items.ingest("items")
    assert "seen" in str(refused.value)
    items.incremental("items")
    assert items.state("items") == before


def test_the_first_column_of_a_keyless_table_leaves_the_policy(bench: Bench) -> None:
    """The raw parent is partitioned by it."""
    bench.source("CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 2), (1, 2), (NULL, NULL)")
    bench.declare("t")
    bench.ingest("t")
    before = bench.state("t")
    bench.declare("t", only=("b",))
    with pytest.raises(CatalogMismatch, match=r"raw_\w+\.t\b"):
        bench.ingest("t")
    bench.declare("t")
    assert bench.state("t") == before
    bench.declare("t", only=("b",))
    bench.warehouse("DROP TABLE {raw}.t")
    bench.ingest("t")
    assert bench.assert_equal("t") == 3


MONTHLY = {"range": "at", "name": "{table}_y{year}m{month}"}


def test_a_plain_table_is_ingested_until_it_is_converted_and_after(facts: Bench) -> None:
    """Under its old key until then; under the one that it will have, all along."""
    facts.source("CREATE TABLE rides (id int PRIMARY KEY, at timestamptz NOT NULL, v text)")
    facts.source(
        "INSERT INTO rides SELECT n, '2024-01-01+00'::timestamptz + n * interval '1 day', n"
        " FROM generate_series(0, 50) AS n"
    )
    facts.monthly("rides", key=["id"])
    facts.ingest("rides")
    for key in (["id"], ["id", "at"], ["at", "id"]):
        facts.monthly("rides", key=key, partition=MONTHLY)
        facts.source("UPDATE rides SET v = v || '.' WHERE id % 7 = 0")
        facts.ingest("rides")
        assert facts.assert_equal("rides") == 51
    facts.monthly("rides", key=["id", "v"], partition=MONTHLY)
    with pytest.raises(CatalogMismatch, match=r"key \(id, v\) is no primary or unique key of .*, which has \(id\)"):
        facts.ingest("rides")
    facts.source(
        "ALTER TABLE rides RENAME TO plain; ALTER TABLE plain RENAME CONSTRAINT rides_pkey TO plain_pkey;"
        "CREATE TABLE rides (id int, at timestamptz, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
        "CREATE TABLE rides_all PARTITION OF rides FOR VALUES FROM ('2024-01-01+00') TO ('2024-03-01+00');"
        "INSERT INTO rides SELECT * FROM plain; UPDATE rides SET v = 'after' WHERE id = 3"
    )
    facts.monthly("rides", key=["id", "at"], partition=MONTHLY)
    facts.ingest("rides")
    assert facts.assert_equal("rides") == 51
    facts.monthly("rides", key=["id"], partition=MONTHLY)
    with pytest.raises(CatalogMismatch, match=r"key \(id\) is no primary or unique key of .*, which has \(id, at\)"):
        facts.ingest("rides")


@pytest.mark.parametrize("change", ["numeric(12,3)", "text", "bigint"])
def test_a_changed_type_is_refused_and_nothing_is_lost(items: Bench, change: str) -> None:
    items.source("ALTER TABLE items ADD amount numeric(10,2) DEFAULT 1.5")
    items.incremental("items")
    items.ingest("items")
    before = items.state("items")
    items.source(f"ALTER TABLE items ALTER amount TYPE {change}")
    with pytest.raises(CatalogMismatch, match=r"'amount' is .* at the source, and declared as"):
        items.ingest("items")
    items.incremental("items")
    with pytest.raises(CatalogMismatch, match=r"items\.amount: is numeric\(10,2\) in the warehouse"):
        items.ingest("items")
    assert items.state("items") == before


def test_a_changed_mode_is_refused_and_nothing_is_lost(bench: Bench) -> None:
    bench.source(
        "CREATE TABLE t (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at)); INSERT INTO t VALUES (1, now())"
    )
    bench.declare("t", key=("id", "at"))
    bench.ingest("t")
    before = bench.state("t")
    bench.monthly("t")
    with pytest.raises(CatalogMismatch, match="keeps this table whole"):
        bench.ingest("t")
    assert bench.state("t") == before
    bench.warehouse("DROP TABLE {raw}.t")
    bench.ingest("t")
    bench.declare("t", key=("id", "at"))
    with pytest.raises(CatalogMismatch, match="keeps this table by month"):
        bench.ingest("t")
    assert bench.assert_equal("t") == 1


def test_a_changed_time_column_is_refused_and_nothing_is_lost(bench: Bench) -> None:
    bench.source('CREATE TABLE t (id int, at timestamptz NOT NULL, "end" timestamptz NOT NULL, PRIMARY KEY (id, at))')
    bench.source("INSERT INTO t SELECT i, '2024-01-31+00', '2024-02-01+00' FROM generate_series(1, 9) i")
    bench.monthly("t")
    bench.ingest("t")
    before = bench.state("t")
    bench.monthly("t", time="end")
    with pytest.raises(CatalogMismatch, match="at"):
        bench.ingest("t")
    assert bench.state("t") == before
