"""Requests of persons: what a role may do is held by the database, and each step is in a log that cannot be mended."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from officers import Officers, officers

from demo.servers import Servers
from warehouse.errors import RequestRefused
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.state.audit import note, put_head, read_audit, verify_audit
from warehouse.state.requests import (
    DENIALS,
    Deadlines,
    RequestKind,
    approve_request,
    confirm_person,
    deny_request,
    extend_request,
    file_request,
    move_request,
    read_approval,
    read_persons,
    read_plan,
    read_request,
    revoke_request,
    seal_plan,
)

NOW = dt.datetime.now(dt.UTC)
DEADLINES = Deadlines(NOW + dt.timedelta(days=10), NOW + dt.timedelta(days=30), NOW + dt.timedelta(days=90))
WEEK = dt.timedelta(days=7)
DOCUMENT = {"stores": [{"table": "t.facts", "action": "delete", "expected": 3}]}


@pytest.fixture(scope="module")
def all_officers(servers: Servers) -> Generator[Officers]:
    with officers(servers) as found:
        yield found


def filed(found: Officers, who: str = "requester", kind: RequestKind = "erasure") -> int:
    with connect(found.logins[who]) as session:
        return file_request(session, kind, "gdpr", NOW, DEADLINES, b"sealed", [b"digest"], "ticket 7")


def planned(found: Officers, who: str = "requester") -> int:
    request = filed(found, who)
    with connect(found.logins[who]) as session:
        move_request(session, request, "verifying")
        confirm_person(session, request, "t1", b"p" * 32, ["email"])
        move_request(session, request, "scoping")
    with connect(found.platform) as operator:
        seal_plan(operator, request, DOCUMENT)
        move_request(operator, request, "planned")
        move_request(operator, request, "awaiting_approval")
    return request


def approved(found: Officers) -> int:
    request = planned(found)
    with connect(found.logins["approver"]) as session:
        plan = read_plan(session, request)
        assert plan is not None
        approve_request(session, request, plan.sha256, WEEK)
    return request


def test_a_request_walks_through_the_hands_of_three(all_officers: Officers) -> None:
    request = approved(all_officers)
    with connect(all_officers.platform) as operator:
        plan = read_plan(operator, request)
        assert plan is not None
        approval = read_approval(operator, plan)
        assert approval is not None
        assert approval.approved_by.startswith("approver_")
        # The server's clock is asked for each.
        assert dt.timedelta() <= approval.expires_at - approval.approved_at - WEEK < dt.timedelta(seconds=1)
        for state in ("restricting", "executing", "rebuilding", "verifying_erasure", "completed"):
            move_request(operator, request, state)
        found = read_request(operator, request)
        assert (found.state, found.reference, found.requested_by[:10]) == ("completed", "ticket 7", "requester_")
        assert [each.matched for each in read_persons(operator, request)] == [("email",)]
    with connect(all_officers.logins["auditor"]) as auditor:
        entries = read_audit(auditor, request)
        assert [each.kind for each in entries] == [
            "request received", "request verifying", "subject confirmed", "request scoping", "request planned",
            "request awaiting_approval", "request approved", "request restricting", "request executing",
            "request rebuilding", "request verifying_erasure", "request completed",
        ]  # fmt: skip
        who = {each.kind: each.by_role.partition("_")[0] for each in entries}
        assert (who["request received"], who["request approved"], who["request executing"]) == (
            "requester", "approver", "drivetrain",
        )  # fmt: skip
        assert entries[6].detail["plan"] == plan.sha256
        assert verify_audit(auditor, None)[1] == []


def test_nobody_approves_what_they_filed(all_officers: Officers) -> None:
    """Not even who is both."""
    request = planned(all_officers, "both")
    with connect(all_officers.logins["both"]) as session:
        plan = read_plan(session, request)
        assert plan is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="somebody else has to approve it"):
            approve_request(session, request, plan.sha256, WEEK)
        assert read_request(session, request).state == "awaiting_approval"


def test_an_approval_is_of_one_plan(all_officers: Officers) -> None:
    request = planned(all_officers)
    with connect(all_officers.platform) as operator:
        old = read_plan(operator, request)
        assert old is not None
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added to"):
            operator.execute("UPDATE platform.erasure_plan SET document = '{}', canonical = '{}'")
        seal_plan(operator, request, {**DOCUMENT, "more": 1})
    with connect(all_officers.logins["approver"]) as session:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="another plan by now"):
            approve_request(session, request, old.sha256, WEEK)
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="up to 31 days"):
            approve_request(session, request, read_plan(session, request).sha256, dt.timedelta(days=32))  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["erasure", "restriction"])
def test_only_declared_steps_are_taken(all_officers: Officers, kind: RequestKind) -> None:
    """Every pair of states, by somebody who may do everything: a superuser."""
    request = filed(all_officers, kind=kind)
    with psycopg.connect(all_officers.pair.warehouse_admin, autocommit=True) as admin:
        steps = admin.execute("SELECT was, becomes, kinds FROM platform.erasure_transition").fetchall()
        declared = {(was, becomes) for was, becomes, kinds in steps if kind in kinds}
        states = {state for was, becomes, _ in steps for state in (was, becomes)}
        assert len(states) == 18
        for was, becomes in itertools.product(sorted(states), repeat=2):
            admin.execute("UPDATE platform.erasure_request SET state = %s WHERE id = %s", (was, request))
            if (was, becomes) in declared:
                admin.execute("SELECT platform.move_request(%s, %s)", (request, becomes))
                continue
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=f"is {was}, and cannot become"):
                admin.execute("SELECT platform.move_request(%s, %s)", (request, becomes))
        assert not [pair for pair in declared if pair[0] in ("denied", "revoked")]
        assert not [was for was, becomes in declared if becomes == "revoked" and was in ("executing", "rebuilding")]


def test_a_restriction_deletes_nothing_and_is_not_revoked_once_it_is_in_force(all_officers: Officers) -> None:
    with connect(all_officers.platform) as operator:
        steps = operator.execute("SELECT was, becomes, role FROM platform.erasure_transition"
                                 " WHERE 'restriction' = ANY(kinds)").fetchall()  # fmt: skip
    assert {state for was, becomes, _ in steps for state in (was, becomes)} == {
        "received", "verifying", "scoping", "restricting", "completed", "denied", "revoked",
    }  # fmt: skip
    assert [step[1:] for step in steps if step[0] == "restricting"] == [("completed", "approver")]


MAY_NOT = [
    ("approver", "SELECT platform.file_request('erasure', 'gdpr', '', now(), now(), now(), now(), '', '{}')"),
    ("operator", "SELECT platform.file_request('erasure', 'gdpr', '', now(), now(), now(), now(), '', '{}')"),
    ("auditor", "SELECT platform.file_request('erasure', 'gdpr', '', now(), now(), now(), now(), '', '{}')"),
    ("nobody", "SELECT count(*) FROM platform.erasure_plan"),
    ("requester", "SELECT audit.approve({request}, '', '1 day')"),
    ("auditor", "SELECT audit.approve({request}, '', '1 day')"),
    ("operator", "SELECT audit.approve({request}, '', '1 day')"),
    ("requester", "SELECT platform.deny_request({request}, 'other')"),
    ("requester", "SELECT platform.release_hold(1, 'over')"),
    ("auditor", "SELECT platform.place_hold('t', NULL, NULL, 'why', NULL)"),
    ("auditor", "SELECT platform.move_request({request}, 'verifying')"),
    ("approver", "SELECT platform.move_request({request}, 'verifying')"),
    ("requester", "SELECT platform.end_restriction({request}, 'why')"),
    ("auditor", "SELECT platform.end_restriction({request}, 'why')"),
    ("operator", "SELECT platform.end_restriction({request}, 'why')"),
    ("auditor", "SELECT value FROM platform.restriction"),
    ("approver", "DELETE FROM platform.restriction"),
    ("auditor", "SELECT identifiers FROM platform.erasure_request"),
    ("approver", "SELECT scope FROM platform.erasure_request"),
    ("requester", "UPDATE platform.erasure_request SET state = 'approved'"),
    (
        "approver",
        "INSERT INTO audit.approval OVERRIDING SYSTEM VALUE SELECT * FROM audit.approval",
    ),
    (
        "operator",
        "INSERT INTO audit.approval OVERRIDING SYSTEM VALUE SELECT * FROM audit.approval",
    ),
    ("requester", "INSERT INTO platform.tombstone SELECT * FROM platform.tombstone"),
    ("auditor", "SELECT inner_pad FROM platform.tombstone_key"),
    ("approver", "SELECT audit.note('forged', NULL, '{}')"),
    ("auditor", "DELETE FROM audit.event"),
    ("requester", "SELECT count(*) FROM platform.masking_key"),
]


@pytest.mark.parametrize(("who", "statement"), MAY_NOT)
def test_what_a_role_may_not_do_the_database_refuses(all_officers: Officers, who: str, statement: str) -> None:
    request = filed(all_officers)
    with connect(all_officers.logins[who]) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement.replace("{request}", str(request)).encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.event SET kind = 'x'",
        "DELETE FROM audit.event",
        "TRUNCATE audit.event",
        "ALTER TABLE audit.event DISABLE TRIGGER only_added_to",
        "DROP TABLE audit.event",
        "INSERT INTO audit.event SELECT * FROM audit.event",
        "CREATE OR REPLACE FUNCTION audit.note(of_kind text, of_request bigint, with_detail jsonb"
        " DEFAULT '{}') RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        "INSERT INTO audit.approval OVERRIDING SYSTEM VALUE SELECT * FROM audit.approval",
        "SET ROLE drivetrain_recorder",
        "DROP SCHEMA audit CASCADE",
        "DROP FUNCTION audit.approve(bigint, bytea, interval)",
        "CREATE TRIGGER swallow BEFORE INSERT ON audit.event FOR EACH ROW EXECUTE FUNCTION"
        " suppress_redundant_updates_trigger()",
    ],
)
def test_the_platform_itself_can_only_add_to_the_log(all_officers: Officers, statement: str) -> None:
    with connect(all_officers.platform) as platform:
        note(platform, "something", None)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            platform.execute(statement.encode())


def test_denied_revoked_extended(all_officers: Officers) -> None:
    request = filed(all_officers)
    with connect(all_officers.logins["requester"]) as session:
        extend_request(session, request, "many systems")
        assert read_request(session, request).due_at == DEADLINES.latest_at
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="cannot be extended"):
            extend_request(session, request, "once more")
        revoke_request(session, request, "the person wrote again")
        assert read_request(session, request).state == "revoked"
    for reason in DENIALS:
        request = planned(all_officers)
        with connect(all_officers.logins["approver"]) as session:
            deny_request(session, request, reason)
            assert (read_request(session, request).state, read_request(session, request).reason) == ("denied", reason)
    with connect(all_officers.logins["approver"]) as session:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="no reason to deny"):
            deny_request(session, filed(all_officers), "no time")
        with pytest.raises(RequestRefused, match="there is no request 999999"):
            read_request(session, 999_999)


def test_revoking_ends_where_deleting_begins(all_officers: Officers) -> None:
    request = approved(all_officers)
    with connect(all_officers.platform) as operator:
        move_request(operator, request, "restricting")
        move_request(operator, request, "executing")
    with (
        connect(all_officers.logins["requester"]) as session,
        pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is executing, and cannot become revoked"),
    ):
        revoke_request(session, request, "too late")


def test_entries_of_many_at_once_make_one_chain(all_officers: Officers) -> None:
    def add(number: int) -> None:
        with connect(all_officers.platform) as platform:
            for _ in range(10):
                note(platform, "at once", None, {"n": number, "said": 'a:b"c', "nested": {"z": 1, "a": [1, 2]}})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(6)))
    with connect(all_officers.logins["auditor"]) as auditor:
        entries, breaks = verify_audit(auditor, None)
        assert breaks == []
        assert entries >= 60


TAMPERED = {
    "an edit": ("UPDATE audit.event SET detail = '{\"n\": 9}' WHERE id = 3", (3, "was changed")),
    "who": ("UPDATE audit.event SET by_role = 'somebody' WHERE id = 3", (3, "was changed")),
    "a gap": ("DELETE FROM audit.event WHERE id = 3", (3, "entries 3 to 3 are gone")),
    "the end": ("DELETE FROM audit.event WHERE id = 5", (5, "is gone, and the object store")),
    "another order": (
        "UPDATE audit.event AS a SET kind = b.kind, detail = b.detail FROM audit.event AS b"
        " WHERE (a.id, b.id) IN ((2, 3), (3, 2))",
        (2, "was changed"),
    ),
    "an entry that is chained anew": (
        "UPDATE audit.event SET kind = 'other', hash = sha256(previous || convert_to(audit.text_of("
        "id, at, by_role, 'other', request, detail), 'UTF8')) WHERE id = 3",
        (4, "does not follow"),
    ),
    "the last one chained anew": (
        "UPDATE audit.event SET kind = 'other', hash = sha256(previous || convert_to(audit.text_of("
        "id, at, by_role, 'other', request, detail), 'UTF8')) WHERE id = 5",
        (5, "another digest than the object store"),
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_whatever_is_done_to_the_log_shows(servers: Servers, tmp_path: Path, how: str) -> None:
    """By a superuser, who can."""
    statement, (number, message) = TAMPERED[how]
    lake = Store(tmp_path.as_uri())
    with officers(servers) as found, connect(found.platform) as platform:
        for each in range(5):
            note(platform, f"kind {each}", each, {"n": each})
        assert put_head(platform, lake) == 5
        assert verify_audit(platform, lake) == (5, [])
        with psycopg.connect(found.pair.warehouse_admin, autocommit=True) as admin:
            admin.execute("ALTER TABLE audit.event DISABLE TRIGGER only_added_to")
            admin.execute(statement.encode())
        breaks = verify_audit(platform, lake)[1]
        assert breaks[0].id == number
        assert message in breaks[0].message
