"""Restriction of processing: rows are kept and ingested, and no reader is shown them; so while an erasure is under way.

What belongs here: requests, and queries over all tiers. What does not: analysts' views (``test_masked_views``).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Generator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from ingesting import PARTITIONED, bench_on
from officers import Desk, Officers, officers
from psycopg import sql
from tiering import TIERS, moved

from demo.servers import Servers
from resources import erasure, restriction
from resources.reading import query_tiers
from resources.settings import Settings
from warehouse.erasure.steps import Steps
from warehouse.errors import AccessDenied, Busy, ConfigurationError, LegalHold, RequestRefused
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.state.requests import read_request
from warehouse.state.restrictions import end_restriction, follow_restricted, restrict

NOTHING: Any = lambda _: {}  # noqa: E731
TABLES = ("riders", "bikes", "work", "notes", "messages", "facts")
#: What rows of rider 3 are, of how many.
ALL = {"riders": 12, "bikes": 24, "work": 24, "notes": 24, "messages": 13, "facts": 360}
OTHERS = {"riders": 11, "bikes": 22, "work": 22, "notes": 22, "messages": 11, "facts": 330}


@pytest.fixture(scope="module")
def all_officers(servers: Servers) -> Generator[Officers]:
    with officers(servers) as found:
        yield found


@pytest.fixture
def desk(all_officers: Officers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    """Twelve riders with bikes, work on these with notes, messages, and positions: January's in the lake alone."""
    with bench_on(all_officers.pair) as bench:
        bench.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
        bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
        bench.source(
            "ALTER TABLE facts ADD who integer; UPDATE facts SET who = 1 + id % 12;"
            "CREATE TABLE riders (id bigint PRIMARY KEY, email text);"
            "CREATE TABLE bikes (id bigint PRIMARY KEY, rider bigint);"
            "CREATE TABLE work (id bigint PRIMARY KEY, bike bigint);"
            "CREATE TABLE notes (id bigint PRIMARY KEY, work bigint);"
            "CREATE TABLE messages (id bigint PRIMARY KEY, sender bigint, recipient bigint);"
            "INSERT INTO riders SELECT i, 'rider' || i || '@example.org' FROM generate_series(1, 12) i;"
            "INSERT INTO bikes SELECT 10 * i + n, i FROM generate_series(1, 12) i, generate_series(0, 1) n;"
            "INSERT INTO work SELECT id * 10, id FROM bikes; INSERT INTO notes SELECT id * 10, id FROM work;"
            "INSERT INTO messages SELECT i, i, i % 12 + 1 FROM generate_series(1, 12) i;"
            "INSERT INTO messages VALUES (13)"
        )
        bench.declare("riders", key=["id"], subjects=["id"], erasure="delete")
        bench.declare("bikes", key=["id"], subjects=["rider"], erasure="delete")
        bench.declare("work", key=["id"], subjects=["bike -> bikes"], erasure="delete")
        bench.declare("notes", key=["id"], subjects=["work -> work"], erasure="delete")
        bench.declare("messages", key=["id"], subjects=["sender", "recipient"], erasure="delete")
        pattern = {"range": "at", "name": "{table}_y{year}m{month}"}
        bench.monthly("facts", subjects=["who"], erasure="delete", partition=pattern, tiers=TIERS)
        for table in TABLES:
            bench.ingest(table)
        moved(bench, Store((tmp_path / "lake").as_uri()), dt.datetime(2024, 5, 5, tzinfo=dt.UTC))
        yield Desk(all_officers, bench, tmp_path, monkeypatch)


def ask(desk: Desk, query: str) -> list[tuple[Any, ...]]:
    """As ``drivetrain sql``."""
    return [tuple(row.values()) for row in query_tiers(Settings.load(), query).rows.to_pylist()]


def shown(desk: Desk) -> dict[str, int]:
    """How many rows of each table a reader is shown."""
    return {table: ask(desk, f"SELECT count(*) FROM {desk.bench.name}.{table}")[0][0] for table in TABLES}


def confirmed(desk: Desk, kind: str = "restriction", who: str = "requester") -> int:
    """A request about rider 3."""
    arguments = ("--law", "gdpr", "--kind", kind, "--email", "Rider3@Example.org", "--json")
    number = desk(who, "erasure", "request", *arguments)["request"]["id"]
    desk(who, "erasure", "confirm", str(number), "--all")
    return number


def restricted(desk: Desk, who: str = "requester") -> int:
    number = confirmed(desk, who=who)
    desk(who, "restriction", "start", str(number))
    return number


def hidden(desk: Desk) -> Mapping[int, Any]:
    return {each["request"]: each for each in desk("auditor", "restriction", "list", "--json")["requests"]}


def state(desk: Desk, number: int) -> str:
    with connect(desk.found.platform) as operator:
        return read_request(operator, number).state


def test_who_is_restricted_is_shown_to_nobody_and_kept(desk: Desk) -> None:
    before = {table: desk.bench.rows(table, of="warehouse") for table in TABLES}
    assert shown(desk) == ALL
    number = confirmed(desk)
    assert shown(desk) == ALL
    found = desk("requester", "restriction", "start", str(number), "--json")["systems"]
    assert [(each["system"], each["keys"]) for each in found] == [(desk.bench.name, 5)]  # herself, 2 bikes, 2 works
    assert shown(desk) == OTHERS
    assert {table: desk.bench.rows(table, of="warehouse") for table in TABLES} == before
    assert hidden(desk)[number]["state"] == "restricting"
    desk("approver", "restriction", "end", str(number), "--why", "the person agrees")
    assert shown(desk) == ALL
    assert number not in hidden(desk)
    log = [(each["kind"], each["detail"].get("reason")) for each in audit(desk, number)]
    assert log[-2:] == [("request restricting", None), ("request completed", "the person agrees")]
    assert "rider3" not in str(audit(desk, number)) and desk("auditor", "audit", "verify", "--json")["holds"]


def audit(desk: Desk, number: int) -> list[Any]:
    return desk("auditor", "audit", "show", "--request", str(number), "--json")["entries"]


def test_whatever_a_query_asks_nothing_is_computed_of_hidden_rows(desk: Desk) -> None:
    """Of columns that do not say whose a row is, in the lake, in the warehouse and in joins."""
    restricted(desk)
    facts, work, bikes = (f"{desk.bench.name}.{table}" for table in ("facts", "work", "bikes"))
    others = {f"v{i}" for i in range(360) if 1 + i % 12 != 3}
    assert {v for (v,) in ask(desk, f"SELECT v FROM {facts}")} == others
    january = {v for (v,) in ask(desk, f"SELECT v FROM {facts} WHERE at < '2024-02-01'")}
    assert january == {f"v{i}" for i in range(124)} & others
    assert ask(desk, f"SELECT count(*) FROM {facts} WHERE who = 3 OR id = 2") == [(0,)]
    assert ask(desk, f"SELECT count(*) FROM {work} AS w JOIN {bikes} AS b ON b.id = w.bike") == [(22,)]
    assert ask(desk, f"SELECT count(*) FROM {bikes} WHERE id NOT IN (SELECT bike FROM {work})") == [(0,)]
    # A row that would fail the query is not looked at.
    assert len(ask(desk, f"SELECT 1 / (id - 2) FROM {facts} WHERE at < '2024-01-20' AND id < 5")) == 4


@pytest.mark.parametrize("order", [("bikes", "work", "notes"), ("notes", "work", "bikes")])
def test_what_comes_in_meanwhile_is_kept_and_hidden_too(desk: Desk, order: tuple[str, ...]) -> None:
    """Also what leads to the person over rows that are new, in whatever order tables are loaded."""
    number = restricted(desk)
    desk.bench.source(
        "INSERT INTO bikes VALUES (39, 3), (49, 4); INSERT INTO work VALUES (390, 39), (490, 49);"
        "INSERT INTO notes VALUES (3900, 390), (4900, 490); INSERT INTO messages VALUES (99, 4, 3)"
    )
    for table in (*order, "messages"):
        desk.bench.ingest(table)
        desk.bench.assert_equal(table)
    assert shown(desk) == {**OTHERS, "bikes": 23, "work": 23, "notes": 23}
    assert hidden(desk)[number]["systems"][0]["keys"] == 7
    desk("approver", "restriction", "end", str(number), "--why", "settled")
    assert shown(desk) == {**ALL, "bikes": 26, "work": 26, "notes": 26, "messages": 14}


def test_what_comes_in_while_it_ends_does_not_stay_hidden(desk: Desk) -> None:
    """A load that begins before the end is committed waits for it, and hides nothing then."""
    number = restricted(desk)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event_type = 'Lock'"
    with connect(desk.found.platform) as writer, connect(desk.found.logins["approver"]) as approver:
        writer.execute("CREATE TEMPORARY TABLE received AS SELECT 39 AS id, 3 AS rider")
        received = (writer, sql.Identifier("received"), desk.bench.system, "bikes")
        loading = Thread(target=follow_restricted, args=received)
        with approver.transaction():
            end_restriction(approver, number, "settled")
            loading.start()
            for _ in range(100):
                loading.join(0.02)
                if not loading.is_alive() or desk.bench.warehouse(waits.format(writer.info.backend_pid)) == [(1,)]:
                    break
        loading.join(10)
    assert state(desk, number) == "completed"
    assert number not in hidden(desk)


def test_only_an_approver_who_did_not_file_it_ends_it(desk: Desk) -> None:
    number = restricted(desk, who="both")
    for who, error, said in (
        ("requester", AccessDenied, "permission denied"),
        ("both", AccessDenied, "somebody else has to end"),
    ):
        with pytest.raises(error, match=said):
            desk(who, "restriction", "end", str(number), "--why", "settled")
    with pytest.raises(ConfigurationError, match="for a reason"):
        desk("approver", "restriction", "end", str(number), "--why", " ")
    for who in ("requester", "approver"):
        with pytest.raises(RequestRefused, match="cannot become revoked"):
            desk(who, "erasure", "revoke", str(number), "--why", "no longer")
    assert shown(desk) == OTHERS
    desk("approver", "restriction", "end", str(number), "--why", "settled")
    with pytest.raises(RequestRefused, match="is completed, and cannot become completed"):
        desk("approver", "restriction", "end", str(number), "--why", "settled")


def test_a_restriction_erases_nobody_and_an_erasure_is_no_restriction(desk: Desk) -> None:
    restriction_, erasure_ = confirmed(desk), confirmed(desk, "erasure")
    with pytest.raises(RequestRefused, match="is for restriction: it is not planned"):
        desk("operator", "erasure", "plan", str(restriction_))
    with connect(desk.found.platform) as operator, pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        operator.execute("SELECT platform.move_request(%s, 'planned')", (restriction_,))
    with pytest.raises(RequestRefused, match="nothing to restrict"):
        desk("operator", "restriction", "start", str(erasure_))
    with pytest.raises(RequestRefused, match=r"no request \d+ for restriction"):
        desk("approver", "restriction", "end", str(erasure_), "--why", "settled")
    assert (state(desk, restriction_), state(desk, erasure_)) == ("scoping", "scoping")
    assert shown(desk) == ALL


def approved(desk: Desk) -> int:
    number = confirmed(desk, "erasure")
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    return number


def cut_off(desk: Desk, number: int, error: Exception) -> None:
    """The run of an erasure ends when tombstones are there, and nothing is deleted yet."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Steps, "erase", fail)
        with pytest.raises(type(error)):
            erasure.run(Settings.load(), number, rebuild=NOTHING)


def test_who_is_being_erased_is_hidden_until_that_is_done(desk: Desk) -> None:
    number = approved(desk)
    assert shown(desk) == ALL
    cut_off(desk, number, Busy("elsewhere"))
    assert desk.bench.warehouse("SELECT count(*) FROM {raw}.riders") == [(12,)]
    assert (shown(desk), hidden(desk)[number]["state"]) == (OTHERS, "retry_wait")
    seen: list[int] = []

    def rebuild(_: Any) -> dict[str, int]:
        seen.extend(hidden(desk))
        return {}

    erasure.run(Settings.load(), number, rebuild=rebuild)
    assert number in seen, "models may have her still"
    assert (shown(desk), state(desk, number)) == (OTHERS, "completed")
    assert number not in hidden(desk)
    with psycopg.connect(desk.found.pair.warehouse_admin, autocommit=True) as admin:
        left = admin.execute("SELECT count(*) FROM platform.restriction WHERE system = %s", (desk.bench.name,))
        assert left.fetchone() == (0,)
        admin.execute(
            "INSERT INTO platform.restriction SELECT 's', 't', 'c', i, %s FROM generate_series(1, 9) i", (number,)
        )
        admin.execute("ANALYZE platform.restriction")
        kept = admin.execute("SELECT attname FROM pg_stats WHERE tablename = 'restriction'").fetchall()
        admin.execute("DELETE FROM platform.restriction")
    assert ("value",) not in kept and ("request",) in kept, "a key does not get into statistics"


def test_an_erasure_that_is_given_up_hides_nobody(desk: Desk) -> None:
    number = approved(desk)
    cut_off(desk, number, LegalHold("a hold is new"))
    assert (shown(desk), state(desk, number)) == (OTHERS, "blocked_hold")
    desk("requester", "erasure", "revoke", str(number), "--why", "the person wrote again")
    assert shown(desk) == ALL
    assert number not in hidden(desk)
    with connect(desk.found.platform) as operator, pytest.raises(RequestRefused, match="has ended"):
        restrict(operator, number, desk.bench.name, {("riders", "id"): {"3"}})


def test_nobody_is_said_to_be_hidden_as_long_as_a_view_shows_them(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view of before: until models are built again it leaves nobody out."""
    meta = {
        "config": {"meta": {"system": desk.bench.name}},
        "fqn": ["drivetrain", "marts", "m"],
        "resource_type": "model",
    }
    node = {
        **meta,
        "schema": "marts",
        "alias": "old",
        "columns": {"who": {"config": {"meta": {"personal": "person_id"}}}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"nodes": {"old": node}}))
    monkeypatch.setattr(restriction, "ensure_manifest", lambda _: tmp_path / "manifest.json")
    number = confirmed(desk)
    desk.bench.warehouse("CREATE VIEW masked.old AS SELECT 3 AS who")
    desk.bench.warehouse("INSERT INTO platform.model_view VALUES ('masked.old', '', '')")
    try:
        with pytest.raises(ConfigurationError, match=r"masked\.old does not hide"):
            desk("requester", "restriction", "start", str(number))
        assert (shown(desk), state(desk, number)) == (ALL, "scoping")
        desk.bench.warehouse("CREATE OR REPLACE VIEW masked.old AS SELECT 3 AS who"
                             " WHERE NOT EXISTS (SELECT FROM platform.restriction)")  # fmt: skip
        desk("requester", "restriction", "start", str(number))
        assert shown(desk) == OTHERS
    finally:
        desk.bench.warehouse("DROP VIEW masked.old; DELETE FROM platform.model_view WHERE name = 'masked.old'")
