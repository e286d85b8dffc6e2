"""Holds and the audit log as officers have them on the command line."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from ingesting import bench_on
from officers import Desk, Officers, officers

from demo.servers import Servers
from warehouse.errors import AccessDenied, ConfigurationError, RequestRefused
from warehouse.lake.store import Store


@pytest.fixture(scope="module")
def all_officers(servers: Servers) -> Generator[Officers]:
    with officers(servers) as found:
        yield found


@pytest.fixture
def desk(all_officers: Officers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    with bench_on(all_officers.pair) as bench:
        bench.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
        bench.source(
            "CREATE TABLE riders (id bigint PRIMARY KEY, email text); INSERT INTO riders VALUES (7, 'a@b.example')"
        )
        bench.declare("riders", key=["id"], subjects=["id"], erasure="delete")
        yield Desk(all_officers, bench, tmp_path, monkeypatch)


def test_a_hold_is_placed_listed_and_released(desk: Desk) -> None:
    system = desk.bench.name
    assert desk("requester", "hold", "add", "--reason", "case 7", "--system", system, "--person", "7")["exit"] == 0
    desk(
        "approver", "hold", "add", "--reason", "audit", "--system", system, "--table", "riders", "--until", "2099-01-31"
    )
    found = desk("auditor", "hold", "list", "--json")["holds"]
    mine = [hold for hold in found if hold["system"] == system]
    assert [(hold["subject"], hold["table"], hold["reason"], hold["until"]) for hold in mine] == [
        ("7", None, "case 7", None), (None, "riders", "audit", "2099-01-31 00:00:00+00:00"),
    ]  # fmt: skip
    assert mine[0]["placed_by"].startswith("requester_")
    number = str(mine[0]["id"])
    with pytest.raises(AccessDenied, match="permission denied for function release_hold"):
        desk("requester", "hold", "release", number, "--why", "over")
    desk("approver", "hold", "release", number, "--why", "settled")
    with pytest.raises(RequestRefused, match=f"there is no hold {number} that stands"):
        desk("approver", "hold", "release", number, "--why", "settled")
    left = desk("auditor", "hold", "list", "--json")["holds"]
    assert [hold["reason"] for hold in left if hold["system"] == system] == ["audit"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--system", "nowhere"], "there is no system 'nowhere'"),
        (["--system", "{system}", "--table", "nothing"], "has no table 'nothing'"),
        (["--system", "{system}", "--person", "8"], "has no person of that key"),
        (["--person", "8"], "a table or a person is of a system"),
        (["--system", "{system}", "--until", "2001-01-01"], "ends before it begins"),
    ],
)
def test_a_hold_on_nothing_is_refused(desk: Desk, arguments: list[str], message: str) -> None:
    told = [each.replace("{system}", desk.bench.name) for each in arguments]
    with pytest.raises(ConfigurationError, match=message):
        desk("requester", "hold", "add", "--reason", "case", *told)


def test_the_log_is_shown_and_verified(desk: Desk) -> None:
    desk("requester", "hold", "add", "--reason", "case 8", "--system", desk.bench.name)
    entry = desk("auditor", "audit", "show", "--json")["entries"][-1]
    assert (entry["kind"], entry["detail"]["system"]) == ("hold placed", desk.bench.name)
    verified = desk("auditor", "audit", "verify", "--json")
    assert (verified["exit"], verified["holds"]) == (0, True)
    lake = Store((desk.folder / "lake").as_uri())
    (head,) = [each.path for each in lake.list() if each.path.startswith("_drivetrain/audit/")]
    assert head.endswith(f"-{entry['hash']}")
    with psycopg.connect(desk.found.pair.warehouse_admin, autocommit=True) as admin:
        admin.execute("ALTER TABLE audit.event DISABLE TRIGGER only_added_to")
        admin.execute("UPDATE audit.event SET by_role = 'nobody' WHERE id = %s", (entry["id"],))
        broken = desk("auditor", "audit", "verify", "--json")
        admin.execute("UPDATE audit.event SET by_role = %s WHERE id = %s", (entry["by_role"], entry["id"]))
        admin.execute("ALTER TABLE audit.event ENABLE TRIGGER only_added_to")
    assert (broken["exit"], broken["breaks"]) == (
        1,
        [{"id": entry["id"], "message": "was changed after it was written"}],
    )
