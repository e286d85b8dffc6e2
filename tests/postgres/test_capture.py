"""Change capture against real servers: whatever changes at the source, the warehouse has it once, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from capturing import capture, captured, drop_slots, publish, slots
from ingesting import PARTITIONED, Bench, bench_on, databases
from test_change_feeds import follow
from tiering import NO_HOT, ONLY_JANUARY, TIERS, everywhere, moved, proven, tier

from demo.servers import Servers
from warehouse.errors import Busy, ConfigurationError, ServerUnavailable, SourceInterrupted
from warehouse.ingest.capture import capture_changes, run
from warehouse.lake.store import Store

NOTES = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE notes (
    id bigint PRIMARY KEY, v text, amount numeric, large text, body jsonb, at timestamptz, tags text[], mood mood,
    raw bytea
);
ALTER TABLE notes ALTER large SET STORAGE EXTERNAL;
INSERT INTO notes
    SELECT i, 'v' || i, i / 3.0, repeat(md5(i::text), 200), jsonb_build_object('i', i),
           '2024-01-01Z'::timestamptz + i * interval '1 h',
           ARRAY['a', NULL, E'tab\\tand\\\\'], 'good', decode(md5(i::text), 'hex')
      FROM generate_series(1, 50) i;
"""


@pytest.fixture
def bench(servers: Servers) -> Iterator[Bench]:
    """A pair of its own: a slot sees the whole database."""
    with databases(servers) as pair, bench_on(pair) as system:
        yield system
        drop_slots(system)


@pytest.fixture
def notes(bench: Bench) -> Bench:
    """A captured table, compared once."""
    bench.source(NOTES)
    bench.declare("notes", key=["id"])
    captured(bench, "notes")
    assert capture(bench).tables["notes"].compared == "it was not captured before"
    assert bench.assert_equal("notes") == 50
    return bench


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("INSERT INTO notes (id, v) VALUES (99, E'a\\tb\\\\c\\nd')", id="insert"),
        pytest.param("UPDATE notes SET v = NULL, amount = 1.00 WHERE id < 9", id="update"),
        pytest.param("UPDATE notes SET amount = 1.0; UPDATE notes SET amount = 1.00 WHERE id = 3", id="image"),
        pytest.param("DELETE FROM notes WHERE id % 2 = 0", id="delete"),
        pytest.param("DELETE FROM notes", id="delete all"),
        pytest.param("UPDATE notes SET id = id + 1000 WHERE id < 9", id="key, and a large value stays"),
        pytest.param("UPDATE notes SET id = -id; UPDATE notes SET id = -id, v = 'x'", id="keys there and back"),
        pytest.param(
            "UPDATE notes SET id = -1 WHERE id = 1; UPDATE notes SET id = 1 WHERE id = 2;"
            "UPDATE notes SET id = 2 WHERE id = -1",
            id="two rows take each other's key",
        ),
        pytest.param("INSERT INTO notes (id) VALUES (77); DELETE FROM notes WHERE id = 77", id="came and went"),
        pytest.param("DELETE FROM notes WHERE id = 7; INSERT INTO notes (id) VALUES (7)", id="went and came"),
        pytest.param("UPDATE notes SET large = 's' WHERE id = 5; UPDATE notes SET v = 'y' WHERE id = 5", id="large"),
        pytest.param("BEGIN; DELETE FROM notes; ROLLBACK", id="rolled back"),
        pytest.param(
            "BEGIN; SAVEPOINT s; DELETE FROM notes; ROLLBACK TO s; UPDATE notes SET v = 'z'; COMMIT", id="in part"
        ),
        pytest.param("UPDATE notes SET mood = 'bad', tags = NULL, raw = '\\x00ff' WHERE id = 5", id="types"),
    ],
)  # fmt: skip
def test_whatever_changes_arrives(notes: Bench, change: str) -> None:
    notes.source(change)
    result = capture(notes)
    notes.assert_equal("notes")
    assert result.tables["notes"].compared is None
    again = capture(notes).tables["notes"]
    assert (again.rows, again.compared) == (0, None)


def test_what_is_held_is_known_without_comparing(notes: Bench) -> None:
    notes.source(
        "DELETE FROM notes WHERE id < 9; UPDATE notes SET v = 'x' WHERE id > 40; INSERT INTO notes VALUES (200)"
    )
    capture(notes)
    known = notes.warehouse(f"SELECT rows, digest FROM platform.raw_content WHERE system = '{notes.name}'")
    again = notes.ingest("notes")
    assert again.loads == ()  # the comparison found nothing to do
    assert known == [(again.reconciliation.warehouse.rows, again.reconciliation.warehouse.digest)]


def test_in_small_stretches(notes: Bench) -> None:
    for number in range(30):
        notes.source(
            f"UPDATE notes SET v = '{number}' WHERE id % 7 = {number % 7}; DELETE FROM notes WHERE id = {number}"
        )
    result = capture(notes, stretch=5)
    notes.assert_equal("notes")
    assert result.tables["notes"].compared is None


def test_what_is_passed_over_is_not_the_end(notes: Bench) -> None:
    """Of other tables, or seen by a comparison: the log goes on behind it."""
    notes.source("CREATE TABLE other (id int PRIMARY KEY)")
    notes.source(f"ALTER PUBLICATION {slots(notes)[0]} ADD TABLE other")
    for number in range(20):
        notes.source(f"INSERT INTO other VALUES ({number}); UPDATE notes SET v = 'seen {number}'")
    notes.ingest("notes")
    notes.source("DELETE FROM notes WHERE id = 9")
    assert capture(notes, stretch=3).tables["notes"].changes == 1
    notes.assert_equal("notes")


def test_in_the_text_format_where_a_column_demands_it(bench: Bench) -> None:
    bench.source("CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE moods (id int PRIMARY KEY, m mood[], v text)")
    bench.declare("moods", key=["id"])
    captured(bench, "moods")
    capture(bench)
    bench.source("INSERT INTO moods SELECT i, '{good,NULL,bad}', E'\\\\N\\t\\r\\n\\\\' FROM generate_series(1, 9) i")
    assert capture(bench).tables["moods"].compared is None
    assert bench.assert_equal("moods") == 9


def test_a_truncated_table_is_compared(notes: Bench) -> None:
    notes.source("TRUNCATE notes; INSERT INTO notes (id) VALUES (1)")
    assert capture(notes).tables["notes"].compared == "it was truncated"
    assert notes.assert_equal("notes") == 1


def test_months_of_a_partitioned_table(bench: Bench) -> None:
    bench.source(PARTITIONED.format(time="timestamptz", zone="Z"))
    bench.monthly("facts")
    captured(bench, "facts")
    capture(bench)
    bench.source(
        "CREATE TABLE facts_y2024m04 PARTITION OF facts FOR VALUES FROM ('2024-04-01Z') TO ('2024-05-01Z');"
        "INSERT INTO facts VALUES (900, '2024-04-02Z', 'new month'), (901, '2024-01-31T23:59:59Z', 'late');"
        "UPDATE facts SET at = at + interval '31 days' WHERE id IN (3, 4);"  # into another partition
        "UPDATE facts SET v = 'w' WHERE id > 300; DELETE FROM facts WHERE id BETWEEN 100 AND 120"
    )
    result = capture(bench)
    assert result.tables["facts"].compared is None
    bench.assert_equal("facts")
    assert bench.ingest("facts").loads == ()


def test_a_dropped_or_detached_partition_deletes_nothing(bench: Bench) -> None:
    bench.source(PARTITIONED.format(time="timestamptz", zone="Z"))
    bench.monthly("facts")
    captured(bench, "facts")
    capture(bench)
    before = bench.rows("facts", of="warehouse")
    bench.source(
        "DROP TABLE facts_y2024m01; ALTER TABLE facts DETACH PARTITION facts_y2024m02; DELETE FROM facts_y2024m02"
    )
    capture(bench)
    assert bench.rows("facts", of="warehouse") == before


def test_months_that_tiering_took_are_left_to_it(bench: Bench, tmp_path: Path) -> None:
    lake = Store(tmp_path.as_uri())
    bench.source(PARTITIONED.format(time="timestamptz", zone="Z"))
    tier(bench, TIERS)
    captured(bench, "facts")
    capture(bench)
    assert ("drop", "2024-01") in moved(bench, lake)
    below = everywhere(bench, lake)
    assert capture(bench).tables["facts"].compared is None  # a move says nothing of rows
    assert everywhere(bench, lake) == below
    bench.source("INSERT INTO facts VALUES (700, '2024-01-07Z', 'late')")
    assert capture(bench).tables["facts"].compared is None
    assert everywhere(bench, lake) == below  # late rows join by tiering
    bench.source("UPDATE facts SET v = 'w' WHERE id = 359; DELETE FROM facts WHERE id = 358")
    assert capture(bench).tables["facts"].compared is None
    bench.assert_equal("facts", where="at >= '2024-03-01Z'")
    assert ("join", "2024-01 late 1") in moved(bench, lake)
    capture(bench)
    assert ("700", "2024-01-07 00:00:00.000000", "late") in everywhere(bench, lake)
    assert proven(bench, lake) == []


@pytest.mark.parametrize("change", ["UPDATE facts SET v = 'w' WHERE id = 3", "DELETE FROM facts WHERE id = 3"])
def test_a_month_of_the_lake_that_changes_comes_back(bench: Bench, tmp_path: Path, change: str) -> None:
    lake = Store(tmp_path.as_uri())
    bench.source(PARTITIONED.format(time="timestamptz", zone="Z"))
    tier(bench, NO_HOT)
    captured(bench, "facts")
    capture(bench)
    moved(bench, lake, ONLY_JANUARY)
    bench.source(change)
    assert "in the lake" in str(capture(bench).tables["facts"].compared)
    bench.assert_equal("facts")
    assert proven(bench, lake) == []


@pytest.mark.parametrize("cut", ["write_slot", "advance_slot", "record_load", "write_applied"])
def test_cut_off_and_run_again(notes: Bench, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    notes.source("UPDATE notes SET v = 'x', id = id + 100; INSERT INTO notes (id) VALUES (1)")

    def fall(*_: object, **__: object) -> None:
        raise ServerUnavailable("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(run, cut, fall)
        with pytest.raises(ServerUnavailable):
            capture(notes)
    notes.source("UPDATE notes SET v = 'y' WHERE id = 101")
    assert capture(notes).tables["notes"].compared is None
    notes.assert_equal("notes")


def test_what_nobody_can_see_yet_waits(notes: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may be in the log and wait for a standby: no snapshot has it, so it is not applied."""
    notes.source("UPDATE notes SET v = 'x' WHERE id = 1")
    ((xid,),) = notes.source("SELECT xmin::text::bigint FROM notes WHERE id = 1")
    real = run.Seen.of
    hidden = run.Seen(real(f"1:{xid + 1}:").upper, frozenset({xid}))
    monkeypatch.setattr(run.Seen, "of", lambda text: hidden if int(text.split(":")[1]) > xid else real(text))
    assert capture(notes).tables["notes"].changes == 0
    monkeypatch.undo()
    assert capture(notes).tables["notes"].changes == 1
    notes.assert_equal("notes")


def test_an_older_snapshot_brings_nothing_back(notes: Bench) -> None:
    with notes.snapshot() as old:
        notes.source("UPDATE notes SET v = 'x'")
        capture(notes)
        with pytest.raises(SourceInterrupted, match="later changes were captured"):
            notes.ingest("notes", snapshot=old)
    notes.assert_equal("notes")


def test_a_comparison_between_two_captures(notes: Bench) -> None:
    notes.source("UPDATE notes SET v = 'x'; DELETE FROM notes WHERE id = 3")
    notes.ingest("notes")  # sees it first
    notes.source("UPDATE notes SET v = 'y' WHERE id < 5")
    result = capture(notes).tables["notes"]
    assert (result.changes, result.compared) == (3, None)  # ids 1, 2 and 4
    notes.assert_equal("notes")


@pytest.mark.parametrize("lost", ["dropped", "made anew", "read by another"])
def test_a_slot_that_is_not_where_it_was(notes: Bench, lost: str) -> None:
    slot = slots(notes)[0]
    notes.source("UPDATE notes SET v = 'x'")
    if lost == "read by another":
        notes.source(f"SELECT count(*) FROM pg_logical_slot_get_binary_changes('{slot}', NULL, NULL,"
                     f" 'proto_version', '1', 'publication_names', '{slot}')")  # fmt: skip
    else:
        drop_slots(notes)
    if lost == "made anew":
        notes.source(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    assert capture(notes).tables["notes"].compared is not None
    notes.assert_equal("notes")
    notes.source("UPDATE notes SET v = 'z'")
    assert capture(notes).tables["notes"].compared is None
    notes.assert_equal("notes")


def test_log_over_its_budget_is_given_up(notes: Bench) -> None:
    system = notes.system
    small = system.model_copy(update={"capture": system.capture.model_copy(update={"retained_mb": 1})})
    notes.source(
        "CREATE TABLE other AS SELECT repeat('x', 1000) AS v FROM generate_series(1, 4000); UPDATE notes SET v = 'x'"
    )
    pair = notes.pair
    result = capture_changes(pair.primary, pair.log, pair.target, small)
    assert result.dropped
    assert result.retained > 1_000_000
    assert result.tables["notes"].compared == "the source kept more than 1 MB of log"
    notes.assert_equal("notes")
    assert not capture_changes(pair.primary, pair.log, pair.target, small).dropped


def test_an_idle_table_holds_no_log(notes: Bench) -> None:
    notes.source("CREATE TABLE other AS SELECT repeat('x', 1000) AS v FROM generate_series(1, 4000)")
    capture(notes)
    notes.source("CHECKPOINT; SELECT pg_log_standby_snapshot(); CHECKPOINT")
    assert capture(notes).retained > 3_000_000  # as it was before that run
    capture(notes)
    assert capture(notes).retained < 1_000_000


def test_one_table_that_cannot_follow_stops_no_other(notes: Bench) -> None:
    notes.source("CREATE TABLE plain (id int PRIMARY KEY, v text, w int)")
    notes.declare("plain", key=["id"])
    captured(notes, "plain")
    capture(notes)
    notes.source("INSERT INTO plain VALUES (1, 'a', 1); ALTER TABLE plain DROP w; INSERT INTO plain VALUES (2, 'b');"
                 "UPDATE notes SET v = 'x'")  # fmt: skip
    pair = notes.pair
    result = capture_changes(pair.primary, pair.log, pair.target, notes.system)
    assert "'w'" in str(result.tables["plain"].error)
    assert result.tables["notes"].error is None
    notes.assert_equal("notes")
    notes.declare("plain", key=["id"], ingest={"capture": True})
    assert capture(notes).tables["plain"].compared is not None
    notes.assert_equal("plain")


def test_a_column_that_came_is_taken_when_it_is_declared(notes: Bench) -> None:
    notes.source("ALTER TABLE notes ADD extra int DEFAULT 5; UPDATE notes SET v = 'x' WHERE id = 1")
    capture(notes)  # the catalog does not know it yet
    notes.assert_equal("notes")
    notes.declare("notes", key=["id"], ingest={"capture": True})
    notes.source("UPDATE notes SET extra = 6 WHERE id = 2")
    assert "other columns" in str(capture(notes).tables["notes"].compared)
    notes.assert_equal("notes")
    notes.source("UPDATE notes SET extra = 7 WHERE id = 3")
    assert capture(notes).tables["notes"].compared is None
    notes.assert_equal("notes")


def test_a_raw_table_that_somebody_dropped_is_loaded_anew(notes: Bench) -> None:
    notes.warehouse("DROP TABLE {raw}.notes CASCADE")
    notes.source("UPDATE notes SET v = 'x' WHERE id = 2")
    assert "not there" in str(capture(notes).tables["notes"].compared)
    notes.assert_equal("notes")


def test_a_server_without_room_for_a_slot_is_said(bench: Bench) -> None:
    bench.source("CREATE TABLE notes (id int PRIMARY KEY)")
    bench.declare("notes", key=["id"])
    captured(bench, "notes")
    ((most,),) = bench.source(
        "SELECT current_setting('max_replication_slots')::int - count(*) FROM pg_replication_slots"
    )
    taken = [f"taken_{number}" for number in range(most)]
    for name in taken:
        bench.source(f"SELECT pg_create_physical_replication_slot('{name}')")
    try:
        with pytest.raises(ConfigurationError, match="no room for another slot"):
            capture(bench)
    finally:
        for name in taken:
            bench.source(f"SELECT pg_drop_replication_slot('{name}')")
    assert capture(bench).tables["notes"].error is None


def test_two_at_once(notes: Bench) -> None:
    with notes.store.transaction():
        notes.store.execute("SELECT pg_advisory_lock(hashtextextended('drivetrain capture ' || %s, 0))", (notes.name,))
        with pytest.raises(Busy, match="another one is running"):
            capture(notes)


def test_what_is_missing_is_said(bench: Bench) -> None:
    bench.source("CREATE TABLE notes (id int PRIMARY KEY, v text)")
    bench.declare("notes", key=["id"])
    pair = bench.pair
    with pytest.raises(ConfigurationError, match="no table is captured"):
        capture(bench)
    bench.tables["notes"]["ingest"] = {"capture": True}
    with pytest.raises(ConfigurationError, match=r"there is no publication [^C]*\n.*CREATE PUBLICATION"):
        capture(bench)
    with pytest.raises(ConfigurationError, match="may not read the log"):
        capture_changes(pair.primary, pair.primary, pair.target, bench.system)
    publish(bench)
    bench.source("CREATE TABLE more (id int PRIMARY KEY)")
    bench.declare("more", key=["id"], ingest={"capture": True})
    with pytest.raises(ConfigurationError, match=r"(?s)does not tell all of .*more.*ALTER PUBLICATION"):
        capture(bench)
    bench.tables.pop("more")
    bench.source(f"ALTER PUBLICATION drivetrain_{bench.name} SET TABLE notes WHERE (id > 5)")
    with pytest.raises(ConfigurationError, match="does not tell all of"):
        capture(bench)
    assert slots(bench) == []  # nothing was begun


def test_readers_of_changes_hear_the_same(notes: Bench) -> None:
    follow(notes, "notes")
    notes.source(
        "UPDATE notes SET amount = 5 WHERE id < 4; DELETE FROM notes WHERE id = 9;"
        "INSERT INTO notes (id, amount) VALUES (300, 7)"
    )
    before = notes.warehouse("SELECT sum(amount), count(*) FROM {raw}.notes")
    capture(notes)
    ((total, count),) = notes.warehouse("SELECT sum(sign * amount), sum(sign) FROM {raw}.notes__changes")
    ((was, were),), ((now, are),) = before, notes.warehouse("SELECT sum(amount), count(*) FROM {raw}.notes")
    assert (was + total, were + count) == (now, are)
