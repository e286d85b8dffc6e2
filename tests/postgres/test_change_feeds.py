"""Change feeds of raw tables: what a table was, and its changes after that, are together what it is.

What does not belong here: the models that read feeds (``test_models_follow_changes``).
"""

from __future__ import annotations

import random
from collections import Counter

import psycopg
import pytest
from ingesting import Bench, rows_of

from warehouse.catalog.loader import load_catalog
from warehouse.postgres.sessions import connect
from warehouse.state.changes import SUFFIX, feed_columns, prune_changes

READER = "marts.somebody"


def follow(bench: Bench, table: str, reader: str = READER, by_change: bool = False) -> None:
    """A refresh of a model that reads the table: all that there was is now in it."""
    with connect(bench.pair.target, lock_timeout="200ms") as model, model.transaction():
        model.execute("SELECT platform.open_changes(%s, %s, %s)", (reader, f"{bench.raw}.{table}", by_change))
        model.execute("SELECT platform.close_changes(%s)", (reader,))


def position(bench: Bench, table: str, reader: str = READER) -> int | None:
    row = bench.store.execute(
        "SELECT position FROM platform.change_reader WHERE reader = %s AND relation = %s",
        (reader, f"{bench.raw}.{table}"),
    ).fetchone()
    assert row is not None
    return row[0]


def changes(bench: Bench, table: str, sign: int) -> Counter[tuple[str, ...]]:
    columns = sorted(bench.tables[table]["columns"])
    return rows_of(bench.store, bench.raw, table + SUFFIX, columns, f"sign = {sign}")


def assert_followed(bench: Bench, table: str, before: Counter[tuple[str, ...]]) -> None:
    """What was, with what came and without what went, is what is."""
    came, went = changes(bench, table, 1), changes(bench, table, -1)
    assert before + came - went == bench.rows(table, of="warehouse")
    assert not went - (before + came), "a row went that was not there"


def declare(bench: Bench, mode: str) -> None:
    bench.source("CREATE TABLE t (id int, at timestamptz NOT NULL, v numeric, note text, PRIMARY KEY (id, at))")
    bench.source(
        "INSERT INTO t SELECT i, timestamptz '2024-01-01+00' + i * interval '8 hours', i FROM generate_series(1, 300) i"
    )
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})
    bench.ingest("t")


def use(bench: Bench, numbers: random.Random) -> None:
    """What an application does to its table: new and late rows, updates, deletes, rows that move to another month."""
    for _ in range(numbers.randint(1, 12)):
        some = numbers.randint(1, 300)
        bench.source(
            numbers.choice(
                [
                    f"INSERT INTO t SELECT {numbers.randint(1000, 10**8)}, '2024-04-11+00', 1",
                    f"INSERT INTO t SELECT {numbers.randint(1000, 10**8)}, '2024-01-02+00', 1.50",
                    f"UPDATE t SET v = v + 1 WHERE id = {some}",
                    f"UPDATE t SET v = v || '.00' WHERE id = {some}".replace(
                        "v || '.00'", "(v::text || '.0')::numeric"
                    ),
                    f"UPDATE t SET note = 'é ' || {some} WHERE id % 50 = {some % 50}",
                    f"UPDATE t SET at = at + interval '1 month' WHERE id = {some}",
                    f"DELETE FROM t WHERE id = {some}",
                    "DELETE FROM t WHERE at >= '2024-03-01+00' AND at < '2024-03-03+00'",
                ]
            )
        )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["full", "incremental", "partition"])
def test_a_table_is_what_it_was_and_its_changes(bench: Bench, mode: str, seed: int) -> None:
    declare(bench, mode)
    follow(bench, "t")
    before = bench.rows("t", of="warehouse")
    numbers = random.Random(seed)
    for _ in range(5):
        use(bench, numbers)
        bench.ingest("t")
        bench.assert_equal("t")
        assert_followed(bench, "t", before)


@pytest.mark.parametrize("mode", ["full", "incremental", "partition"])
def test_only_rows_that_changed_are_noted(bench: Bench, mode: str) -> None:
    declare(bench, mode)
    follow(bench, "t")
    bench.source(
        "UPDATE t SET v = 0 WHERE id = 7; DELETE FROM t WHERE id = 8; INSERT INTO t VALUES (900, '2024-01-05+00', 2)"
    )
    bench.ingest("t")
    assert changes(bench, "t", -1).total() == 2
    assert changes(bench, "t", 1).total() == 2


def test_a_table_that_nobody_follows_has_no_feed(bench: Bench) -> None:
    declare(bench, "partition")
    bench.source("UPDATE t SET v = 0")
    bench.ingest("t")
    assert "t" + SUFFIX not in bench.relations()


def test_a_load_that_fails_leaves_no_change(bench: Bench) -> None:
    declare(bench, "incremental")
    follow(bench, "t")
    bench.warehouse(
        "CREATE FUNCTION {raw}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
        " CREATE TRIGGER refuse BEFORE UPDATE ON {raw}.t FOR EACH ROW EXECUTE FUNCTION {raw}.refuse()"
    )
    bench.source("UPDATE t SET v = 0, at = at WHERE id < 10")
    with pytest.raises(Exception, match="no"):
        bench.ingest("t")
    assert changes(bench, "t", 1).total() == 0


def test_a_new_reader_waits_for_the_load_that_is_running(bench: Bench) -> None:
    declare(bench, "partition")
    with connect(bench.pair.target) as loading:
        loading.execute("SELECT pg_advisory_lock(platform.feed_lock(%s))", (f"{bench.raw}.t",))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            follow(bench, "t")
    follow(bench, "t")
    assert position(bench, "t") == 0


def test_a_table_without_a_key_is_read_whole_again(bench: Bench) -> None:
    bench.source("CREATE TABLE loose (v int); INSERT INTO loose VALUES (1), (1)")
    bench.declare("loose")
    bench.ingest("loose")
    follow(bench, "loose")
    bench.source("INSERT INTO loose VALUES (2)")
    bench.ingest("loose")
    assert position(bench, "loose") is None


def test_a_table_that_was_dropped_is_read_whole_again(bench: Bench) -> None:
    declare(bench, "partition")
    follow(bench, "t")
    bench.warehouse("DROP TABLE {raw}.t")
    bench.ingest("t")
    assert position(bench, "t") is None
    follow(bench, "t")
    assert position(bench, "t") is not None


def test_a_feed_begins_anew_with_another_policy(bench: Bench) -> None:
    declare(bench, "partition")
    follow(bench, "t")
    bench.source("UPDATE t SET v = 0 WHERE id = 1")
    bench.ingest("t")
    bench.source("ALTER TABLE t DROP COLUMN note")
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": "partition"})
    bench.ingest("t")
    assert position(bench, "t") is None
    with pytest.raises(psycopg.errors.RaiseException, match="began anew"):
        follow(bench, "t", by_change=True)
    follow(bench, "t")
    bench.source("UPDATE t SET v = 1 WHERE id = 1")
    bench.ingest("t")
    assert changes(bench, "t", 1).total() == 1


def test_changes_that_everybody_has_read_are_dropped(bench: Bench) -> None:
    declare(bench, "partition")
    for reader in (READER, "marts.slow", "marts.removed"):
        follow(bench, "t", reader)
    bench.source("UPDATE t SET v = 0 WHERE id = 1")
    bench.ingest("t")
    follow(bench, "t", by_change=True)
    with connect(bench.pair.target) as connection:
        assert prune_changes(connection, [READER, "marts.slow"]) == 0
        follow(bench, "t", "marts.slow", by_change=True)
        assert prune_changes(connection, [READER, "marts.slow"]) == 2
    follow(bench, "t", by_change=True)
    assert position(bench, "t") == 2
    left = bench.store.execute("SELECT reader FROM platform.change_reader WHERE relation = %s", (f"{bench.raw}.t",))
    assert {reader for (reader,) in left} == {READER, "marts.slow"}


def test_a_feed_carries_no_personal_column_but_the_persons_identifier() -> None:
    for system in load_catalog().systems.values():
        for table in system.tables.values():
            carried = set(feed_columns(table))
            personal = {name for name, kind in table.personal.items() if kind != "person_id"}
            assert not carried & personal - {*table.key, table.time}
            assert {*table.key, *({table.time} if table.time else ())} <= carried
