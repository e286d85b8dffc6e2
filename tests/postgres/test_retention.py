"""Rows go from every tier when they reach their retention: not before, not but for a hold, and they stay gone."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from aging import AT, CUT, LATER, declare, young
from ingesting import Bench
from tiering import NO_HOT, TIERS, everywhere, move, moved, places, proven, source_rows

from warehouse.errors import ConfigurationError, DrivetrainError
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.retention import expiring
from warehouse.retention.apply import Done, expire_table, look
from warehouse.state.expiries import read_expiries


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(tmp_path.as_uri())
    return request.getfixturevalue("bucket")


def due(bench: Bench, lake: Store, at: dt.datetime = AT, name: str = "facts") -> list[tuple[str, str, str]]:
    """What is to go, in short."""
    return [
        (step.kind, step.tier, f"{step.month:%Y-%m}" if step.month else "")
        for step in look(places(bench, lake), bench.system, name, at)
    ]


def expire(bench: Bench, lake: Store, at: dt.datetime = AT, name: str = "facts") -> list[Done]:
    done = expire_table(places(bench, lake), bench.system, name, at)
    for each in done:
        if each.failure:
            raise each.failure
    return done


def hold(bench: Bench, table: str | None = None, subject: str | None = None) -> None:
    with psycopg.connect(bench.pair.warehouse_admin, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO platform.legal_hold (system, table_name, subject, reason) VALUES (%s, %s, %s, 'court')",
            (bench.name, table, subject),
        )


def release(bench: Bench) -> None:
    bench.warehouse(
        "UPDATE platform.legal_hold SET released_at = now(), released_by = 'x' WHERE system = '" + bench.name + "'"
    )


def test_months_of_the_lake_go_first_then_rows(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    before = source_rows(facts)
    moved(facts, lake, LATER)
    assert due(facts, lake) == [
        ("drop", "hot", "2024-01"),
        ("remove", "cold", "2024-01"),
        ("rewrite", "cold", "2024-02"),
    ]
    assert [each.rows for each in expire(facts, lake)] == [0, 124, 36]
    assert everywhere(facts, lake) == young(before)
    assert proven(facts, lake) == []
    root = lake.under(facts.name, "facts")
    assert not root.list("month=2024-01/")
    assert not root.versions("month=2024-01/")
    assert facts.source("SELECT to_regclass('facts_y2024m01')::text") == [(None,)]
    assert due(facts, lake) == []
    assert expire(facts, lake) == []
    assert facts.ingest("facts").rows_written == 0
    assert moved(facts, lake, AT) == []
    with connect(facts.pair.target) as connection:
        kept = read_expiries(connection, facts.name, "facts")
    assert [(each.tier, each.rows, each.done) for each in kept] == [
        ("hot", 0, True),
        ("cold", 124, True),
        ("cold", 36, True),
    ]
    with pytest.raises(Exception, match="only ever added to"):
        facts.warehouse(f"UPDATE platform.expiry SET rows = 0 WHERE id = {kept[1].id}")


def test_a_night_later_one_more_day_goes(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    before = source_rows(facts)
    moved(facts, lake, LATER)
    expire(facts, lake)
    assert due(facts, lake, AT + dt.timedelta(hours=8)) == [], "once a day is enough"
    (one,) = expire(facts, lake, AT + dt.timedelta(days=1))
    assert one.rows == 4
    (last, *_) = [
        each for each in expire(facts, lake, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) if each.step.tier == "cold"
    ]
    assert last.step.kind == "remove"
    assert everywhere(facts, lake) == Counter()
    assert sum(before.values()) == 360
    assert proven(facts, lake) == []
    assert not lake.under(facts.name, "facts").versions("month")


def test_rows_that_never_moved_go_from_source_and_warehouse(facts: Bench, lake: Store) -> None:
    declare(facts, None)
    facts.ingest("facts")
    before = source_rows(facts)
    with connect(facts.pair.target) as platform:
        platform.execute(f"SELECT platform.open_changes('{facts.raw}.m', '{facts.raw}.facts', false)".encode())
    assert due(facts, lake) == [
        ("drop", "hot", "2024-01"), ("delete", "hot", "2024-02"),
        ("delete", "warm", "2024-01"), ("delete", "warm", "2024-02"),
    ]  # fmt: skip
    assert [each.rows for each in expire(facts, lake)] == [124, 36, 124, 36]
    assert source_rows(facts) == everywhere(facts, lake) == young(before)
    assert facts.ingest("facts").rows_written == 0, "both sides agree"
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts__changes") == [(0,)], "models keep what they made"
    assert facts.warehouse(f"SELECT * FROM platform.cold_months(ARRAY['{facts.raw}.facts']) ORDER BY 1") == [
        (dt.date(2024, 1, 1),), (dt.date(2024, 2, 1),),
    ]  # fmt: skip
    assert facts.warehouse(f"SELECT platform.expired_before('{facts.raw}.facts') AT TIME ZONE 'UTC'") == [
        (dt.datetime(2024, 2, 10),)
    ]
    assert proven(facts, lake) == []


def test_where_the_source_keeps_its_rows_they_go_there_too(facts: Bench, lake: Store) -> None:
    declare(facts, NO_HOT)
    facts.ingest("facts")
    before = source_rows(facts)
    moved(facts, lake, LATER)
    expire(facts, lake)
    assert source_rows(facts) == everywhere(facts, lake) == young(before)
    assert facts.ingest("facts").rows_written == 0, "what is left of February does not come back for it"
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert proven(facts, lake) == []
    assert due(facts, lake) == []


def test_late_rows_of_an_expired_age_do_not_stay(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    expire(facts, lake)
    facts.source("INSERT INTO facts VALUES (9001, '2024-02-03+00', 'late'), (9002, '2024-02-20+00', 'late')")
    facts.ingest("facts")
    assert due(facts, lake) == [("delete", "hot", "2024-02")]
    expire(facts, lake)
    assert {row[0] for row in source_rows(facts)} == {"9002"}
    moved(facts, lake, AT)
    assert ("9002", "2024-02-20 00:00:00.000000", "late") in everywhere(facts, lake)
    assert proven(facts, lake) == []
    assert due(facts, lake) == []


def test_rows_that_expired_before_their_month_left_are_no_part_of_what_came(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    facts.source("INSERT INTO facts VALUES (9001, '2024-02-01+00', 'never ingested')")
    before = source_rows(facts)
    expire(facts, lake)
    moved(facts, lake, AT)
    assert proven(facts, lake) == []
    assert everywhere(facts, lake) == young(before)


def test_a_table_that_is_not_kept_by_month(items: Bench, lake: Store) -> None:
    ingest = {"mode": "incremental", "cursor": "updated_at"}
    items.declare("items", key=("id",), time="updated_at", retention="1 day", ingest=ingest)
    items.ingest("items")
    with connect(items.pair.target) as platform:
        platform.execute(f"SELECT platform.open_changes('{items.raw}.m', '{items.raw}.items', false)".encode())
    at = dt.datetime(2024, 1, 2, 10, 30, tzinfo=dt.UTC)
    assert due(items, lake, at, "items") == [("delete", "hot", ""), ("delete", "warm", "")]
    assert [each.rows for each in expire(items, lake, at, "items")] == [599, 599], "to the hour"
    assert items.source("SELECT count(*), min(id) FROM items") == [(2401, 600)]
    assert items.warehouse("SELECT count(*), min(id) FROM {raw}.items") == [(2401, 600)]
    assert items.warehouse("SELECT sign, count(*) FROM {raw}.items__changes GROUP BY 1") == [(-1, 599)]
    assert items.ingest("items").rows_written == 0


@pytest.fixture
def persons(facts: Bench) -> Bench:
    """``facts`` are about ten persons."""
    facts.source("ALTER TABLE facts ADD who bigint; UPDATE facts SET who = id % 10")
    facts.source("CREATE TABLE riders (id bigint PRIMARY KEY, email text)")
    facts.declare("riders", key=("id",), subjects=["id"], erasure="delete")
    facts.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
    return facts


@pytest.mark.parametrize("tiers", [TIERS, NO_HOT, None], ids=["moved", "kept", "untiered"])
def test_a_person_who_is_held_stays(persons: Bench, lake: Store, tiers: dict[str, Any] | None) -> None:
    declare(persons, tiers, subjects=["who"], erasure="delete")
    persons.ingest("facts")
    before = source_rows(persons)
    if tiers:
        moved(persons, lake, LATER)
    hold(persons, subject="3")
    expire(persons, lake)
    stay = Counter({row: n for row, n in before.items() if row[1] >= CUT or int(row[0]) % 10 == 3})
    assert everywhere(persons, lake) == stay
    if tiers != TIERS:
        assert source_rows(persons) == stay
    assert proven(persons, lake) == []
    assert due(persons, lake) == [], "held rows are not looked at again before a hold changes"
    assert persons.ingest("facts").rows_written == 0
    release(persons)
    expire(persons, lake)
    assert everywhere(persons, lake) == young(before)
    assert proven(persons, lake) == []
    assert due(persons, lake) == []


def test_a_table_that_is_held_stays_whole(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    hold(facts, "facts")
    steps = look(places(facts, lake), facts.system, "facts", AT)
    assert {step.kind for step in steps} == {"wait"}
    assert "legal hold: court" in steps[0].reason
    assert expire(facts, lake) == []
    assert sum(everywhere(facts, lake).values()) == 360


def test_a_hold_that_is_placed_meanwhile_keeps_what_is_left(
    facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(facts, None)
    facts.ingest("facts")
    original = expiring.Expiring._begin

    def begin(self: expiring.Expiring, *arguments: Any) -> int:
        hold(facts, "facts")
        return original(self, *arguments)

    monkeypatch.setattr(expiring.Expiring, "_begin", begin)
    done = expire_table(places(facts, lake), facts.system, "facts", AT)
    assert all("legal hold" in str(each.failure) for each in done)
    assert sum(source_rows(facts).values()) == 360
    assert sum(everywhere(facts, lake).values()) == 360


def test_partitions_by_another_column_are_not_dropped_by_their_bounds(bench: Bench, lake: Store) -> None:
    """What is filed under January may be of March: rows go by their own time."""
    bench.source("CREATE TABLE facts (id bigint, at timestamptz NOT NULL, filed timestamptz, v text,"
                 " PRIMARY KEY (id, at, filed)) PARTITION BY RANGE (filed)")  # fmt: skip
    bench.source(
        "CREATE TABLE facts_y2024m01 PARTITION OF facts FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00')"
    )
    bench.source("INSERT INTO facts SELECT i, '2024-01-20+00'::timestamptz + i * interval '1 day', '2024-01-05+00', 'v'"
                 " FROM generate_series(1, 40) i")  # fmt: skip
    bench.monthly("facts", key=("id", "at", "filed"), retention="1 year")
    bench.ingest("facts")
    assert {kind for kind, *_ in due(bench, lake)} == {"delete"}
    expire(bench, lake)
    assert bench.source("SELECT count(*), min(at) >= '2024-02-10+00' FROM facts") == [(20, True)]


def test_rows_that_others_reference_stay_and_it_is_said(facts: Bench, lake: Store) -> None:
    facts.source("CREATE TABLE notes (id bigint, fact bigint, at timestamptz, FOREIGN KEY (fact, at) REFERENCES facts)")
    facts.source("INSERT INTO notes SELECT 1, id, at FROM facts WHERE id = 7")
    declare(facts, None)
    facts.ingest("facts")
    done = expire_table(places(facts, lake), facts.system, "facts", AT)
    assert "are referenced" in str(done[0].failure)
    assert (7,) in facts.source("SELECT id FROM facts")
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts WHERE id = 7") == [(1,)], "what the source has stays"


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_rows_that_a_deletion_would_take_along_are_safe(facts: Bench, lake: Store, action: str) -> None:
    """Another table's rows have a retention, and holds, of their own."""
    key = f"FOREIGN KEY (fact, at) REFERENCES facts ON DELETE {action}"
    facts.source(f"CREATE TABLE notes (id bigint, fact bigint, at timestamptz, {key})")
    facts.source("INSERT INTO notes SELECT 1, id, at FROM facts WHERE id = 7")
    declare(facts, None)
    facts.ingest("facts")
    steps = look(places(facts, lake), facts.system, "facts", AT)
    assert {step.kind for step in steps} == {"wait"}
    assert "notes_fact_at_fkey" in steps[0].reason
    assert expire(facts, lake) == []
    assert facts.source("SELECT count(*) FROM notes WHERE fact = 7") == [(1,)]


def test_months_on_their_way_wait(facts: Bench, lake: Store) -> None:
    declare(facts, NO_HOT)
    facts.ingest("facts")
    move(facts, lake, LATER, keep=dt.timedelta(days=999))
    assert {step.kind for step in look(places(facts, lake), facts.system, "facts", AT)} == {"wait"}


def test_what_was_cut_off_is_ended(facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the ledger has the month's new files, and before the lake's table has them."""
    declare(facts, TIERS)
    facts.ingest("facts")
    before = source_rows(facts)
    moved(facts, lake, LATER)
    with monkeypatch.context() as patched:
        patched.setattr(expiring.Expiring, "_settle", lambda *_: _cut_off())
        done = expire_table(places(facts, lake), facts.system, "facts", AT)
        assert [str(each.failure) for each in done if each.failure] == ["cut off", "cut off"]
    assert {kind for kind, _ in proven(facts, lake, deep=False)} <= {"unfinished", "lost"}
    assert [step for step in due(facts, lake) if step[0] == "end"] == [
        ("end", "cold", "2024-01"),
        ("end", "cold", "2024-02"),
    ]
    expire(facts, lake)
    assert everywhere(facts, lake) == young(before)
    assert proven(facts, lake) == []
    assert due(facts, lake) == []


def _cut_off() -> None:
    raise DrivetrainError("cut off")


def test_a_clock_that_is_ahead_deletes_nothing(facts: Bench, lake: Store) -> None:
    declare(facts, None)
    facts.ingest("facts")
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(days=4000)
    assert due(facts, lake, ahead), "one may look"
    with pytest.raises(ConfigurationError, match="nothing was deleted"):
        expire(facts, lake, ahead)
    assert sum(source_rows(facts).values()) == sum(everywhere(facts, lake).values()) == 360


def test_a_draft_is_refused(facts: Bench, lake: Store) -> None:
    declare(facts, None, reviewed=False)
    facts.ingest("facts")
    with pytest.raises(DrivetrainError, match="is a draft"):
        look(places(facts, lake), facts.system, "facts", AT)


def test_versions_of_removed_files_go_too(facts: Bench, bucket: Store) -> None:
    """A bucket that keeps versions keeps none of rows that expired, nor of files that a move took out."""
    options = bucket.options
    client = boto3.client(
        "s3", endpoint_url=options["AWS_ENDPOINT_URL"], region_name=options["AWS_REGION"],
        aws_access_key_id=options["AWS_ACCESS_KEY_ID"], aws_secret_access_key=options["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    name = bucket.root.partition("/")[0]
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, bucket, LATER)
    root = bucket.under(facts.name, "facts")
    there = {each.path for each in root.versions("month")}
    expire(facts, bucket)
    after = root.versions("month")
    assert not any(each.marker for each in after)
    assert all(each.latest for each in after)
    assert {each.path for each in after} == {e.path for e in root.list() if "_delta_log" not in e.path} != there
    assert proven(facts, bucket) == []
    path = after[0].path
    content = root.get(path)
    client.delete_object(Bucket=name, Key=f"{root.root.partition('/')[2]}/{path}")
    root.put("month=2024-01/bucket=0/erased.parquet", content)
    client.delete_object(Bucket=name, Key=f"{root.root.partition('/')[2]}/month=2024-01/bucket=0/erased.parquet")
    assert ("resurrected", "") in proven(facts, bucket, deep=False)


def test_the_end_of_february(facts: Bench, lake: Store) -> None:
    """Nothing goes before its time; in a year without the day, it goes a day later at most."""
    declare(facts, None)
    policy = facts.system.tables["facts"]
    assert policy.expired_before(dt.datetime(2025, 2, 28, 23, tzinfo=dt.UTC)) == dt.datetime(2024, 2, 28, tzinfo=dt.UTC)
    assert policy.expired_before(dt.datetime(2025, 3, 1, 1, tzinfo=dt.UTC)) == dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
