"""A person's request from filing to the end: gone from source, warehouse and lake, and nobody brings them back."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from ingesting import PARTITIONED, Bench, bench_on
from officers import Desk, Officers, officers
from test_change_feeds import READER, follow
from tiering import TIERS, moved, places, proven

from demo.servers import Servers
from demo.servers.model import VERIFIER
from resources import erasure
from resources.agenda import agenda
from resources.keys import load_keys
from resources.settings import Settings
from warehouse.catalog.age import Age
from warehouse.erasure import carrying, steps
from warehouse.erasure.carrying import Outcome
from warehouse.erasure.certificate import Certificate, read_certificate
from warehouse.erasure.models import NamingColumn, forget_in_models
from warehouse.errors import AccessDenied, Busy, ConfigurationError, ErasureRefused, LegalHold, RequestRefused
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn, connect
from warehouse.proof.absence import Stores, prove_absence
from warehouse.proof.absence_sought import Sought, read_known
from warehouse.state.changes import prune_changes

NOTHING: Any = lambda _: {}  # noqa: E731


@pytest.fixture(scope="module")
def all_officers(servers: Servers) -> Generator[Officers]:
    with officers(servers) as found:
        yield found


@pytest.fixture
def desk(all_officers: Officers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    """Twelve riders with bikes, work on these, positions over three months, messages and payments."""
    with bench_on(all_officers.pair) as bench:
        bench.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
        bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
        bench.source(
            "ALTER TABLE facts ADD who bigint; UPDATE facts SET who = 1 + id % 12;"
            "CREATE TABLE riders (id bigint PRIMARY KEY, email text, photo text);"
            "CREATE TABLE bikes (id bigint PRIMARY KEY, rider bigint REFERENCES riders, name text);"
            "CREATE TABLE work (id bigint PRIMARY KEY, bike bigint REFERENCES bikes, what text);"
            "CREATE TABLE messages (id bigint PRIMARY KEY, sender bigint, recipient bigint, body text);"
            "CREATE TABLE payments (id bigint PRIMARY KEY, rider bigint, amount numeric(8,2), name text);"
            "INSERT INTO riders SELECT i, 'rider' || i || '@example.org', i || '/me.jpg' FROM generate_series(1, 12) i;"
            "INSERT INTO bikes SELECT 10 * i + n, i, 'bike' FROM generate_series(1, 12) i, generate_series(0, 1) n;"
            "INSERT INTO work SELECT id, id, 'chain' FROM bikes;"
            "INSERT INTO messages SELECT i, i, i % 12 + 1, 'from ' || i FROM generate_series(1, 12) i;"
            "INSERT INTO payments SELECT i, i, i, 'Name ' || i FROM generate_series(1, 12) i"
        )
        bench.declare("riders", key=["id"], subjects=["id"], erasure="delete")
        bench.declare("bikes", key=["id"], subjects=["rider"], erasure="delete")
        bench.declare("work", key=["id"], subjects=["bike -> bikes"], erasure="delete")
        bench.declare("messages", key=["id"], subjects=["sender", "recipient"], erasure="redact")
        bench.declare(
            "payments", key=["id"], subjects=["rider"], erasure={"action": "pseudonymise", "basis": "tax law"}
        )
        pattern = {"range": "at", "name": "{table}_y{year}m{month}"}
        bench.monthly("facts", subjects=["who"], erasure="delete", partition=pattern, tiers=TIERS)
        for table, kinds in {
            "riders": {"id": "person_id", "email": "email", "photo": "photo"}, "bikes": {"rider": "person_id"},
            "facts": {"who": "person_id"},
            "messages": {"sender": "person_id", "recipient": "person_id", "body": "free_text"},
            "payments": {"rider": "person_id", "name": "name"},
        }.items():  # fmt: skip
            for column, kind in kinds.items():
                bench.tables[table]["columns"][column]["personal"] = kind
        bench.tables["messages"]["columns"]["body"]["whose"] = "sender"
        bench.tables["riders"]["columns"]["photo"]["bucket"] = "portraits"
        for rider in range(1, 13):
            pictures(tmp_path).put(f"{rider}/me.jpg", b"a face")
        for table in bench.tables:
            bench.ingest(table)
        yield Desk(all_officers, bench, tmp_path, monkeypatch)


def pictures(folder: Path) -> Store:
    return Store((folder / "objects").as_uri()).under("portraits")


def to_the_lake(desk: Desk) -> Store:
    """January is in the lake, February and March in the warehouse alone."""
    lake = Store((desk.folder / "lake").as_uri())
    moved(desk.bench, lake, dt.datetime(2024, 5, 5, tzinfo=dt.UTC))
    return lake


def filed(desk: Desk, email: str = "Rider3@Example.org") -> int:
    return desk("requester", "erasure", "request", "--law", "gdpr", "--email", email, "--json")["request"]["id"]


def planned(desk: Desk, email: str = "rider3@example.org") -> tuple[int, dict[str, Any]]:
    number = filed(desk, email)
    desk("requester", "erasure", "confirm", str(number), "--all")
    return number, desk("operator", "erasure", "plan", str(number), "--json")


def approved(desk: Desk) -> int:
    number, plan = planned(desk)
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"][:12])
    return number


def run(desk: Desk, number: int) -> Outcome:
    return erasure.run(Settings.load(), number, rebuild=NOTHING)


def state(desk: Desk, number: int) -> str:
    return desk("auditor", "erasure", "status", str(number), "--json")["request"]["state"]


def everything(bench: Bench) -> dict[str, Any]:
    """Every row of every table, on both sides; of the person by key, and of all others whole."""
    found: dict[str, Any] = {}
    for table in bench.tables:
        for side in ("source", "warehouse"):
            found[f"{table} {side}"] = bench.rows(table, of=side)
    return found


def test_a_person_goes_from_everywhere_and_nobody_else_does(desk: Desk) -> None:
    bench, lake = desk.bench, to_the_lake(desk)
    number, plan = planned(desk)
    lines = {(each["store"], each["place"].split(".")[-1]): each for each in plan["plan"]["lines"]}
    assert {key: each["expected"] for key, each in lines.items()} == {
        ("objects", "portraits"): 1,
        ("operational", "riders"): 1, ("operational", "bikes"): 2, ("operational", "work"): 2,
        ("operational", "messages"): 2, ("operational", "payments"): 1,
        ("warehouse", "riders"): 1, ("warehouse", "bikes"): 2, ("warehouse", "work"): 2,
        ("warehouse", "messages"): 2, ("warehouse", "payments"): 1, ("warehouse", "facts"): 19,
        ("lake", "facts"): 11,
    }  # fmt: skip
    assert lines["operational", "payments"]["basis"] == "tax law"
    assert state(desk, number) == "awaiting_approval"
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    before = everything(bench)
    outcome = run(desk, number)
    assert (outcome.verdict.unseen, outcome.verdict.left) == ((), {})
    assert (outcome.state, outcome.residual) == ("completed_with_retention", {})
    assert sorted(each.path for each in pictures(desk.folder).list()) == sorted(
        f"{rider}/me.jpg" for rider in range(1, 13) if rider != 3
    )
    assert bench.source("SELECT count(*) FROM riders WHERE id = 3") == [(0,)]
    assert bench.source("SELECT count(*) FROM work WHERE bike IN (30, 31)") == [(0,)]
    assert bench.source("SELECT id, sender, recipient, body FROM messages WHERE id IN (2, 3) ORDER BY id") == [
        (2, 2, None, "from 2"), (3, None, 4, None),
    ]  # fmt: skip
    ((pseudonym, amount, name),) = bench.source("SELECT rider, amount, name FROM payments WHERE id = 3")
    assert pseudonym < 0 and amount == 3 and name is None
    assert bench.warehouse("SELECT rider, name FROM {raw}.payments WHERE id = 3") == [(pseudonym, None)]
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts WHERE who = 3") == [(0,)]
    after = everything(bench)
    sides = {"source": "operational", "warehouse": "warehouse"}
    for place, rows in before.items():
        table, side = place.split()
        gone = rows - after[place]
        assert gone.total() == lines.get((sides[side], table), {"expected": 0})["expected"], place
    assert proven(bench, lake) == []
    for path in [each.path for each in lake.under(bench.name, "facts").list()]:
        assert b"rider3" not in lake.under(bench.name, "facts").get(path)
    with psycopg.connect(desk.found.pair.warehouse_admin) as admin:
        ((scope,),) = admin.execute("SELECT scope FROM platform.erasure_request WHERE id = %s", (number,)).fetchall()
        assert scope is None
        log = str(admin.execute("SELECT * FROM audit.event WHERE request = %s", (number,)).fetchall())
        assert "rider3" not in log and "'3'" not in log
    assert desk("auditor", "audit", "verify", "--json")["holds"]


def certificate_of(desk: Desk, number: int) -> Certificate:
    """The one that was saved, checked with the public key alone."""
    file, key = desk.folder / f"{number}.json", desk.folder / "key.pem"
    desk("auditor", "certificate", "save", str(number), str(file))
    key.write_text(load_keys(Settings.load()).public_keys[0].pem)
    assert desk("auditor", "certificate", "verify", str(file), "--public-key", str(key))["exit"] == 0
    return read_certificate(file.read_bytes()).document


def test_it_is_certified_and_names_nobody(desk: Desk) -> None:
    to_the_lake(desk)
    number = approved(desk)
    outcome = run(desk, number)
    certificate = certificate_of(desk, number)
    assert (certificate.number, certificate.outcome) == (outcome.certificate, "completed_with_retention")
    stores = {(each.tier, each.locator): each for each in certificate.stores}
    assert {key: (each.expected, each.actual, each.residual) for key, each in stores.items()} == {
        ("objects", "files"): (1, 1, 0),
        ("operational", "riders"): (1, 1, 0), ("operational", "bikes"): (2, 2, 0), ("operational", "work"): (2, 2, 0),
        ("operational", "messages"): (2, 2, 0), ("operational", "payments"): (1, 1, 0),
        ("warehouse", "riders"): (1, 1, 0), ("warehouse", "bikes"): (2, 2, 0), ("warehouse", "work"): (2, 2, 0),
        ("warehouse", "messages"): (2, 2, 0), ("warehouse", "payments"): (1, 1, 0), ("warehouse", "facts"): (19, 19, 0),
        ("lake", "facts"): (11, 11, 0),
    }  # fmt: skip
    assert [(each.table, each.rows, each.basis) for each in certificate.kept] == [("payments", 1, "tax law")]
    assert certificate.request.requester != certificate.request.approver
    assert certificate.verification.verifier == VERIFIER
    assert {each.what.partition(":")[0] for each in certificate.verification.checks} >= {
        "operational", "warehouse", "lake", "dagster",
    }  # fmt: skip
    assert all(each.looked_at and not each.found for each in certificate.verification.checks if "rows" in each.what)
    entry = desk("auditor", "audit", "show", "--request", str(number), "--json")["entries"][-1]
    assert (entry["kind"], entry["detail"]["number"]) == ("certificate issued", certificate.number)
    with pytest.raises(ConfigurationError, match="File exists"):
        desk("auditor", "certificate", "save", str(number), str(desk.folder / f"{number}.json"))
    assert desk("auditor", "erasure", "verify", str(number), "--json")["clean"]


def test_what_others_wrote_of_them_is_for_somebody_to_read(desk: Desk) -> None:
    """It is told by key, without a word of it, as long as the request is there; and not changed."""
    desk.bench.source("INSERT INTO messages VALUES (60, 5, 6, 'ask rider3@example.org')")
    desk.bench.ingest("messages")
    desk.patch.setattr(Settings, "verifier_of_dagster", lambda _: None)  # in these tests it is the warehouse itself
    number = approved(desk)
    outcome = run(desk, number)
    assert (outcome.state, outcome.residual) == ("completed_with_retention", {})
    told = desk("auditor", "erasure", "status", str(number), "--json")
    found = {(each["store"], each["place"].partition(".")[2]): each["keys"] for each in told["mentions"]}
    assert found["operational", "messages"] == found["warehouse", "messages"] == [["60"]]
    assert "rider3@" not in str(told)
    certificate = certificate_of(desk, number)
    assert certificate.verification.mentions == sum(each["rows"] for each in told["mentions"])
    assert told["certificates"] == [certificate.number] and all(task["residual"] == 0 for task in told["tasks"])
    assert desk("auditor", "erasure", "status", str(number))["exit"] == 0
    assert desk.bench.source("SELECT body FROM messages WHERE id = 60") == [("ask rider3@example.org",)]


def test_backups_that_have_the_person_still_are_waited_for(desk: Desk) -> None:
    """What a request keeps to itself is kept until the last of them is gone; then the request is over."""
    desk.patch.setenv("DRIVETRAIN_BACKUPS_KEPT", "30 days")
    number = approved(desk)
    assert run(desk, number).state == "completed_pending_backup_expiry"
    backups = certificate_of(desk, number).backups
    assert backups is not None and "30 days" in backups.how
    stores = erasure.estate(Settings.load())
    assert desk("auditor", "erasure", "verify", str(number), "--json")["clean"]
    assert not carrying.settle(stores, number, backups.expire_on - dt.timedelta(days=1))
    assert state(desk, number) == "completed_pending_backup_expiry"
    assert carrying.settle(stores, number, backups.expire_on)
    assert state(desk, number) == "completed_with_retention"
    with psycopg.connect(desk.found.pair.warehouse_admin) as admin:
        ((scope,),) = admin.execute("SELECT scope FROM platform.erasure_request WHERE id = %s", (number,)).fetchall()
    assert scope is None


def test_what_somebody_else_finds_is_erased_in_another_round(desk: Desk) -> None:
    """A row that comes back behind the erasure's back; and there is no certificate while it does."""
    number = approved(desk)
    comes_back = iter(range(1))

    def put_back(_: Any) -> dict[str, int]:
        for _ in comes_back:
            desk.bench.source("INSERT INTO messages VALUES (77, 3, 5, 'again'), (78, 5, 3, 'again')")
        return {}

    outcome = erasure.run(Settings.load(), number, rebuild=put_back)
    assert (outcome.state, outcome.residual) == ("completed_with_retention", {})
    stores = certificate_of(desk, number).stores
    (messages,) = [each for each in stores if (each.tier, each.locator) == ("operational", "messages")]
    assert (messages.expected, messages.actual) == (2, 4)
    assert messages.why == "More came after the plan was approved; they went, too."
    assert desk.bench.source("SELECT count(*) FROM messages WHERE 3 IN (sender, recipient)") == [(0,)]


def test_what_comes_again_and_again_needs_somebody(desk: Desk) -> None:
    number = approved(desk)
    numbers = iter(range(700, 800))

    def put_back(_: Any) -> dict[str, int]:
        desk.bench.source(f"INSERT INTO messages VALUES ({next(numbers)}, 3, 5, 'again')")
        return {}

    outcome = erasure.run(Settings.load(), number, rebuild=put_back)
    assert (outcome.state, outcome.certificate) == ("failed_needs_operator", "")
    assert outcome.residual["operational", f"{desk.bench.name}.messages"] == 1
    with pytest.raises(RequestRefused, match="no certificate was issued"):
        desk("auditor", "certificate", "save", str(number), str(desk.folder / "none.json"))
    assert run(desk, number).state == "completed_with_retention"


def test_what_cannot_be_looked_at_is_not_certified(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = approved(desk)
    with monkeypatch.context() as patch:
        patch.setenv("DRIVETRAIN_VERIFIER_DSN", desk.found.platform.text)  # who may not read the servers' statistics
        outcome = run(desk, number)
    assert (outcome.state, outcome.certificate) == ("failed_needs_operator", "")
    assert any("may not be read by this role" in each for each in outcome.verdict.unseen)
    assert "not looked at" in desk("auditor", "erasure", "status", str(number), "--json")["request"]["reason"]
    assert run(desk, number).state == "completed_with_retention"


def test_who_did_not_erase_finds_them_before_and_not_after(desk: Desk) -> None:
    """Another role and other code, over all stores and every byte; whoever did it is not asked."""
    bench, lake = desk.bench, to_the_lake(desk)
    verifier = Dsn(bench.pair.servers.server("warehouse").dsn(bench.pair.warehouse, VERIFIER))
    stores = Stores(verifier, {bench.name: bench.pair.primary}, lake)
    with connect(bench.pair.primary, see_all_rows=True) as source:
        known = read_known(source, bench.system, {"3"})
    sought = Sought(bench.system, {"3"}, {"work": {"bike": {"30", "31"}}}, known=known)
    before = prove_absence([sought], stores, deep=True)
    assert {each.store for each in before.residues if each.kind == "row"} == {"operational", "warehouse", "lake"}
    assert run(desk, approved(desk)).residual == {}
    after = prove_absence([sought], stores, deep=True)
    assert (after.residues, after.unseen) == ((), ())


def test_nothing_is_left_in_statistics_of_what_is_empty_now(desk: Desk) -> None:
    """A month that was one person's alone has no rows, and ANALYZE leaves what it knew; a parent knows all months."""
    bench = desk.bench
    bench.source("DELETE FROM facts WHERE who <> 3 AND at >= '2024-02-01+00' AND at < '2024-03-01+00'")
    bench.ingest("facts")
    bench.warehouse("ANALYZE {raw}.facts; ANALYZE {raw}.riders; ANALYZE {raw}.bikes")
    outcome = run(desk, approved(desk))
    assert outcome.verdict is not None and outcome.verdict.left == {}
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts WHERE at >= '2024-02-01+00' AND at < '2024-03-01+00'") == [
        (0,)
    ]


def test_what_the_server_remembers_of_changes_that_were_read_goes_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autovacuum may look at a feed while a person's rows are in it: emptied, it keeps them in its statistics."""
    follow(desk.bench, "bikes")
    desk.bench.source("UPDATE bikes SET name = 'bell' WHERE rider = 3")
    desk.bench.ingest("bikes")
    desk.bench.warehouse("ANALYZE {raw}.bikes__changes")
    follow(desk.bench, "bikes")  # read by now
    with connect(desk.bench.pair.target) as connection:
        assert prune_changes(connection, [READER]) > 0
    known = "SELECT attname FROM pg_stats WHERE tablename = 'bikes__changes' AND schemaname = '{raw}'"
    assert ("rider",) in desk.bench.warehouse(known)
    monkeypatch.setattr(erasure, "ensure_manifest", lambda _: None)
    monkeypatch.setattr(erasure, "models_of", lambda *_: {})
    erasure.forget_in_models(Settings.load(), {})
    assert desk.bench.warehouse(known) == []


def test_nobody_brings_them_back(desk: Desk) -> None:
    """Not the source, restored to what it was."""
    bench, lake = desk.bench, to_the_lake(desk)
    number = approved(desk)
    tables = ("riders", "bikes", "work")
    before = {table: bench.source(f"SELECT * FROM {table} WHERE id IN (3, 30)") for table in tables}
    run(desk, number)
    for table, rows in before.items():
        for row in rows:
            bench.admin.execute(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})".encode(), row)
    assert [bench.ingest(table).kept_out for table in tables] == [1, 1, 1]
    for table in tables:
        assert bench.warehouse(f"SELECT count(*) FROM {{raw}}.{table} WHERE id IN (3, 30)") == [(0,)]
    assert places(bench, lake).lake.get(f"_drivetrain/tombstones/{number:012d}.jsonl")


def test_a_table_that_nobody_declared_stops_it(desk: Desk) -> None:
    """It may hold anything of anybody."""
    number = approved(desk)
    desk.bench.source("CREATE TABLE backup AS SELECT * FROM riders")
    with pytest.raises(ErasureRefused, match="backup"):
        run(desk, number)
    assert desk.bench.source("SELECT count(*) FROM riders WHERE id = 3") == [(1,)]
    assert state(desk, number) == "approved"


def test_what_has_changed_since_is_planned_and_approved_anew(desk: Desk) -> None:
    number = approved(desk)
    desk.bench.source("INSERT INTO work VALUES (999, 30, 'wheel')")
    with pytest.raises(RequestRefused, match="there are other rows now than when its plan was approved"):
        run(desk, number)
    assert state(desk, number) == "scoping"
    assert desk.bench.source("SELECT count(*) FROM riders WHERE id = 3") == [(1,)]
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    assert run(desk, number).state == "completed_with_retention"


def test_a_hold_stops_it_at_any_time(desk: Desk) -> None:
    system = desk.bench.name
    desk("requester", "hold", "add", "--reason", "case", "--system", system, "--person", "3")
    number = filed(desk)
    desk("requester", "erasure", "confirm", str(number), "--all")
    with pytest.raises(LegalHold, match="has to wait: hold"):
        desk("operator", "erasure", "plan", str(number))
    assert state(desk, number) == "blocked_hold"
    hold = desk("auditor", "hold", "list", "--json")["holds"][-1]["id"]
    desk("approver", "hold", "release", str(hold), "--why", "over")
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    desk("requester", "hold", "add", "--reason", "new", "--system", system, "--table", "payments")
    with pytest.raises(LegalHold):
        run(desk, number)
    assert desk.bench.source("SELECT count(*) FROM riders WHERE id = 3") == [(1,)]
    assert state(desk, number) == "blocked_hold"


def test_what_is_not_approved_is_not_run(desk: Desk) -> None:
    number, plan = planned(desk)
    with pytest.raises(RequestRefused, match="is awaiting_approval: there is nothing to carry out"):
        run(desk, number)
    with pytest.raises(RequestRefused, match="newest plan is another one"):
        desk("approver", "erasure", "approve", str(number), "--plan", "0123456789ab")
    with pytest.raises(AccessDenied):
        desk("requester", "erasure", "approve", str(number), "--plan", plan["sha256"])
    desk("approver", "erasure", "deny", str(number), "--reason", "suspected_fraud")
    with pytest.raises(RequestRefused, match="is denied"):
        run(desk, number)


def test_an_approval_does_not_last(desk: Desk) -> None:
    number, plan = planned(desk)
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"], "--valid-for", "1 day")
    with psycopg.connect(desk.found.pair.warehouse_admin, autocommit=True) as admin:
        admin.execute("ALTER TABLE audit.approval DISABLE TRIGGER only_added_to")
        admin.execute("UPDATE audit.approval SET expires_at = now() - interval '1 s' WHERE request = %s", (number,))
        admin.execute("ALTER TABLE audit.approval ENABLE TRIGGER only_added_to")
    with pytest.raises(RequestRefused, match="its approval is over"):
        run(desk, number)
    assert state(desk, number) == "scoping"


def test_who_is_meant_is_confirmed(desk: Desk) -> None:
    """Two with one address are told apart, and nobody is guessed."""
    desk.bench.source("INSERT INTO riders VALUES (50, 'rider3@example.org')")
    desk.bench.ingest("riders")
    number = filed(desk)
    found = desk("requester", "erasure", "persons", str(number), "--json")["persons"]
    assert sorted(each["key"] for each in found) == ["3", "50"]
    assert all("rider3" not in str(each["shown"]) for each in found)
    with pytest.raises(ConfigurationError, match="whom is it about"):
        desk("requester", "erasure", "confirm", str(number))
    with pytest.raises(RequestRefused, match="do not lead to that person"):
        desk("requester", "erasure", "confirm", str(number), "--person", f"{desk.bench.name}:4")
    desk("requester", "erasure", "confirm", str(number), "--person", f"{desk.bench.name}:50")
    plan = desk("operator", "erasure", "plan", str(number), "--json")["plan"]
    assert {each["place"].split(".")[1]: each["expected"] for each in plan["lines"]} == {"riders": 1}
    nobody = filed(desk, "unknown@example.org")
    with pytest.raises(RequestRefused, match="nobody is known by these identifiers"):
        desk("requester", "erasure", "confirm", str(nobody), "--all")


class CutOff(BaseException):
    """A process that ends."""


#: What a run calls, in this order.
STEPS = (
    (steps, "put_tombstones"), (steps, "remove_exports"), (steps, "remove_objects"), (steps, "erase_operational"),
    (steps, "sweep"), (steps, "erase_below"), (carrying, "note_residual"), (carrying, "write_mentions"),
    (steps, "survey"), (carrying, "certified"), (carrying, "certify"),
)  # fmt: skip


def test_a_run_that_was_cut_off_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each step, the one time after the other; the end is the same."""
    lake, number = to_the_lake(desk), approved(desk)
    for module, step in STEPS:
        for after in (False, True):
            with monkeypatch.context() as patch:
                patch.setattr(module, step, cut_off(getattr(module, step), after))
                with pytest.raises(CutOff):
                    run(desk, number)
    outcome = run(desk, number)
    assert (outcome.state, outcome.residual) == ("completed_with_retention", {})
    assert desk.bench.source("SELECT count(*) FROM payments") == desk.bench.source("SELECT 12") == [(12,)]
    for table, column in (("riders", "id"), ("bikes", "rider"), ("facts", "who"), ("messages", "sender")):
        assert desk.bench.source(f"SELECT count(*) FROM {table} WHERE {column} = 3") == [(0,)]
        assert desk.bench.warehouse(f"SELECT count(*) FROM {{raw}}.{table} WHERE {column} = 3") == [(0,)]
    assert proven(desk.bench, lake) == []
    assert desk("auditor", "audit", "verify", "--json")["holds"]


def test_keys_in_a_cache_go_too(desk: Desk, redis_server: str) -> None:
    """With those that the application writes meanwhile; a cache that is not configured is told of."""
    desk.bench.caches = ["rider:{key}", "rider:{key}:*"]
    desk.environment()
    number, plan = planned(desk)
    assert any("no cache is configured" in note for note in plan["plan"]["notes"])
    desk.patch.setenv(f"DRIVETRAIN_{desk.bench.name.upper()}_REDIS_URL", redis_server)
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        for rider in (3, 4):
            client.set(f"rider:{rider}", "x")
            client.set(f"rider:{rider}:offers", "x")
        plan = desk("operator", "erasure", "plan", str(number), "--json")
        assert [each["expected"] for each in plan["plan"]["lines"] if each["store"] == "cache"] == [2]
        desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
        client.set("rider:3:state", "on")
        assert run(desk, number).state == "completed_with_retention"
        assert set(client.keys()) == {b"rider:4", b"rider:4:offers"}
    (keys,) = [each for each in certificate_of(desk, number).stores if each.tier == "cache"]
    assert (keys.expected, keys.actual, keys.why) == (2, 3, "Keys of a cache come and go.")


def test_a_copy_that_was_made_for_the_person_goes_too(desk: Desk) -> None:
    filed_copy = desk("requester", "erasure", "request", "--kind", "export", "--law", "gdpr", "--email",
                      "rider3@example.org", "--json")["request"]["id"]  # fmt: skip
    desk("requester", "erasure", "confirm", str(filed_copy), "--all")
    plan = desk("operator", "erasure", "plan", str(filed_copy), "--json")
    desk("approver", "erasure", "approve", str(filed_copy), "--plan", plan["sha256"])
    desk("operator", "export", "run", str(filed_copy))
    kept = Store((desk.folder / "lake").as_uri()).under("_drivetrain", "exports")
    assert len(kept.list()) == 1
    number = approved(desk)
    assert run(desk, number).state == "completed_with_retention"
    assert kept.list() == []
    (copies,) = [each for each in certificate_of(desk, number).stores if each.tier == "export"]
    assert (copies.expected, copies.actual, copies.residual) == (1, 1, 0)


def cut_off(original: Any, after: bool, at: int = 1) -> Any:
    """The call of that number ends the process, before or after its work."""
    calls = 0

    def wrapped(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = original(*arguments, **options) if calls < at or after else None
        if calls == at:
            raise CutOff
        return answer

    return wrapped


def test_a_store_that_does_not_answer_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = approved(desk)
    with monkeypatch.context() as patch:
        patch.setattr(steps, "erase_below", busy)
        with pytest.raises(Busy):
            run(desk, number)
    assert state(desk, number) == "retry_wait"
    assert run(desk, number).state == "completed_with_retention"


def busy(*_: Any, **__: Any) -> Any:
    raise Busy("somebody else is at work")


def test_a_hold_that_is_new_stops_it_in_the_middle(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = approved(desk)
    original = steps.sweep

    def held(*arguments: Any) -> Any:
        desk("requester", "hold", "add", "--reason", "new", "--system", desk.bench.name, "--person", "3")
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(steps, "sweep", held)
        with pytest.raises(LegalHold):
            run(desk, number)
    assert state(desk, number) == "blocked_hold"
    assert desk.bench.warehouse("SELECT count(*) FROM {raw}.riders WHERE id = 3") == [(1,)]
    hold = desk("auditor", "hold", "list", "--json")["holds"][-1]["id"]
    desk("approver", "hold", "release", str(hold), "--why", "over")
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    run(desk, number)
    assert desk.bench.warehouse("SELECT count(*) FROM {raw}.riders WHERE id = 3") == [(0,)]


def test_the_lake_is_written_anew_for_many_at_once(desk: Desk) -> None:
    """Each is gone from everywhere else before; each has a certificate with its own counts."""
    lake = to_the_lake(desk)
    numbers: list[int] = []
    for rider in (3, 5, 7):
        number, plan = planned(desk, f"rider{rider}@example.org")
        desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
        outcome = erasure.run(Settings.load(), number, rebuild=NOTHING, lake=False)
        assert (outcome.state, outcome.verdict, outcome.certificate) == ("executing", None, "")
        assert desk.bench.warehouse(f"SELECT count(*) FROM {{raw}}.facts WHERE who = {rider}") == [(0,)]
        numbers.append(number)
    waiting = [case.request.id for case in agenda(Settings.load()) if case.waits_for_lake]
    assert waiting == numbers
    hold = ("--reason", "new", "--system", desk.bench.name, "--person", "7")
    desk("requester", "hold", "add", *hold)
    outcomes = erasure.run_batch(Settings.load(), rebuild=NOTHING)
    assert [each.state for each in outcomes] == ["completed_with_retention"] * 2
    assert state(desk, numbers[2]) == "blocked_hold"
    for number in numbers[:2]:
        (cold,) = [each for each in certificate_of(desk, number).stores if each.tier == "lake"]
        assert cold.expected == cold.actual > 0 == cold.residual
    passes = desk.bench.warehouse(
        f"SELECT DISTINCT batch FROM platform.erased WHERE system = '{desk.bench.name}' AND tier = 'cold'"
    )
    assert passes == [(f"requests {numbers[0]}, {numbers[1]}",)]
    assert proven(desk.bench, lake) == []


def test_nobody_waits_into_the_last_days_of_a_law(desk: Desk) -> None:
    to_the_lake(desk)
    number = approved(desk)
    erasure.run(Settings.load(), number, rebuild=NOTHING, lake=False)
    (case,) = [each for each in agenda(Settings.load()) if each.request.id == number]
    week, since = Age(count=7, unit="day"), case.request.changed_at
    assert case.waits_until == since and case.lake_due(week) == since + dt.timedelta(days=7)
    for due, last in ((5, 2), (-5, 0)):
        request = dataclasses.replace(case.request, due_at=since + dt.timedelta(days=due))
        assert dataclasses.replace(case, request=request).lake_due(week) == since + dt.timedelta(days=last)
    desk.patch.setenv("DRIVETRAIN_ERASURE_WINDOW", "7 days")
    assert erasure.run_batch(Settings.load(), rebuild=NOTHING, only_due=True) == []
    assert run(desk, number).state == "completed_with_retention"  # at once, on demand


def test_models_lose_rows_that_name_the_person(desk: Desk) -> None:
    desk.bench.warehouse(
        "CREATE TABLE {raw}.board (rider bigint, points int); INSERT INTO {raw}.board VALUES (3, 1), (3, 2), (4, 3);"
        "CREATE VIEW {raw}.seen AS SELECT * FROM {raw}.board; ALTER TABLE {raw}.board OWNER TO drivetrain;"
        "ANALYZE {raw}.board"
    )
    common = (
        f"SELECT most_common_vals::text FROM pg_stats WHERE schemaname = '{desk.bench.raw}'"
        " AND tablename = 'board' AND attname = 'rider'"
    )
    assert desk.bench.warehouse(common) == [("{3}",)]
    columns = [NamingColumn(desk.bench.raw, table, "rider") for table in ("board", "seen", "never_made")]
    columns.append(NamingColumn(desk.bench.raw, "board", "never_there"))
    with connect(desk.found.platform) as connection:
        assert forget_in_models(connection, columns, {"3"}) == {f"{desk.bench.raw}.board": 2}
        assert forget_in_models(connection, columns, {"3"}) == {}
    assert desk.bench.warehouse("SELECT rider FROM {raw}.board") == [(4,)]
    assert desk.bench.warehouse(common) == [(None,)]
