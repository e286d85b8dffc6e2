"""Erased persons are let in by no writer, whatever their source shows; everybody else is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest
from ingesting import PARTITIONED, Bench
from tiering import LATER, NO_HOT, move, moved, places

from warehouse.errors import ErasedPerson
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.state.tombstones import add_tombstones, put_tombstones, read_tombstones
from warehouse.tiering.rehydrating import Request, rehydrate_table

PERSON = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
OF_RIDER_3 = {("riders", "id"): {"3"}, ("bikes", "id"): {"30", "31"}}


@pytest.fixture
def riders(bench: Bench) -> Bench:
    """Ten riders with three bikes each, and work on each of those."""
    bench.person = PERSON
    bench.source(
        "CREATE TABLE riders (id bigint PRIMARY KEY, email text, updated_at timestamptz NOT NULL);"
        "CREATE TABLE bikes (id bigint PRIMARY KEY, rider bigint, name text);"
        "CREATE TABLE work (id bigint PRIMARY KEY, bike bigint, updated_at timestamptz NOT NULL, what text);"
        "CREATE TABLE messages (id bigint PRIMARY KEY, sender bigint, recipient bigint, body text, sent date);"
        "CREATE TABLE payments (id bigint PRIMARY KEY, rider bigint, amount numeric(8,2));"
        "INSERT INTO riders SELECT i, i || '@example.org', '2024-01-01+00' FROM generate_series(1, 10) i;"
        "INSERT INTO bikes SELECT 10 * i + n, i, 'bike' FROM generate_series(1, 10) i, generate_series(0, 2) n;"
        "INSERT INTO work SELECT id, id, '2024-01-01+00', 'chain' FROM bikes;"
        "INSERT INTO messages SELECT i, i, i % 10 + 1, 'to ' || i % 10 + 1, '2024-01-01' FROM generate_series(1, 10) i;"
        "INSERT INTO payments SELECT i, i, i FROM generate_series(1, 10) i"
    )
    later = {"mode": "incremental", "cursor": "updated_at"}
    bench.declare("riders", key=["id"], ingest=later, subjects=["id"], erasure="delete")
    bench.declare("bikes", key=["id"], subjects=["rider"], erasure="delete")
    bench.declare("work", key=["id"], ingest=later, subjects=["bike -> bikes"], erasure="delete")
    bench.declare("messages", key=["id"], subjects=["sender", "recipient"], erasure="redact")
    columns = bench.tables["messages"]["columns"]
    columns["body"] |= {"personal": "free_text", "whose": "sender"}
    columns["sender"]["personal"] = columns["recipient"]["personal"] = "person_id"
    bench.declare("payments", key=["id"], subjects=["rider"], erasure={"action": "pseudonymise", "basis": "tax"})
    bench.tables["payments"]["columns"]["rider"]["personal"] = "person_id"
    return bench


def bury(bench: Bench, keys: Mapping[tuple[str, str], set[str]] = OF_RIDER_3) -> int:
    """Tombstones, of a request that is being carried out."""
    ((request,),) = bench.warehouse(
        "INSERT INTO platform.erasure_request (kind, law, received_at, due_at, latest_at, state, identifiers,"
        " identifier_digests) VALUES ('erasure', 'gdpr', now(), now(), now(), 'executing', '', '{}') RETURNING id"
    )
    with connect(bench.pair.target) as connection:
        assert add_tombstones(connection, request, bench.name, keys) == sum(map(len, keys.values()))
        assert add_tombstones(connection, request, bench.name, keys) == 0
    return request


def test_a_first_load_lets_everybody_else_in(riders: Bench) -> None:
    bury(riders)
    assert [riders.ingest(table).kept_out for table in ("riders", "bikes", "work")] == [1, 3, 2]
    assert riders.warehouse("SELECT count(*), count(*) FILTER (WHERE id = 3) FROM {raw}.riders") == [(9, 0)]
    assert riders.warehouse("SELECT count(*), count(*) FILTER (WHERE rider = 3) FROM {raw}.bikes") == [(27, 0)]
    # A bike that was not known when the person was erased has no tombstone: its work leads to a bike that is not there.
    assert riders.warehouse("SELECT bike FROM {raw}.work WHERE bike BETWEEN 30 AND 39") == [(32,)]


def test_loads_go_on_beside_a_source_that_shows_the_person_still(riders: Bench) -> None:
    for table in ("riders", "bikes", "work", "messages"):
        riders.ingest(table)
    bury(riders)
    riders.warehouse("DELETE FROM {raw}.work WHERE bike IN (30, 31)")  # as the erasure does
    riders.source("UPDATE riders SET email = 'new' || email, updated_at = '2024-02-01+00' WHERE id IN (3, 4)")
    riders.source("INSERT INTO work VALUES (900, 31, '2024-02-01+00', 'wheel'), (901, 41, '2024-02-01+00', 'wheel')")
    riders.source("UPDATE bikes SET name = 'other' WHERE id IN (31, 41)")
    for _ in range(2):
        found = {table: riders.ingest(table) for table in ("riders", "bikes", "work")}
        assert {table: result.kept_out for table, result in found.items()} == {"riders": 1, "bikes": 3, "work": 3}
        assert all(result.reconciliation.agrees for result in found.values())
        assert riders.warehouse("SELECT count(*), count(*) FILTER (WHERE id = 3) FROM {raw}.riders") == [(9, 0)]
        assert riders.warehouse("SELECT email FROM {raw}.riders WHERE id = 4") == [("new4@example.org",)]
        assert riders.warehouse("SELECT count(*) FROM {raw}.work WHERE bike IN (30, 31)") == [(0,)]
        assert riders.warehouse("SELECT count(*) FROM {raw}.work WHERE id IN (900, 901)") == [(1,)]
    riders.source("DELETE FROM work WHERE bike IN (30, 31, 32); DELETE FROM bikes WHERE rider = 3")
    riders.source("DELETE FROM riders WHERE id = 3")
    for table in ("riders", "bikes", "work"):
        assert riders.ingest(table).kept_out == 0
        assert riders.ingest(table).rows_written == 0
        riders.assert_equal(table)


def test_shared_rows_lose_the_part_of_the_one_who_is_gone(riders: Bench) -> None:
    riders.ingest("messages")
    bury(riders)
    riders.source("UPDATE messages SET sent = '2024-01-02' WHERE id = 7")
    result = riders.ingest("messages")
    assert (result.kept_out, result.reconciliation.agrees) == (2, True)
    both = riders.warehouse("SELECT id, sender, recipient, body FROM {raw}.messages WHERE id IN (2, 3) ORDER BY id")
    assert both == [
        (2, 2, None, "to 3"), (3, None, 4, None),
    ]  # fmt: skip
    assert riders.warehouse("SELECT count(*) FROM {raw}.messages WHERE body IS NULL OR sender IS NULL") == [(1,)]
    riders.source(
        "UPDATE messages SET recipient = NULL WHERE id = 2; UPDATE messages SET sender = NULL, body = NULL WHERE id = 3"
    )
    assert riders.ingest("messages").kept_out == 0
    riders.assert_equal("messages")


def test_what_a_law_keeps_is_refused_as_long_as_it_names_the_person(riders: Bench) -> None:
    riders.ingest("payments")
    bury(riders)
    riders.source("UPDATE payments SET amount = 7 WHERE id = 9")
    before = riders.state("payments")
    with pytest.raises(ErasedPerson, match="1 rows that a law keeps under a pseudonym name erased persons again"):
        riders.ingest("payments")
    assert riders.state("payments") == before
    riders.source("UPDATE payments SET rider = -4711 WHERE rider = 3")
    assert riders.ingest("payments").kept_out == 0
    riders.assert_equal("payments")


@pytest.mark.parametrize("zone", ["+00", ""])
def test_months_are_loaded_without_them(bench: Bench, zone: str) -> None:
    bench.person = PERSON
    bench.source(PARTITIONED.format(time="timestamptz" if zone else "timestamp", zone=zone))
    bench.source("ALTER TABLE facts ADD who bigint; UPDATE facts SET who = id % 10")
    bench.source("CREATE TABLE riders (id bigint PRIMARY KEY, email text)")
    bench.declare("riders", key=["id"], subjects=["id"], erasure="delete")
    bench.monthly("facts", subjects=["who"], erasure="delete")
    bench.ingest("facts")
    bury(bench)
    assert bench.ingest("facts").kept_out == 0  # what is there is the erasure's to take: nothing has to be loaded
    bench.source("UPDATE facts SET v = 'x' WHERE id IN (1, 2)")
    assert bench.ingest("facts").kept_out == 13
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts WHERE who = 3 AND at < '2024-02-01'") == [(0,)]
    bench.source("UPDATE facts SET who = 3 WHERE at >= '2024-03-01'")  # a month of nobody else's rows
    result = bench.ingest("facts")
    assert result.reconciliation.agrees
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts WHERE at >= '2024-03-01'") == [(0,)]
    bench.source("DELETE FROM facts WHERE who = 3")
    assert bench.ingest("facts").kept_out == 0
    bench.assert_equal("facts")


def test_no_month_moves_with_rows_of_an_erased_person(bench: Bench, tmp_path: Path) -> None:
    lake = Store(tmp_path.as_uri())
    bench.person = PERSON
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    bench.source("ALTER TABLE facts ADD who bigint; UPDATE facts SET who = id % 10")
    bench.source("CREATE TABLE riders (id bigint PRIMARY KEY, email text)")
    bench.declare("riders", key=["id"], subjects=["id"], erasure="delete")
    pattern = {"range": "at", "name": "{table}_y{year}m{month}"}
    bench.monthly("facts", subjects=["who"], erasure="delete", partition=pattern, tiers=NO_HOT)
    bench.ingest("facts")
    january = dt.datetime(2024, 5, 15, tzinfo=dt.UTC)
    moved(bench, lake, january)
    bury(bench)
    failures = [done.failure for done in move(bench, lake, LATER)]
    assert [type(failure) for failure in failures] == [ErasedPerson, ErasedPerson]
    request = Request([dt.date(2024, 1, 1)], LATER, "asked for", 10**9)
    with pytest.raises(ErasedPerson, match="rows of persons who are erased are among those to be moved"):
        rehydrate_table(places(bench, lake), bench.system, "facts", request)
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts WHERE at < '2024-02-01'") == [(0,)]


def test_tombstones_are_outside_of_the_cluster_too(riders: Bench, tmp_path: Path) -> None:
    request, lake = bury(riders), Store(tmp_path.as_uri())
    with connect(riders.pair.target) as connection:
        put_tombstones(connection, lake, request)
        digests = {each.digest for each in read_tombstones(connection, request)}
    copy = lake.get(f"_drivetrain/tombstones/{request:012d}.jsonl").decode()
    assert len(digests) == 3
    assert all(digest in copy for digest in digests)
    assert len(copy.splitlines()) == 4
