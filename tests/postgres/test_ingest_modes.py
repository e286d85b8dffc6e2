"""Full, incremental and partition: after every load the warehouse holds what the source holds, and readers see no less.

What does not belong here: types (``test_ingest_types``), lost servers and kills (``tests/faults``).
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import psycopg
import pytest
from ingesting import Bench, reasons

from warehouse.errors import Busy, CatalogMismatch, DrivetrainError, SourceInterrupted
from warehouse.ingest import Months

PARTITIONED = """
CREATE TABLE facts (id bigint, at {time} NOT NULL, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE facts_y2024m01 PARTITION OF facts FOR VALUES FROM ('2024-01-01{zone}') TO ('2024-02-01{zone}');
CREATE TABLE facts_y2024m02 PARTITION OF facts FOR VALUES FROM ('2024-02-01{zone}') TO ('2024-03-01{zone}');
CREATE TABLE facts_y2024m03 PARTITION OF facts FOR VALUES FROM ('2024-03-01{zone}') TO ('2024-04-01{zone}');
INSERT INTO facts SELECT i, '2024-01-01{zone}'::{time} + i * interval '6 hours', 'v' || i
    FROM generate_series(0, 359) i;
"""


def month(text: str) -> dt.date:
    return dt.date.fromisoformat(f"{text}-01")


@pytest.fixture
def facts(bench: Bench) -> Bench:
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    bench.monthly("facts", partition={"range": "at", "name": "{table}_y{year}m{month}"})
    return bench


@pytest.fixture
def items(bench: Bench) -> Bench:
    bench.source("CREATE TABLE items (id int PRIMARY KEY, v text, updated_at timestamptz)")
    bench.source("INSERT INTO items SELECT i, 'v' || i, '2024-01-01+00'::timestamptz + i * interval '1 minute'"
                 " FROM generate_series(1, 3000) i")  # fmt: skip
    bench.incremental("items")
    return bench


# --- every mode -----------------------------------------------------------------------------------------------


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


# --- readers --------------------------------------------------------------------------------------------------


class Reader(threading.Thread):
    """Asks the same question until told to stop; remembers answers and errors."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.ask, self.answers, self.errors, self.enough = ask, set[object](), list[BaseException](), threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            try:
                self.answers.add(self.ask())
            except BaseException as error:
                self.errors.append(error)
                return

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join(30)


@pytest.mark.parametrize("how", ["select", "view", "copy", "prepared"])
def test_readers_never_see_an_empty_or_half_table(bench: Bench, how: str) -> None:
    bench.source(
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 2000) i"
    )
    bench.declare("t", key=["id"])
    bench.ingest("t")
    bench.warehouse("CREATE VIEW {raw}.seen AS SELECT id, v FROM {raw}.t")
    count = f"SELECT count(*), min(v), max(v) FROM {bench.raw}.{'seen' if how == 'view' else 't'}"
    with psycopg.connect(bench.pair.warehouse_admin, autocommit=True) as connection:
        connection.prepare_threshold = 0 if how == "prepared" else None

        def ask() -> object:
            if how == "copy":
                with connection.cursor().copy(f"COPY ({count}) TO STDOUT") as copy:
                    return tuple(int(value) for value in b"".join(copy).split())
            return connection.execute(count).fetchone()

        with Reader(ask) as reader:
            for number in range(1, 21):
                bench.source(f"UPDATE t SET v = {number}")
                assert bench.ingest("t").rows_written == 2000
    assert not reader.errors
    assert reader.answers <= {(2000, number, number) for number in range(21)}
    assert len(reader.answers) > 3
    assert bench.warehouse("SELECT count(*) FROM {raw}.seen") == [(2000,)]


@pytest.mark.parametrize("mode", ["full", "partition"])
def test_an_old_snapshot_of_a_reader_sees_no_empty_table(bench: Bench, mode: str) -> None:
    """Swapped-in rows are newer than a repeatable-read transaction (pg_dump, say), which must not see nothing."""
    bench.source("CREATE TABLE t (id int, at date NOT NULL, v int, PRIMARY KEY (id, at))")
    bench.source("INSERT INTO t SELECT i, '2024-01-15', 0 FROM generate_series(1, 100) i")
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode})
    bench.ingest("t")
    with psycopg.connect(bench.pair.warehouse_admin) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        bench.source("UPDATE t SET v = 1")
        assert bench.ingest("t").rows_written == 100
        assert reader.execute(f"SELECT count(*) FROM {bench.raw}.t").fetchone() == (100,)


def test_a_long_reader_delays_a_load_and_no_other_reader(bench: Bench) -> None:
    bench.source("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    bench.declare("t", key=["id"])
    bench.ingest("t")
    bench.source("INSERT INTO t VALUES (2)")
    count = f"SELECT count(*) FROM {bench.raw}.t"
    done: list[object] = []
    with psycopg.connect(bench.pair.warehouse_admin) as long_reader:
        long_reader.execute(count)
        loading = threading.Thread(target=lambda: done.append(bench.ingest("t")))
        loading.start()
        with psycopg.connect(bench.pair.warehouse_admin, autocommit=True) as other:
            other.execute("SET statement_timeout = '1500ms'")
            waits = []
            deadline = dt.datetime.now() + dt.timedelta(seconds=3)
            while dt.datetime.now() < deadline:
                began = dt.datetime.now()
                assert other.execute(count).fetchone() == (1,)
                waits.append(dt.datetime.now() - began)
        assert not done
    loading.join(30)
    assert done
    assert max(waits) < dt.timedelta(seconds=1.2)
    assert bench.assert_equal("t") == 2


@pytest.mark.parametrize("held", ["t", "t__rows"])
def test_an_endless_lock_ends_in_busy(bench: Bench, monkeypatch: pytest.MonkeyPatch, held: str) -> None:
    monkeypatch.setattr("warehouse.state.raw_store._SWAP_ATTEMPTS", 2)
    monkeypatch.setattr("warehouse.ingest.apply.LOCK_TIMEOUT", "1s")
    bench.source("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    bench.declare("t", key=["id"])
    bench.ingest("t")
    before = bench.state("t")
    bench.source("INSERT INTO t VALUES (2)")
    with psycopg.connect(bench.pair.warehouse_admin) as holder:
        mode = "ACCESS SHARE" if held == "t" else "ACCESS EXCLUSIVE"
        holder.execute(f"LOCK TABLE {bench.raw}.{held} IN {mode} MODE".encode())
        with pytest.raises(Busy, match="t"):
            bench.ingest("t")
    assert bench.state("t") == before
    bench.ingest("t")
    assert bench.assert_equal("t") == 2


def test_a_column_added_while_a_reader_reads_makes_no_queue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.state.raw_store._SWAP_ATTEMPTS", 2)
    bench.source("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1)")
    bench.declare("t", key=["id"], only=("id",))
    bench.ingest("t")
    bench.declare("t", key=["id"])
    with psycopg.connect(bench.pair.warehouse_admin) as long_reader:
        long_reader.execute(f"SELECT count(*) FROM {bench.raw}.t")
        with pytest.raises(Busy):
            bench.ingest("t")
    bench.ingest("t")
    assert bench.assert_equal("t") == 1


def test_readers_do_not_wait_for_the_source(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest cursor is a question to the source: asked before the swap locks readers out, or they wait for it."""
    bench.source("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i")
    bench.incremental("t", cursor="v")
    bench.ingest("t")
    bench.warehouse("UPDATE platform.watermark SET high_water = NULL WHERE table_name = 't'")
    bench.source("INSERT INTO t VALUES (10, 10)")
    seen: list[object] = []
    from warehouse.ingest import sql as queries

    original = queries.highest

    def asked(*arguments: object) -> object:
        with psycopg.connect(bench.pair.warehouse_admin, autocommit=True) as reader:
            reader.execute("SET statement_timeout = '2s'")
            seen.append(reader.execute(f"SELECT count(*) FROM {bench.raw}.t").fetchone())
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(queries, "highest", asked)
    bench.ingest("t")
    assert seen
    assert bench.assert_equal("t") == 10


# --- incremental ----------------------------------------------------------------------------------------------


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


# --- partition ------------------------------------------------------------------------------------------------


def test_only_changed_months_are_loaded(facts: Bench) -> None:
    assert facts.ingest("facts").rows_written == facts.assert_equal("facts") == 360
    assert set(facts.relations()) == {"facts", "facts_y2024m01", "facts_y2024m02", "facts_y2024m03"}
    before = facts.relations()
    facts.source("INSERT INTO facts VALUES (-1, '2024-01-15+00', 'late'); DELETE FROM facts WHERE id = 359")
    assert reasons(facts.ingest("facts")) == {"2024-01": "source changed", "2024-03": "source changed"}
    assert facts.relations()["facts_y2024m02"] == before["facts_y2024m02"]
    assert facts.assert_equal("facts") == 360
    facts.source(
        "UPDATE facts SET v = 'changed' WHERE id = 130; UPDATE facts SET at = at + interval '40 days' WHERE id = 1"
    )
    facts.source(
        "CREATE TABLE facts_y2024m04 PARTITION OF facts FOR VALUES FROM ('2024-04-01+00') TO ('2024-05-01+00')"
    )
    facts.source("INSERT INTO facts VALUES (999, '2024-04-30 23:59:59.999999+00', 'new')")
    assert set(reasons(facts.ingest("facts"))) == {"2024-01", "2024-02", "2024-04"}
    assert facts.assert_equal("facts") == 361


def test_an_emptied_month_is_emptied_and_a_dropped_one_kept(facts: Bench) -> None:
    facts.ingest("facts")
    kept = facts.rows("facts", of="warehouse", where="at < '2024-02-01+00'")
    facts.source("DELETE FROM facts WHERE at >= '2024-02-01+00' AND at < '2024-03-01+00'; DROP TABLE facts_y2024m01")
    result = facts.ingest("facts")
    assert reasons(result) == {"2024-02": "emptied at the source"}
    assert result.left_source == (month("2024-01"),)
    assert facts.rows("facts", of="warehouse", where="at < '2024-02-01+00'") == kept
    assert facts.assert_equal("facts", where="at >= '2024-02-01+00'") > 0
    again = facts.ingest("facts")
    assert (again.loads, again.left_source) == ((), (month("2024-01"),))
    # Detached is dropped, too; attached again it is compared again.
    facts.source("ALTER TABLE facts DETACH PARTITION facts_y2024m03")
    assert facts.ingest("facts").left_source == (month("2024-01"), month("2024-03"))
    facts.source("DELETE FROM facts_y2024m03 WHERE id = 300")
    facts.source(
        "ALTER TABLE facts ATTACH PARTITION facts_y2024m03 FOR VALUES FROM ('2024-03-01+00') TO ('2024-04-01+00')"
    )
    assert reasons(facts.ingest("facts")) == {"2024-03": "source changed"}
    assert facts.assert_equal("facts", where="at >= '2024-02-01+00'") == 119


def test_partitions_that_are_not_utc_months(bench: Bench) -> None:
    """Bounds at midnight of another zone: a dropped partition takes part of a UTC month, which the warehouse keeps."""
    bench.source("""
        CREATE TABLE facts (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE f1 PARTITION OF facts FOR VALUES FROM ('2024-01-01+05:30') TO ('2024-02-01+05:30');
        CREATE TABLE f2 PARTITION OF facts FOR VALUES FROM ('2024-02-01+05:30') TO ('2024-03-01+05:30');
        CREATE TABLE f3 PARTITION OF facts FOR VALUES FROM ('2024-03-01+05:30') TO ('2024-04-01+05:30');
        INSERT INTO facts SELECT i, '2023-12-31 19:00+00'::timestamptz + i * interval '6 hours'
            FROM generate_series(0, 359) i;
    """)
    bench.monthly("facts")
    bench.ingest("facts")
    assert bench.assert_equal("facts") == 360
    old = bench.rows("facts", of="warehouse", where="at < '2024-02-01+05:30'")
    bench.source("DROP TABLE f1; INSERT INTO facts VALUES (-1, '2024-02-01 00:00+05:30')")
    result = bench.ingest("facts")
    assert month("2024-01") in result.left_source
    assert bench.rows("facts", of="warehouse", where="at < '2024-02-01+05:30'") == old
    bench.assert_equal("facts", where="at >= '2024-02-01+05:30'")
    assert bench.ingest("facts").loads == ()
    # Rows of the month's part that is still there go when the source deletes them.
    bench.source("DELETE FROM facts WHERE at < '2024-02-01 00:00+00'")
    bench.ingest("facts")
    assert bench.rows("facts", of="warehouse", where="at < '2024-02-01+05:30'") == old
    bench.assert_equal("facts", where="at >= '2024-02-01+05:30'")


def test_daily_partitions_of_which_some_days_are_dropped(bench: Bench) -> None:
    bench.source("CREATE TABLE facts (id bigint, at timestamp NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    for day in (1, 2, 3):
        bench.source(
            f"CREATE TABLE d{day} PARTITION OF facts FOR VALUES FROM ('2024-01-0{day}') TO ('2024-01-0{day + 1}')"
        )
        bench.source(f"INSERT INTO facts SELECT i, '2024-01-0{day} 12:00' FROM generate_series(1, 10) i")
    bench.monthly("facts")
    bench.ingest("facts")
    bench.source("DROP TABLE d1; DELETE FROM d2 WHERE id = 1; INSERT INTO d3 VALUES (11, '2024-01-03')")
    bench.ingest("facts")
    assert bench.warehouse("SELECT to_char(at, 'YYYY-MM-DD'), count(*) FROM {raw}.facts GROUP BY 1 ORDER BY 1") == [
        ("2024-01-01", 10), ("2024-01-02", 9), ("2024-01-03", 11),
    ]  # fmt: skip
    assert bench.ingest("facts").loads == ()


@pytest.mark.parametrize(
    ("time", "zone"), [("date", ""), ("timestamp", ""), ("timestamptz", "+00"), ("timestamptz(0)", "+00")]
)
def test_kinds_of_time_column_and_zones(bench: Bench, time: str, zone: str) -> None:
    """Months are UTC months, whatever the zone of either server and the first or last instant of a month."""
    for execute, name in ((bench.source, bench.pair.source), (bench.warehouse, bench.pair.warehouse)):
        execute(f"ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'")
    try:
        bench.source(PARTITIONED.format(time=time, zone=zone).replace("'6 hours'", "'1 day'").replace("359", "90"))
        edges = [f"2024-0{m}-01 00:00:00{zone}" for m in (1, 2, 3)] + [
            f"2024-0{m}-{d} 23:59:59{zone}" for m, d in ((1, 31), (2, 29))
        ]
        for number, edge in enumerate(edges):
            bench.source(f"INSERT INTO facts VALUES ({-number - 1}, '{edge}')")
        bench.monthly("facts")
        bench.ingest("facts")
        assert bench.assert_equal("facts") == 96
        bench.source("UPDATE facts SET v = 'edge' WHERE id < 0")
        assert set(reasons(bench.ingest("facts"))) == {"2024-01", "2024-02", "2024-03"}
        bench.assert_equal("facts")
        assert bench.ingest("facts").loads == ()
    finally:
        for execute, name in ((bench.source, bench.pair.source), (bench.warehouse, bench.pair.warehouse)):
            execute(f"ALTER DATABASE {name} RESET timezone")


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


def test_a_scope_of_months_touches_no_other(facts: Bench) -> None:
    facts.ingest("facts")
    facts.source("UPDATE facts SET v = 'changed'")
    february = Months(month("2024-02"), month("2024-02"))
    assert set(reasons(facts.ingest("facts", months=february))) == {"2024-02"}
    facts.assert_equal("facts", where="at >= '2024-02-01+00' AND at < '2024-03-01+00'")
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts WHERE v = 'changed'") == [(116,)]
    assert set(reasons(facts.ingest("facts", months=Months(last=month("2024-02"))))) == {"2024-01"}
    assert set(reasons(facts.ingest("facts", months=Months(first=month("2024-03"))))) == {"2024-03"}
    facts.assert_equal("facts")


def test_rows_outside_of_every_month_of_history(bench: Bench) -> None:
    bench.source("CREATE TABLE facts (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    for number, time in enumerate(("1970-01-01", "2024-05-05", "2999-12-31", "0001-01-01")):
        bench.source(f"INSERT INTO facts VALUES ({number}, '{time}+00')")
    bench.monthly("facts")
    bench.ingest("facts", months=Months(last=month("2024-05")))
    bench.ingest("facts", months=Months(first=month("2024-05")))
    assert bench.assert_equal("facts") == 4


@pytest.mark.parametrize("months", [Months(), Months(first=month("2024-01")), Months(last=month("2024-06")),
                                    Months(month("2024-02"), month("2024-03"))], ids=str)  # fmt: skip
def test_rows_without_a_month_are_refused_in_every_scope(bench: Bench, months: Months) -> None:
    """A NULL is in no month: a run that is asked for some months must not pass over it in silence."""
    bench.source("CREATE TABLE facts (id int PRIMARY KEY, at timestamptz)")
    bench.source("INSERT INTO facts VALUES (1, '2024-02-02+00')")
    bench.declare("facts", key=("id",), time="at", ingest={"mode": "partition"})
    bench.ingest("facts", months=months)
    bench.source("INSERT INTO facts VALUES (2, NULL)")
    with pytest.raises(CatalogMismatch, match=r"facts\.at: rows without a month: 1 with NULL"):
        bench.ingest("facts", months=months)


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 BC", "9999-12-31+00", "12024-01-01+00"])
def test_a_time_that_is_in_no_month_is_refused(bench: Bench, time: str) -> None:
    bench.source("CREATE TABLE facts (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    bench.source("INSERT INTO facts VALUES (1, '2024-02-02+00')")
    bench.monthly("facts")
    bench.ingest("facts")
    before = bench.state("facts")
    bench.source(f"INSERT INTO facts VALUES (2, '{time}'), (3, '2024-02-03+00')")
    with pytest.raises(CatalogMismatch, match=r"facts\.at"):
        bench.ingest("facts")
    assert bench.state("facts") == before


# --- what happens at the source between its snapshot and the read ------------------------------------------------


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
