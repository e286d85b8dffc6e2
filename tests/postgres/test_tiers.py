"""Months that move down the tiers on real servers: nothing is lost, doubled or forgotten, whatever comes between."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ingesting import Bench, month
from tiering import (
    AT,
    LATER,
    NO_HOT,
    TIERS,
    TYPES,
    everywhere,
    move,
    moved,
    plan,
    proven,
    source_rows,
    tier,
    told,
)

from warehouse.errors import DrivetrainError
from warehouse.lake.content import Content, content_on_server
from warehouse.lake.delta import LakeTable
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.state.moves import read_moves
from warehouse.state.raw_store import RawTable
from warehouse.state.tiered import lock, tiered
from warehouse.tiering import apply, leaving
from warehouse.tiering.leaving import Leaving


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(tmp_path.as_uri())
    return request.getfixturevalue("bucket")


@pytest.fixture
def facts(facts: Bench) -> Bench:
    """Ingested, with tiers."""
    tier(facts, TIERS)
    facts.ingest("facts")
    return facts


def test_a_month_walks_from_hot_to_cold(facts: Bench, lake: Store) -> None:
    before = source_rows(facts)
    assert plan(facts, lake) == [("leave", "2024-01")]
    assert moved(facts, lake) == [("leave", "2024-01"), ("drop", "2024-01")]
    assert source_rows(facts) == Counter({row: 1 for row in before if row[1] >= "2024-02"})
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    assert facts.ingest("facts").rows_written == 0
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    assert moved(facts, lake, LATER) == [
        ("leave", "2024-02"), ("leave", "2024-03"), ("cool", "2024-01"),
        ("drop", "2024-01"), ("drop", "2024-02"), ("drop", "2024-03"),
        ("cool", "2024-02"), ("cool", "2024-03"), ("drop", "2024-02"), ("drop", "2024-03"),
    ]  # fmt: skip
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert source_rows(facts) == Counter()
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    assert facts.ingest("facts").rows_written == 0
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    assert plan(facts, lake, LATER) == []


def test_a_month_that_ingestion_copied_is_hashed_once_on_each_side(
    facts: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Store(tmp_path.as_uri())
    noted = "SELECT rows, digest, agrees FROM platform.raw_content WHERE system = '{}' AND chunk = '2024-01'"
    (before,) = facts.warehouse(noted.format(facts.name))
    facts.warehouse(f"UPDATE platform.raw_content SET agrees = NULL WHERE system = '{facts.name}'")
    hashed: list[str] = []

    def counting(connection: Any, relation: Any, *rest: Any) -> Content:
        hashed.append(relation.as_string(None))
        return content_on_server(connection, relation, *rest)

    monkeypatch.setattr(leaving, "content_on_server", counting)
    monkeypatch.setattr(RawTable, "fingerprints", lambda *_, **__: pytest.fail("the month was read once more"))
    assert [done.failure for done in move(facts, lake, keep=dt.timedelta(days=1))] == [None]
    assert len(hashed) == 2
    assert facts.warehouse(noted.format(facts.name)) == [before] == [(124, before[1], True)]


def test_nothing_is_listed_or_read_that_does_not_move(
    facts: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, listed, looked = Store(tmp_path.as_uri()), [], []
    moved(facts, lake, LATER)
    facts.source(
        "CREATE TABLE facts_y2024m04 PARTITION OF facts FOR VALUES FROM ('2024-04-01+00') TO ('2024-05-01+00')"
    )
    facts.source("INSERT INTO facts VALUES (400, '2024-04-05+00', 'new')")
    facts.ingest("facts")
    listing, looking = Store.list, apply.is_filled
    monkeypatch.setattr(Store, "list", lambda self, prefix="": listed.append(prefix) or listing(self, prefix))
    monkeypatch.setattr(apply, "is_filled", lambda on, what: looked.append(what.as_string(None)) or looking(on, what))
    monkeypatch.setattr(LakeTable, "_entries", lambda *_: pytest.fail("the files of all months were read"))
    assert move(facts, lake, LATER, keep=dt.timedelta(days=1))[0].failure is None
    assert looked == [f'"{facts.name}"."facts_y2024m04"', f'"{facts.raw}"."facts_y2024m04"']  # others have no page
    for at in (LATER + dt.timedelta(days=2), LATER + dt.timedelta(days=4)):
        assert [done.failure for done in move(facts, lake, at, keep=dt.timedelta(days=9))] == [None]
    assert listed == ["month=2024-04/"]
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]


def test_what_moved_is_kept_for_a_while(facts: Bench, lake: Store) -> None:
    (done,) = move(facts, lake, keep=dt.timedelta(days=7))
    assert done.move is not None
    assert done.move.state == "flipped"
    assert plan(facts, lake) == [("keep", "2024-01")]
    assert facts.source(f"SELECT count(*) FROM {done.move.relation}") == [(124,)]
    with pytest.raises(Exception, match=r"facts 2024-01 has moved to the warehouse"):
        facts.source(f"DELETE FROM {done.move.relation}")
    with pytest.raises(Exception, match="has moved to the warehouse"):
        facts.source(f"TRUNCATE {done.move.relation}")
    assert plan(facts, lake, AT + dt.timedelta(days=8))[0] == ("drop", "2024-01")


def test_late_rows_follow_their_month(facts: Bench, lake: Store) -> None:
    before = everywhere(facts, lake)
    moved(facts, lake)
    late = ("9001", "2024-01-05 10:00:00.000000", "late")
    facts.source("INSERT INTO facts VALUES (9001, '2024-01-05 10:00+00', 'late')")
    assert facts.ingest("facts").rows_written == 0
    assert plan(facts, lake) == [("join", "2024-01 late 1")]
    assert moved(facts, lake) == [("join", "2024-01 late 1"), ("drop", "2024-01 late 1")]
    assert everywhere(facts, lake) == before + Counter([late])
    facts.source("INSERT INTO facts VALUES (9001, '2024-01-05 10:00+00', 'corrected'), (9002, '2024-01-06+00', 'x')")
    moved(facts, lake)
    assert everywhere(facts, lake)["9001", "2024-01-05 10:00:00.000000", "corrected"] == 1
    assert everywhere(facts, lake)[late] == 0
    moved(facts, lake, LATER)
    whole = everywhere(facts, lake)
    facts.source("INSERT INTO facts VALUES (9003, '2024-01-31 23:59:59.999999+00', 'very late')")
    facts.ingest("facts")
    assert [kind for kind, _ in moved(facts, lake, LATER)] == ["join", "drop", "cool", "drop"]
    assert everywhere(facts, lake) == whole + Counter([("9003", "2024-01-31 23:59:59.999999", "very late")])
    assert plan(facts, lake, LATER) == []
    assert proven(facts, lake) == []


def test_late_rows_correct_those_that_are_in_the_lake(facts: Bench, lake: Store) -> None:
    moved(facts, lake, LATER)
    before = everywhere(facts, lake)
    facts.source("INSERT INTO facts VALUES (3, '2024-01-01 18:00+00', 'corrected'), (9001, '2024-01-02+00', 'new')")
    assert [kind for kind, _ in moved(facts, lake, LATER)] == ["join", "drop", "cool", "drop"]
    after = before - Counter([("3", "2024-01-01 18:00:00.000000", "v3")])
    after.update([("3", "2024-01-01 18:00:00.000000", "corrected"), ("9001", "2024-01-02 00:00:00.000000", "new")])
    assert everywhere(facts, lake) == after
    assert proven(facts, lake) == []
    facts.source("INSERT INTO facts VALUES (3, '2024-01-01 18:00+00', 'again')")
    moved(facts, lake, LATER)
    assert everywhere(facts, lake)["3", "2024-01-01 18:00:00.000000", "again"] == 1
    assert everywhere(facts, lake).total() == 361
    assert proven(facts, lake) == []
    assert facts.warehouse(
        f"SELECT rows FROM platform.raw_content WHERE system = '{facts.name}' AND chunk = '2024-01'"
    ) == [(125,)]


def empty_january(bench: Bench) -> None:
    """As the upkeep of the warehouse's partitions may make it."""
    bounds = "FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00')"
    with connect(bench.pair.target) as platform:
        made = f"CREATE TABLE {bench.raw}.facts_y2024m01 PARTITION OF {bench.raw}.facts FOR VALUES {bounds}"
        platform.execute(made.encode())


def test_models_hear_of_late_rows_only(facts: Bench, lake: Store) -> None:
    """Not of those that come back with them; though upkeep has made an empty partition for the month meanwhile."""
    moved(facts, lake, LATER)
    empty_january(facts)
    with connect(facts.pair.target) as platform:
        platform.execute(f"SELECT platform.open_changes('a.model', '{facts.raw}.facts', false)".encode())
    facts.source("INSERT INTO facts VALUES (3, '2024-01-01 18:00+00', 'corrected'), (9001, '2024-01-02+00', 'new')")
    moved(facts, lake, LATER)
    assert facts.warehouse("SELECT sign, id FROM {raw}.facts__changes ORDER BY id, sign") == [
        (-1, 3),
        (1, 3),
        (1, 9001),
    ]
    assert proven(facts, lake) == []


def test_models_begin_anew_when_the_source_changed_a_month_of_the_lake(facts: Bench, lake: Store) -> None:
    """They have its rows already: hearing of all of them again would count them twice."""
    tier(facts, NO_HOT)
    moved(facts, lake, LATER)
    with connect(facts.pair.target) as platform:
        platform.execute(f"SELECT platform.open_changes('{facts.raw}.m', '{facts.raw}.facts', false)".encode())
        platform.execute(f"SELECT platform.close_changes('{facts.raw}.m')".encode())
    position = f"SELECT position FROM platform.change_reader WHERE reader = '{facts.raw}.m'"
    assert facts.warehouse(position) == [(0,)]
    facts.source("UPDATE facts SET v = 'changed' WHERE id = 3")
    facts.ingest("facts")
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts__changes") == [(0,)]
    assert facts.warehouse(position) == [(None,)], "they read the table whole"


def test_a_month_of_the_lake_with_rows_that_nobody_knows_is_left(facts: Bench, lake: Store) -> None:
    moved(facts, lake, LATER)
    empty_january(facts)
    facts.warehouse("INSERT INTO {raw}.facts VALUES (77777, '2024-01-02+00', 'whose?')")
    facts.source("INSERT INTO facts VALUES (9001, '2024-01-02+00', 'new')")
    failed = [each.failure for each in move(facts, lake, LATER) if each.failure]
    assert any("is in the lake, and 1 rows of it are in" in str(each) for each in failed)
    assert facts.warehouse("SELECT id FROM {raw}.facts") == [(77777,)]
    assert ("duplicated", "2024-01") in proven(facts, lake)


def test_every_type_comes_back_as_it_went(bench: Bench, lake: Store) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(TYPES))
    columns = f"id bigint, at timestamptz, {columns}, PRIMARY KEY (id, at)"
    bench.source(f"CREATE TABLE facts ({columns}) PARTITION BY RANGE (at)")
    bounds = "FROM ('2024-01-01+00') TO ('2024-02-01+00')"
    bench.source(f"CREATE TABLE facts_y2024m01 PARTITION OF facts FOR VALUES {bounds}")
    for number in range(max(map(len, TYPES.values()))):
        values = [each[number % len(each)].replace("'", "''") for each in TYPES.values()]
        texts = ", ".join(f"'{value}'" for value in values)
        bench.source(f"INSERT INTO facts VALUES ({number}, '2024-01-05+00', {texts})")
    bench.source("INSERT INTO facts VALUES (99, '2024-01-06+00')")
    tier(bench, TIERS)
    bench.ingest("facts")
    before = bench.rows("facts", of="warehouse")
    assert [kind for kind, _ in moved(bench, lake, LATER)] == ["leave", "drop", "cool", "drop"]
    assert bench.rows("facts", of="warehouse") == Counter()
    assert proven(bench, lake) == []
    bench.source("INSERT INTO facts VALUES (100, '2024-01-06+00')")
    assert [told(each.step) for each in move(bench, lake, LATER)] == [("join", "2024-01 late 1")]
    assert before < bench.rows("facts", of="warehouse")
    assert bench.rows("facts", of="warehouse").total() == before.total() + 1


def test_changes_before_a_month_leaves_are_taken_along(facts: Bench, lake: Store) -> None:
    """Ingestion has not seen them."""
    facts.source("UPDATE facts SET v = 'changed' WHERE id = 3")
    facts.source("DELETE FROM facts WHERE id = 4")
    before = source_rows(facts)
    moved(facts, lake)
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []


def test_a_month_that_the_source_keeps_comes_back_when_it_changes_there(facts: Bench, lake: Store) -> None:
    tier(facts, NO_HOT)
    before = source_rows(facts)
    assert moved(facts, lake, LATER)[:1] == [("cool", "2024-01")]
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert facts.ingest("facts").rows_written == 0
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    facts.source("UPDATE facts SET v = 'changed' WHERE id = 3")
    result = facts.ingest("facts")
    assert [load.chunk for load in result.loads] == ["2024-01"]
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(124,)]
    assert moved(facts, lake, LATER) == [("cool", "2024-01"), ("drop", "2024-01")]
    assert everywhere(facts, lake) == source_rows(facts)
    assert len(source_rows(facts)) == 360
    assert facts.ingest("facts").rows_written == 0


def test_an_infinite_time_keeps_its_month_warm(facts: Bench, lake: Store) -> None:
    tier(facts, NO_HOT)
    facts.source("ALTER TABLE facts ADD ended timestamptz; UPDATE facts SET ended = 'infinity' WHERE id = 7")
    tier(facts, NO_HOT)
    facts.ingest("facts")
    failed = [each for each in move(facts, lake, LATER) if each.failure]
    (one,) = failed
    assert told(one.step) == ("cool", "2024-01")
    assert "rows with an infinite time" in str(one.failure)
    assert "ended (1)" in str(one.failure)
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts WHERE at < '2024-02-01+00'") == [(124,)]


def test_persons_can_be_deleted_at_the_source_while_what_left_is_kept(facts: Bench, lake: Store) -> None:
    facts.source("CREATE TABLE riders (id bigint PRIMARY KEY); INSERT INTO riders SELECT generate_series(0, 9)")
    facts.source("ALTER TABLE facts ADD rider bigint DEFAULT 1 REFERENCES riders ON DELETE CASCADE")
    tier(facts, TIERS)
    facts.ingest("facts")
    (done,) = move(facts, lake, keep=dt.timedelta(days=7))
    assert done.failure is None
    facts.source("DELETE FROM riders WHERE id = 1")
    assert facts.source("SELECT count(*) FROM facts") == [(0,)]
    assert done.move is not None
    assert facts.source(f"SELECT count(*) FROM {done.move.relation}") == [(124,)]
    with pytest.raises(Exception, match="violates foreign key constraint"):
        facts.source("INSERT INTO facts VALUES (1, '2024-01-05+00', 'late', 77)")


def test_partitions_of_other_periods_stay_and_it_is_said(bench: Bench, lake: Store) -> None:
    bench.source("CREATE TABLE facts (id bigint, at timestamptz, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    bench.source("CREATE TABLE facts_q1 PARTITION OF facts FOR VALUES FROM ('2024-01-01+00') TO ('2024-04-01+00')")
    bench.source("INSERT INTO facts VALUES (1, '2024-01-05+00', 'x')")
    tier(bench, TIERS)
    bench.ingest("facts")
    assert plan(bench, lake, LATER)[0] == ("wait", "2024-01")
    assert move(bench, lake, LATER) == []


def test_a_partition_that_was_dropped_by_hand_meanwhile_is_no_obstacle(
    facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Leaving, "_detach", dies)
        with pytest.raises(KeyboardInterrupt):
            move(facts, lake)
    facts.source("DROP TABLE facts_y2024m01")
    assert plan(facts, lake)[0] == ("go on", "2024-01")
    (done,) = move(facts, lake)
    assert done.failure is None
    assert plan(facts, lake) == []
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts WHERE at < '2024-02-01+00'") == [(124,)]


def test_a_foreign_key_onto_the_table_keeps_its_months(facts: Bench, lake: Store) -> None:
    facts.source("CREATE TABLE notes (fact bigint, at timestamptz, FOREIGN KEY (fact, at) REFERENCES facts)")
    assert plan(facts, lake) == [("wait", "2024-01")]
    assert move(facts, lake) == []


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_nothing_is_dropped_when_the_lake_is_not_what_it_was(facts: Bench, lake: Store, damage: str) -> None:
    tier(facts, NO_HOT)
    (first, *_) = move(facts, lake, LATER)
    assert first.move is not None
    assert first.move.state == "flipped"
    ((path,),) = facts.warehouse(f"SELECT min(path) FROM platform.lake_file WHERE move = {first.move.id}")
    root = lake.under(facts.name, "facts")
    content = root.get(path)
    root.remove(path)
    if damage == "cut":
        root.put(path, content[:-1])
    refused = [each for each in move(facts, lake, LATER) if each.failure and each.step.month == month("2024-01")]
    assert [each.step.kind for each in refused] == ["drop"]
    assert facts.warehouse(f"SELECT count(*) FROM {first.move.relation}") == [(124,)]


def test_what_the_ledger_says_is_never_changed_later(facts: Bench, lake: Store) -> None:
    moved(facts, lake)
    events = facts.warehouse(
        "SELECT e.state FROM platform.tier_event AS e JOIN platform.tier_move AS m ON m.id = e.move"
        f" WHERE m.system = '{facts.name}' ORDER BY e.id"
    )
    assert events == [("planned",), ("detached",), ("flipped",), ("dropped",)]
    for statement in ("UPDATE platform.tier_event SET state = 'x'", "DELETE FROM platform.tier_event"):
        with pytest.raises(Exception, match="only ever added to"):
            facts.warehouse(statement)


def test_two_movers_do_not_meet(facts: Bench, lake: Store) -> None:
    with connect(facts.pair.target) as other:
        lock(other, tiered(other, facts.system, "facts", lake))
        with pytest.raises(DrivetrainError, match="an ingestion or another move of it is running"):
            move(facts, lake)
    assert read_moves(facts.store, facts.name) == []  # type: ignore[arg-type]
