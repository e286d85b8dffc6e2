"""A warehouse that was restored to before an erasure: closed until tombstones are replayed, and then as it should be.

The restore is one: a copy of the database of before the erasure takes its place.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import test_erasure
from ingesting import PLATFORM, execute
from officers import Desk
from test_erasure import CutOff, cut_off, filed, run, to_the_lake
from tiering import AT, move, moved, proven

from demo.servers.roles import ANALYST_SQL, OFFICERS_SQL
from resources import replaying as resource
from resources.keys import ensure_keys, load_keys
from resources.opening import forget_embedded, open_warehouse
from resources.retention import apply_retention
from resources.settings import Settings
from resources.tiering import apply_tiers
from warehouse.erasure import replaying
from warehouse.erasure.replaying import Outcome
from warehouse.erasure.sealed import unpack
from warehouse.errors import LakeUnavailable, LegalHold, Restored
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.state.tiered import tiered
from warehouse.state.tombstones import add_tombstones, read_replay, refuse_restored

all_officers, desk = test_erasure.all_officers, test_erasure.desk
TABLES = ("riders", "bikes", "work", "messages", "payments", "facts")
OF_3 = {
    "riders": "id = 3", "bikes": "rider = 3", "work": "bike IN (30, 31, 39)", "messages": "3 IN (sender, recipient)",
    "payments": "rider = 3", "facts": "who = 3",
}  # fmt: skip
#: Rows of rider 3 in a warehouse of before the erasure, January apart: it is in the lake.
OF_RIDER_3 = {"riders": 1, "bikes": 3, "work": 3, "messages": 2, "payments": 1, "facts": 19}


def sold(desk: Desk) -> None:
    """Rider 3 has a bike that is gone before the erasure, and so has no tombstone; is rider 99 by now, too."""
    desk.bench.source(
        "INSERT INTO bikes VALUES (39, 3, 'sold'); INSERT INTO work VALUES (39, 39, 'bell');"
        "INSERT INTO riders VALUES (99, 'again@example.org')"
    )
    for table in ("riders", "bikes", "work"):
        desk.bench.ingest(table)


def backup(desk: Desk) -> Callable[[], None]:
    """A copy of the warehouse; what is returned puts it in the place of what there is then."""
    pair = desk.found.pair
    postgres = pair.servers.server("warehouse").dsn("postgres")
    ends = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{pair.warehouse}'"
    execute(postgres, ends)
    execute(postgres, f"CREATE DATABASE {pair.warehouse}_backup TEMPLATE {pair.warehouse} OWNER {PLATFORM}")
    desk.bench.reconnect()

    def restore() -> None:
        execute(postgres, f"DROP DATABASE {pair.warehouse} WITH (FORCE)")
        execute(postgres, f"ALTER DATABASE {pair.warehouse}_backup RENAME TO {pair.warehouse}")
        execute(pair.warehouse_admin, ANALYST_SQL.read_text() + OFFICERS_SQL.read_text())
        desk.bench.reconnect()

    return restore


def erased(desk: Desk, rider: int = 3) -> int:
    """Rider 3, and not 99; the bike was sold just before."""
    desk.bench.source("DELETE FROM work WHERE id = 39; DELETE FROM bikes WHERE id = 39")
    for table in ("bikes", "work"):
        desk.bench.ingest(table)
    number = filed(desk, f"rider{rider}@example.org")
    desk("requester", "erasure", "confirm", str(number), "--person", f"{desk.bench.name}:{rider}")
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    assert run(desk, number).state == "completed_with_retention"
    return number


def replay(rebuild: Any = lambda _: {}) -> Outcome:
    return resource.replay(Settings.load(), rebuild)


def stored(desk: Desk) -> dict[str, Counter[tuple[str, ...]]]:
    """Every row of every raw table, as text."""
    return {table: desk.bench.rows(table, of="warehouse") for table in TABLES}


def left(desk: Desk) -> dict[str, int]:
    """Rows of rider 3 in the warehouse."""
    counts = {
        table: desk.bench.warehouse(f"SELECT count(*) FROM {{raw}}.{table} WHERE {condition}")[0][0]
        for table, condition in OF_3.items()
    }
    return {table: count for table, count in counts.items() if count}


def by_table(rows: Any) -> dict[str, int]:
    """Of a store alone."""
    return {place.split(".")[1]: count for (store, place), count in rows.items() if store == "warehouse"}


def test_it_is_closed_until_who_was_erased_since_is_erased_again(desk: Desk) -> None:
    lake = to_the_lake(desk)
    sold(desk)
    restore = backup(desk)
    before = stored(desk)
    number = erased(desk)
    restore()
    assert stored(desk) == before
    settings, system = Settings.load(), desk.bench.system
    with pytest.raises(Restored, match=f"was restored to before request {number}: who was erased since is in it again"):
        open_warehouse(settings)
    with pytest.raises(Restored):
        desk("auditor", "sql", f"SELECT count(*) FROM {desk.bench.name}.riders")
    with pytest.raises(Restored):
        desk("operator", "erasure", "plan", "1")
    at: Any = None
    for failed in (
        *apply_tiers(settings, [(system, "facts")], at),
        *apply_retention(settings, [(system, "facts")], at),
    ):
        assert isinstance(failed.failure, Restored)
    assert "was restored to before request" in desk("auditor", "status", "--json")["restored"]

    dry = resource.look(settings)
    assert (dry.unknown, by_table(dry.found), dry.done) == ((number,), OF_RIDER_3, {})
    assert dry.followed == {("lake", f"{desk.bench.name}.facts"): 11}
    assert stored(desk) == before
    assert desk.bench.warehouse(f"SELECT count(*) FROM platform.tombstone WHERE system = '{desk.bench.name}'") == [(0,)]

    scopes: list[Any] = []
    outcome = replay(lambda found: scopes.append(found) or {"board": 1})
    assert (outcome.unknown, outcome.found, outcome.left) == ((number,), dry.found, {})
    assert (by_table(outcome.done), outcome.models) == (OF_RIDER_3, {"board": 1})
    assert [scope.persons for each in scopes for scope in each.values()] == [{"3"}]
    assert left(desk) == {}
    after = stored(desk)
    assert {table: (before[table] - after[table]).total() for table in TABLES} == OF_RIDER_3
    assert {t: (after[t] - before[t]).total() for t in TABLES if after[t] - before[t]} == {"messages": 2, "payments": 1}
    assert desk.bench.warehouse("SELECT email FROM {raw}.riders WHERE id = 99") == [("again@example.org",)]
    assert desk.bench.warehouse("SELECT rider < 0, amount, name FROM {raw}.payments WHERE id = 3") == [(True, 3, None)]
    assert proven(desk.bench, lake) == []

    entries = desk("auditor", "audit", "show", "--json")["entries"]
    assert replay() == Outcome()
    assert stored(desk) == after
    assert desk("auditor", "audit", "show", "--json")["entries"] == entries
    assert (entries[-1]["kind"], entries[-1]["detail"]["requests"]) == ("tombstones replayed", [number])
    assert entries[-1]["detail"]["rows"] == {"warehouse": sum(OF_RIDER_3.values())}
    open_warehouse(settings)
    for table in TABLES:
        assert desk.bench.ingest(table).kept_out == 0
    with connect(desk.found.platform) as connection:  # passes of before have the numbers of those to come
        facts = tiered(connection, desk.bench.system, "facts", lake).lake
    ((newest,),) = desk.bench.warehouse("SELECT max(id) FROM platform.erased")
    for pass_ in range(newest + 1, newest + 15):
        assert facts.commit(f"erased-{pass_}", [])
    assert erased(desk, rider=4) > number
    assert proven(desk.bench, lake) == []


def test_a_lake_that_was_restored_with_it_loses_them_too(desk: Desk) -> None:
    """But for the copies: whoever restores the lake's bucket leaves these as they are."""
    lake = to_the_lake(desk)
    sold(desk)
    facts = desk.folder / "lake" / desk.bench.name
    restore = backup(desk)
    shutil.copytree(facts, desk.folder / "kept")
    assert any(b"sold" not in each.read_bytes() for each in facts.rglob("*.parquet"))
    erased(desk)
    restore()
    shutil.rmtree(facts)
    shutil.copytree(desk.folder / "kept", facts)
    assert proven(desk.bench, lake) == []
    for table in TABLES:  # in the lake alone
        desk.bench.warehouse(f"DELETE FROM {{raw}}.{table} WHERE {OF_3[table]}")
    lost = proven(desk.bench, lake)
    outcome = replay()
    where = "lake", f"{desk.bench.name}.facts"
    assert (outcome.followed, outcome.found, outcome.done, outcome.left) == ({}, {where: 11}, {where: 11}, {})
    assert proven(desk.bench, lake) == lost == [("lost", "2024-02"), ("lost", "2024-03")]
    assert replay() == Outcome()


def test_what_is_kept_at_the_source_is_as_the_ledger_says(desk: Desk) -> None:
    """It was erased there after the backup; and is dropped in its time."""
    lake = Store((desk.folder / "lake").as_uri())
    move(desk.bench, lake, AT, keep=dt.timedelta(days=9999))
    restore = backup(desk)
    erased(desk)
    restore()
    outcome = replay()
    assert (outcome.followed, outcome.left) == ({("detached", f"{desk.bench.name}.facts"): 11}, {})
    assert proven(desk.bench, lake) == []
    assert moved(desk.bench, lake, AT + dt.timedelta(days=9999))
    assert proven(desk.bench, lake) == []


def test_a_replay_that_was_cut_off_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is closed until nothing is left; and gives no second pseudonyms."""
    lake = to_the_lake(desk)
    sold(desk)
    restore = backup(desk)
    number = erased(desk)
    restore()
    sealed: list[Any] = []
    for step, after, at in (
        ("replay_tombstones", True, 1), ("erase_below", False, 2), ("erase_below", True, 4),
        ("put_tombstones", False, 1),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(replaying, step, cut_off(getattr(replaying, step), after, at))
            with pytest.raises(CutOff):
                replay()
        with pytest.raises(Restored, match=f"before request {number}"):
            open_warehouse(Settings.load())
        with connect(desk.found.platform) as connection:
            sealed.append(read_replay(connection))
    assert sealed[0] is None
    assert b"riders" not in sealed[1]
    given = {unpack(each, load_keys(Settings.load()), 0)[desk.bench.name].pseudonyms["3"] for each in sealed[1:]}

    def fails(_: Any) -> dict[str, int]:
        raise CutOff

    with pytest.raises(CutOff):
        replay(fails)
    open_warehouse(Settings.load())
    models = replay(lambda found: {name: len(each.persons) for name, each in found.items()}).models
    assert models == {desk.bench.name: 1}
    assert replay() == Outcome()
    assert left(desk) == {}
    assert {str(rider) for (rider,) in desk.bench.warehouse("SELECT rider FROM {raw}.payments WHERE id = 3")} == given
    assert proven(desk.bench, lake) == []
    with connect(desk.found.platform) as connection:
        assert read_replay(connection) is None


def test_what_stands_in_the_way_is_said_and_nothing_is_changed(desk: Desk) -> None:
    """A warehouse with another key; a hold; a lake with what is nowhere else."""
    sold(desk)
    moved(desk.bench, Store((desk.folder / "lake").as_uri()), AT)  # January has left its source
    restore = backup(desk)
    to_the_lake(desk)
    erased(desk)
    restore()
    before, name = stored(desk), desk.bench.name
    another = "ALTER TABLE platform.tombstone_key {0} TRIGGER only_added_to"
    turned = "UPDATE platform.tombstone_key SET inner_pad = outer_pad, outer_pad = inner_pad"
    desk.bench.warehouse(f"{another.format('DISABLE')}; {turned}")
    with pytest.raises(Restored, match="are to be read by another key than this warehouse has"):
        replay()
    desk.bench.warehouse(f"{turned}; {another.format('ENABLE')}")

    desk("requester", "hold", "add", "--reason", "case", "--system", name, "--person", "3")
    with pytest.raises(LegalHold, match="cannot be erased again: hold 1 stands"):
        replay()
    desk("approver", "hold", "release", "1", "--why", "released long ago")

    alone = r"facts 2024-01: {}rows are in the lake alone"
    with psycopg.connect(desk.found.pair.warehouse_admin) as admin:
        admin.execute(f"UPDATE platform.tier_move SET state = 'undone' WHERE system = '{name}'")
        admin.commit()  # its ledger does not know that the month left its source
        with pytest.raises(Restored, match=alone.format("")):
            replay()
        admin.execute(f"UPDATE platform.tier_move SET state = 'dropped' WHERE system = '{name}'")
        admin.commit()
    desk.bench.warehouse("DELETE FROM {raw}.facts WHERE id = 5")
    with pytest.raises(Restored, match=alone.format("1 ")):
        replay()
    with pytest.raises(Restored):
        open_warehouse(Settings.load())
    after = stored(desk)
    assert {table: (before[table] - after[table]).total() for table in TABLES if after[table] != before[table]} == {
        "facts": 1
    }


def test_operational_databases_are_asked_who_is_there_again(desk: Desk) -> None:
    """By count; and nothing is erased."""
    ensure_keys(Settings.load())
    with connect(desk.found.platform) as connection:
        add_tombstones(connection, 1, desk.bench.name, {("riders", "id"): {"3", "4711"}})
    said = desk("operator", "erasure", "replay", "--operational", "--json")
    assert (said["exit"], said["operational"]) == (1, {desk.bench.name: 1})
    assert desk.bench.source("SELECT count(*) FROM riders WHERE id = 3") == [(1,)]
    desk.bench.source("ALTER TABLE bikes DROP CONSTRAINT bikes_rider_fkey; UPDATE riders SET id = 100 WHERE id = 3")
    assert desk("operator", "erasure", "replay", "--operational", "--json")["exit"] == 0


def test_the_lake_is_not_needed_where_nobody_was_ever_erased(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Store((desk.folder / "lake").as_uri())

    def away(*_: Any) -> Any:
        raise LakeUnavailable("away")

    with connect(desk.found.platform) as connection:
        known = connection.execute("SELECT count(*) FROM platform.tombstone_copy").fetchone()
        refuse_restored(connection, lake)
        with connection.transaction(force_rollback=True), monkeypatch.context() as patch:
            patch.setattr(Store, "list", away)
            connection.execute("DELETE FROM platform.tombstone_copy")
            refuse_restored(connection, lake)
            connection.execute("INSERT INTO platform.tombstone_copy (request, bytes) VALUES (1, 1)")
            with pytest.raises(LakeUnavailable):
                refuse_restored(connection, lake)
        assert connection.execute("SELECT count(*) FROM platform.tombstone_copy").fetchone() == known


def test_what_a_destroyed_embedded_warehouse_noted_goes_with_it(tmp_path: Path) -> None:
    """And nothing of a lake or a warehouse of one's own."""
    home = {"DRIVETRAIN_HOME": str(tmp_path)}
    lake = Settings.load(home).lake()
    for path in ("_drivetrain/tombstones/000000000001.jsonl", "_drivetrain/audit/000000000001-ab", "shop/orders/x"):
        lake.put(path, b"x")
    for own in ({"DRIVETRAIN_WAREHOUSE_DSN": "dbname=x"}, {"DRIVETRAIN_LAKE_URL": lake.url}):
        forget_embedded(Settings.load({**home, **own}))
    assert len(lake.list()) == 3
    forget_embedded(Settings.load(home))
    assert [each.path for each in lake.list()] == ["shop/orders/x"]
