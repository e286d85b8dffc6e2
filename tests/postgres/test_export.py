"""A person's copy: every row once from whichever tier has it, nobody else's, whole or not at all, and not for ever."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from ingesting import PARTITIONED, bench_on
from officers import Desk, Officers, officers
from tiering import TIERS, TYPES, environment, moved, places

from assets.copies import copies_asset
from demo.servers import Servers
from resources import erasure, exports
from resources.settings import Settings
from warehouse.erasure import exporting, held_cold, portability
from warehouse.erasure.exports import remove_exports
from warehouse.errors import (
    AccessDenied,
    ConfigurationError,
    DrivetrainError,
    ErasureRefused,
    LakeUnavailable,
    RequestRefused,
    ServerUnavailable,
    Tampered,
)
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn, connect
from warehouse.proof.absence_found import Findings, Residue
from warehouse.proof.absence_lake import look_at_objects
from warehouse.proof.absence_sought import read_known
from warehouse.proof.absence_words import Words
from warehouse.tiering.apply import move_table

#: January and February are in the lake then, March is in the warehouse alone.
_LATE = dt.datetime(2024, 6, 5, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def all_officers(servers: Servers) -> Generator[Officers]:
    with officers(servers) as found:
        yield found


@pytest.fixture
def desk(all_officers: Officers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    """Four riders with positions of three months, messages to one another, and values of every type."""
    with bench_on(all_officers.pair) as bench:
        bench.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
        bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
        bench.source(
            "ALTER TABLE facts ADD who bigint; UPDATE facts SET who = 1 + id % 4;"
            "CREATE TABLE riders (id bigint PRIMARY KEY, email text, photo text);"
            "CREATE TABLE messages (id bigint PRIMARY KEY, sender bigint, recipient bigint, body text);"
            "INSERT INTO riders SELECT i, 'rider' || i || '@example.org', i || '/me.jpg' FROM generate_series(1, 4) i;"
            "INSERT INTO messages SELECT i, i, i % 4 + 1, 'from ' || i FROM generate_series(1, 4) i;"
            "CREATE TABLE notes (who bigint, key text);"
            "INSERT INTO notes VALUES (3, 'twice'), (3, 'twice'), (3, NULL), (4, 'x')"
        )
        bench.declare("riders", key=["id"], subjects=["id"], erasure="delete")
        bench.declare("notes", subjects=["who"], erasure={"action": "exempt", "reason": "of no use"})
        bench.declare("messages", key=["id"], subjects=["sender", "recipient"], erasure="redact")
        pattern = {"range": "at", "name": "{table}_y{year}m{month}"}
        bench.monthly("facts", subjects=["who"], erasure="delete", partition=pattern, tiers=TIERS)
        for table, kinds in {
            "riders": {"id": "person_id", "email": "email", "photo": "photo"}, "facts": {"who": "person_id"},
            "notes": {"who": "person_id"},
            "messages": {"sender": "person_id", "recipient": "person_id", "body": "free_text"},
        }.items():  # fmt: skip
            for column, kind in kinds.items():
                bench.tables[table]["columns"][column]["personal"] = kind
        bench.tables["messages"]["columns"]["body"]["whose"] = "sender"
        bench.tables["riders"]["columns"]["photo"]["bucket"] = "portraits"
        for rider in range(1, 5):
            Store((tmp_path / "objects").as_uri()).under("portraits").put(f"{rider}/me.jpg", b"a face of %d" % rider)
        for table in bench.tables:
            bench.ingest(table)
        yield Desk(all_officers, bench, tmp_path, monkeypatch)


def lake_of(desk: Desk) -> Store:
    return Store((desk.folder / "lake").as_uri())


def filed(desk: Desk, email: str = "rider3@example.org") -> int:
    said = desk("requester", "erasure", "request", "--kind", "export", "--law", "gdpr", "--email", email, "--json")
    assert said["request"]["kind"] == "export"
    return said["request"]["id"]


def approved(desk: Desk, email: str = "rider3@example.org") -> int:
    number = filed(desk, email)
    desk("requester", "erasure", "confirm", str(number), "--all")
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    return number


def made(desk: Desk, number: int, name: str = "copy.zip") -> zipfile.ZipFile:
    """Run, fetched."""
    desk("operator", "export", "run", str(number))
    target = desk.folder / name
    desk("requester", "export", "fetch", str(number), "--to", str(target))
    return zipfile.ZipFile(target)


def lines(archive: zipfile.ZipFile, desk: Desk, table: str) -> list[dict[str, Any]]:
    content = archive.read(f"data/{desk.bench.name}/{table}.jsonl").decode()
    return [json.loads(line) for line in content.split("\n") if line]


def kept(desk: Desk) -> list[str]:
    return [each.path for each in lake_of(desk).list() if each.path.startswith("_drivetrain/exports/")]


def state(desk: Desk, number: int) -> str:
    return desk("auditor", "erasure", "status", str(number), "--json")["request"]["state"]


def audited(desk: Desk, number: int) -> list[str]:
    return [each["kind"] for each in desk("auditor", "audit", "show", "--request", str(number), "--json")["entries"]]


def test_every_row_once_whichever_tiers_have_it(desk: Desk) -> None:
    bench = desk.bench
    expected = set(
        bench.source(
            "SELECT id::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS+00'), v FROM facts WHERE who = 3"
        )
    )
    everybody = bench.source("SELECT count(*) FROM facts")[0][0]
    moved(bench, lake_of(desk), _LATE)
    # The source has them back (restored, or never gone): all three tiers have some, and some are in two.
    bench.source("INSERT INTO facts SELECT 126, '2024-02-01 12:00+00', 'newer', 3")
    bench.source("UPDATE messages SET body = 'newer' WHERE id = 3")
    number = approved(desk)
    plan = desk("auditor", "erasure", "status", str(number), "--json")["plan"]
    counts = {(each["store"], each["place"].split(".")[-1]): each["expected"] for each in plan["lines"]}
    assert counts["operational", "facts"] == 1 and counts["warehouse", "facts"] + counts["lake", "facts"] == 90
    said = desk("operator", "export", "run", str(number), "--json")
    desk("requester", "export", "fetch", str(number), "--to", str(desk.folder / "copy.zip"))
    archive = zipfile.ZipFile(desk.folder / "copy.zip")
    found = [(row["id"], row["at"], row["v"]) for row in lines(archive, desk, "facts")]
    changed = next(row for row in expected if row[0] == "126")
    assert Counter(found) == Counter({*expected - {changed}, ("126", changed[1], "newer")})
    assert len(expected) == 90 and everybody == 360
    assert all(row["who"] == "3" for row in lines(archive, desk, "facts"))
    assert {row["id"]: row.get("body") for row in lines(archive, desk, "messages")} == {"3": "newer", "2": None}
    assert Counter(row["key"] for row in lines(archive, desk, "notes")) == {"twice": 2, None: 1}
    assert archive.read("files/portraits/3/me.jpg") == b"a face of 3"
    assert [name for name in archive.namelist() if name.startswith("files/")] == ["files/portraits/3/me.jpg"]
    assert said["lake"]["files"] == 2 and said["lake"]["bytes"] > 0 and said["lake"]["all_files"] == 4
    assert said["export"]["rows"] == 96 and said["export"]["files"] == 1
    assert state(desk, number) == "completed"


def test_nobody_elses_is_in_it(desk: Desk) -> None:
    moved(desk.bench, lake_of(desk), _LATE)
    archive = made(desk, approved(desk))
    every = b"".join(archive.read(name) for name in archive.namelist())
    for other in (1, 2, 4):
        assert (
            b"rider%d@" % other not in every and b"from %d" % other not in every and b"face of %d" % other not in every
        )
    assert b"rider3@example.org" in every and b"from 3" in every
    ids = {int(row["id"]) for row in lines(archive, desk, "facts")}
    assert ids == {number for number in range(360) if 1 + number % 4 == 3}


def test_values_of_every_type_are_those_that_the_source_prints(desk: Desk) -> None:
    """From the source, from the warehouse, and from the lake."""
    bench = desk.bench
    longest = max(len(values) for values in TYPES.values())
    columns = ", ".join(f"c{place} {kind}" for place, kind in enumerate(TYPES))
    bench.source(
        f"CREATE TABLE values (id bigint, at timestamptz NOT NULL, who bigint, {columns}, PRIMARY KEY (id, at))"
        " PARTITION BY RANGE (at)"
    )
    for month in (1, 2, 3):
        bench.source(
            f"CREATE TABLE values_y2024m0{month} PARTITION OF values"
            f" FOR VALUES FROM ('2024-0{month}-01+00') TO ('2024-0{month + 1}-01+00')"
        )
        for row in range(longest + 1):  # the last has nothing
            values = [each[row] if row < len(each) else None for each in TYPES.values()]
            bench.admin.execute(
                f"INSERT INTO values VALUES (%s, %s, 3{', %s' * len(values)})".encode(),
                [row, f"2024-0{month}-02+00", *values],
            )
    pattern = {"range": "at", "name": "{table}_y{year}m{month}"}
    bench.monthly("values", subjects=["who"], erasure="delete", partition=pattern, tiers=TIERS)
    bench.tables["values"]["columns"]["who"]["personal"] = "person_id"
    bench.ingest("values")
    names = ["id", "at", *(f"c{place}" for place in range(len(TYPES)))]
    with connect(Dsn(bench.pair.source_admin)) as canonical:
        texts = ", ".join(f"{name}::text" for name in names)
        expected = canonical.execute(f"SELECT {texts} FROM {bench.name}.values".encode()).fetchall()
    while move_table(places(bench, lake_of(desk)), bench.system, "values", _LATE, keep=dt.timedelta()):
        pass
    for name, value in environment(bench, desk.folder).items():
        desk.patch.setenv(name, value)
    desk.patch.setattr(held_cold, "_SMALL", 0)  # as of files that are not fetched whole
    archive = made(desk, approved(desk))
    found = [tuple(row[name] for name in names) for row in lines(archive, desk, "values")]
    assert Counter(found) == Counter(expected)
    table = csv.DictReader(io.StringIO(archive.read(f"data/{bench.name}/values.csv").decode(), newline=""))
    assert Counter(tuple(row[name] for name in names) for row in table) == Counter(
        tuple(value or "" for value in row) for row in expected
    )


def test_another_person_approves_and_nothing_is_ever_erased_for_it(desk: Desk) -> None:
    number = filed(desk)
    desk("requester", "erasure", "confirm", str(number), "--all")
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    with pytest.raises(RequestRefused, match="is awaiting_approval: there is nothing to make"):
        desk("operator", "export", "run", str(number))
    with pytest.raises(AccessDenied):
        desk("requester", "erasure", "approve", str(number), "--plan", plan["sha256"])
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    with pytest.raises(RequestRefused, match="asks for a copy of the data, not to erase it"):
        desk("operator", "erasure", "run", str(number))
    with (
        connect(desk.found.platform) as operator,
        pytest.raises(psycopg.Error, match=r"\(export\) is approved, and cannot become restricting"),
    ):
        operator.execute("SELECT platform.move_request(%s, 'restricting')", (number,))
    assert desk.bench.source("SELECT count(*) FROM riders WHERE id = 3") == [(1,)]
    assert state(desk, number) == "approved"
    other = desk("requester", "erasure", "request", "--law", "gdpr", "--email", "rider3@example.org", "--json")
    with pytest.raises(RequestRefused, match="asks for an erasure, not for a copy"):
        desk("operator", "export", "run", str(other["request"]["id"]))


def test_an_erasure_does_not_end_as_a_copy_does(desk: Desk) -> None:
    """From approved to completed goes a request for a copy alone."""
    said = desk("requester", "erasure", "request", "--law", "gdpr", "--email", "rider3@example.org", "--json")
    number = str(said["request"]["id"])
    desk("requester", "erasure", "confirm", number, "--all")
    plan = desk("operator", "erasure", "plan", number, "--json")
    desk("approver", "erasure", "approve", number, "--plan", plan["sha256"])
    with (
        connect(desk.found.platform) as operator,
        pytest.raises(psycopg.Error, match=r"\(erasure\) is approved, and cannot become completed"),
    ):
        operator.execute("SELECT platform.move_request(%s, 'completed')", (int(number),))


def test_a_table_that_nobody_declared_stops_it(desk: Desk) -> None:
    """It would be missing, and nobody would say so."""
    number = filed(desk)
    desk("requester", "erasure", "confirm", str(number), "--all")
    desk.bench.source("CREATE TABLE backup AS SELECT * FROM riders")
    with pytest.raises(ErasureRefused, match="backup"):
        desk("operator", "erasure", "plan", str(number))


def test_a_failure_in_the_middle_of_a_table_leaves_no_session_behind(desk: Desk, monkeypatch: Any) -> None:
    moved(desk.bench, lake_of(desk), _LATE)
    number, seen, of = approved(desk), Counter[str](), portability.Sharing.of

    def fail(sharing: Any, row: Any) -> Any:
        seen["left"] -= 1
        if not seen["left"]:
            raise DrivetrainError("no")
        return of(sharing, row)

    monkeypatch.setattr(portability.Sharing, "of", fail)
    for at in (2, 50, 95):  # in a table of the lake, of the warehouse, and of the source
        seen["left"] = at
        with pytest.raises(DrivetrainError, match="no") as kept_alive:
            exports.run(Settings.load(), number)
        assert kept_alive.value.message == "no"
        for sessions in (desk.bench.source, desk.bench.warehouse):
            deadline = time.monotonic() + 10
            while sessions("SELECT FROM pg_stat_activity WHERE application_name LIKE 'drivetrain export%'"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
    seen["left"] = 0  # never again
    assert len(lines(made(desk, number), desk, "facts")) == 90


def test_who_is_erased_meanwhile_leaves_no_copy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number, original = approved(desk), exporting.digest_of

    def erased(content: Any) -> bytes:
        with connect(desk.found.platform) as operator:
            remove_exports(erasure.estate(Settings.load()), operator, {desk.bench.name: {"3"}})
        return original(content)

    monkeypatch.setattr(exporting, "digest_of", erased)
    with pytest.raises(DrivetrainError, match="is not being made"):
        exports.run(Settings.load(), number)
    with pytest.raises(DrivetrainError, match="is not being made"):
        exports.run(Settings.load(), number, desk.folder / "mine.zip")
    assert kept(desk) == [] and not (desk.folder / "mine.zip").exists()
    assert state(desk, number) == "approved"


def test_what_was_approved_is_of_this_catalog_and_these_persons(desk: Desk) -> None:
    number = approved(desk)
    desk.bench.tables["messages"]["description"] = "another policy"
    for name, value in environment(desk.bench, desk.folder).items():
        desk.patch.setenv(name, value)
    with pytest.raises(RequestRefused, match="the catalog has changed since"):
        desk("operator", "export", "run", str(number))
    assert state(desk, number) == "scoping" and kept(desk) == []
    desk.bench.source("UPDATE riders SET email = 'new@example.org' WHERE id = 3")
    desk.bench.ingest("riders")
    with pytest.raises(RequestRefused, match="are not found"):
        desk("operator", "erasure", "plan", str(filed_confirmed_elsewhere(desk)))


def filed_confirmed_elsewhere(desk: Desk) -> int:
    """A request whose person changed the address since it was confirmed."""
    number = filed(desk, "rider4@example.org")
    desk("requester", "erasure", "confirm", str(number), "--all")
    desk.bench.source("UPDATE riders SET email = 'other@example.org' WHERE id = 4")
    desk.bench.ingest("riders")
    return number


def test_of_two_with_one_address_none_is_handed_the_others_data(desk: Desk) -> None:
    desk.bench.source("INSERT INTO riders VALUES (50, 'rider3@example.org')")
    desk.bench.ingest("riders")
    number = filed(desk)
    with pytest.raises(RequestRefused, match="about several persons"):
        desk("requester", "erasure", "confirm", str(number), "--all")
    desk("requester", "erasure", "confirm", str(number), "--person", f"{desk.bench.name}:50")
    plan = desk("operator", "erasure", "plan", str(number), "--json")["plan"]
    assert {each["place"].split(".")[1]: each["expected"] for each in plan["lines"]} == {"riders": 1}
    nobody = filed(desk, "unknown@example.org")
    with pytest.raises(RequestRefused, match="nobody is known by these identifiers"):
        desk("requester", "erasure", "confirm", str(nobody), "--all")
    with pytest.raises(ConfigurationError, match="there is no 'lunch'"):
        desk("requester", "erasure", "request", "--kind", "lunch", "--law", "gdpr", "--email", "a@example.org")


class CutOff(BaseException):
    """A process that ends."""


def cut_off(*_: Any) -> Any:
    raise CutOff


def test_cut_off_anywhere_it_left_nothing_and_the_next_run_makes_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = approved(desk)
    for step in ("write_portable", "digest_of", "end_export"):
        with monkeypatch.context() as patch:
            patch.setattr(exporting, step, cut_off)
            with pytest.raises(CutOff):
                exports.run(Settings.load(), number)
        assert state(desk, number) == "approved"
    with pytest.raises(RequestRefused, match="no copy of it is kept"):
        desk("requester", "export", "fetch", str(number), "--to", str(desk.folder / "early.zip"))
    assert not (desk.folder / "early.zip").exists()
    assert len(lines(made(desk, number), desk, "facts")) == 90
    assert len(kept(desk)) == 1
    gone = desk("auditor", "export", "list", "--json")["exports"]
    assert [each["removed_why"] for each in gone if each["request"] == number] == [*["unfinished"] * 3, None]


#: A process that is killed when the copy is written, and has not its name yet.
_KILLED = """
import os, signal
from resources import exports
from resources.settings import Settings
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
exports.run(Settings.load(), {number})
"""


def test_what_a_killed_process_left_is_nobodys_and_goes_with_the_next_run(desk: Desk) -> None:
    number = approved(desk)
    killed = subprocess.run([sys.executable, "-c", _KILLED.format(number=number)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = kept(desk)
    assert left.endswith("/.export.zip.part")
    assert exports.expire(Settings.load(), dt.datetime.now(dt.UTC)).expected == 0  # it may be writing still
    assert len(lines(made(desk, number), desk, "facts")) == 90
    (path,) = kept(desk)
    assert path.endswith("/export.zip") and path.rpartition("/")[0] != left.rpartition("/")[0]


def test_what_was_cut_off_and_never_run_again_goes_by_night(desk: Desk) -> None:
    number = approved(desk)
    desk.patch.setattr(exporting, "end_export", cut_off)
    with pytest.raises(CutOff):
        exports.run(Settings.load(), number)
    assert len(kept(desk)) == 1
    assert exports.expire(Settings.load(), dt.datetime.now(dt.UTC) + dt.timedelta(days=2)).removed == 1
    assert kept(desk) == []


def test_a_file_is_written_whole_for_its_owner_alone_and_over_nothing(desk: Desk, monkeypatch: Any) -> None:
    number, target = approved(desk), desk.folder / "mine.zip"
    target.write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match="is there already"):
        desk("operator", "export", "run", str(number), "--to", str(target))
    with pytest.raises(ConfigurationError, match="is no folder"):
        desk("operator", "export", "run", str(number), "--to", str(desk.folder / "none" / "mine.zip"))
    assert target.read_bytes() == b"precious"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut_off)
        with pytest.raises(CutOff):
            exports.run(Settings.load(), number, desk.folder / "other.zip")
    assert not (desk.folder / "other.zip").exists()
    (desk.folder / ".other.zip.part").write_bytes(b"what a killed process left")
    desk("operator", "export", "run", str(number), "--to", str(desk.folder / "other.zip"))
    assert stat.S_IMODE((desk.folder / "other.zip").stat().st_mode) == 0o600
    assert len(lines(zipfile.ZipFile(desk.folder / "other.zip"), desk, "facts")) == 90
    assert not (desk.folder / ".other.zip.part").exists() and kept(desk) == []
    with pytest.raises(RequestRefused, match="no copy of it is kept"):
        desk("requester", "export", "fetch", str(number), "--to", str(desk.folder / "again.zip"))


def test_who_fetches_is_noted_and_only_a_requester_may(desk: Desk) -> None:
    number = approved(desk)
    desk("operator", "export", "run", str(number))
    for who in ("approver", "auditor", "nobody"):
        with pytest.raises((AccessDenied, ConfigurationError)):
            desk(who, "export", "fetch", str(number), "--to", str(desk.folder / f"{who}.zip"))
        assert not (desk.folder / f"{who}.zip").exists()
    desk("requester", "export", "fetch", str(number), "--to", str(desk.folder / "mine.zip"))
    assert stat.S_IMODE((desk.folder / "mine.zip").stat().st_mode) == 0o600
    (path,) = kept(desk)
    assert stat.S_IMODE(Path(lake_of(desk).root, path).stat().st_mode) == 0o600
    assert audited(desk, number)[-3:] == ["export made", "request completed", "export fetched"]
    Path(lake_of(desk).root, path).write_bytes(b"PK another")
    with pytest.raises(Tampered):
        desk("requester", "export", "fetch", str(number), "--to", str(desk.folder / "other.zip"))
    assert not (desk.folder / "other.zip").exists()
    with psycopg.connect(desk.found.pair.warehouse_admin) as admin:
        rows = str(admin.execute("SELECT * FROM platform.export").fetchall())
        log = str(admin.execute("SELECT * FROM audit.event WHERE request = %s", (number,)).fetchall())
        ((scope,),) = admin.execute("SELECT scope FROM platform.erasure_request WHERE id = %s", (number,)).fetchall()
    assert "rider3" not in rows + log and scope is None
    assert desk("auditor", "audit", "verify", "--json")["holds"]


def test_a_copy_does_not_outlive_its_day(desk: Desk) -> None:
    number, later = approved(desk), approved(desk, "rider4@example.org")
    with pytest.raises(ConfigurationError, match="up to 90 days"):
        desk("operator", "export", "run", str(number), "--keep-for", "91 days")
    desk("operator", "export", "run", str(number), "--keep-for", "2 days")
    desk("operator", "export", "run", str(later))
    now = dt.datetime.now(dt.UTC)
    assert exports.expire(Settings.load(), now + dt.timedelta(days=1)).expected == 0
    assert exports.expire(Settings.load(), now + dt.timedelta(days=3)).removed == 1
    assert len(kept(desk)) == 1 and kept(desk)[0].split("/")[2] == f"{later:012d}"
    with pytest.raises(RequestRefused, match="no copy of it is kept"):
        desk("requester", "export", "fetch", str(number), "--to", str(desk.folder / "late.zip"))
    assert audited(desk, number)[-1] == "export expired"
    with psycopg.connect(desk.found.pair.warehouse_admin, autocommit=True) as admin:
        admin.execute("UPDATE platform.export SET expires_at = now() - interval '1 s' WHERE request = %s", (later,))
    with pytest.raises(RequestRefused, match="is not kept, or no longer"):
        desk("requester", "export", "fetch", str(later), "--to", str(desk.folder / "late.zip"))
    assert not (desk.folder / "late.zip").exists()
    assert dg.materialize([copies_asset()]).success
    assert kept(desk) == []
    assert desk("operator", "export", "expire", "--json")["expected"] == 0


def left_of(desk: Desk, person: str) -> tuple[Residue, ...]:
    """What the proof of an erasure finds of a person beside the lake's tables."""
    with connect(desk.bench.pair.primary, see_all_rows=True) as source:
        words = Words(read_known(source, desk.bench.system, {person}))
    findings = Findings(words)
    look_at_objects(lake_of(desk), "_drivetrain", findings, words)
    assert findings.unseen == []
    return findings.absence().residues


def test_copies_of_an_erased_person_go_and_others_stay(desk: Desk) -> None:
    """What a killed run left beside one, too."""
    mine, other = approved(desk), approved(desk, "rider4@example.org")
    for number in (mine, other):
        desk("operator", "export", "run", str(number))
    (path,) = [each for each in kept(desk) if f"{mine:012d}" in each]
    assert [each.kind for each in left_of(desk, "3")] == ["bytes"]  # whoever proves an erasure finds what is left
    Path(lake_of(desk).root, path).with_name(".export.zip.part").write_bytes(b"half of it")
    stores = erasure.estate(Settings.load())
    with connect(desk.found.platform) as operator:
        removed = remove_exports(stores, operator, {desk.bench.name: {"3"}})
        assert (removed.expected, removed.removed, removed.residual) == (1, 1, 0)
        assert remove_exports(stores, operator, {desk.bench.name: {"3"}}).expected == 0
    assert [each.split("/")[2] for each in kept(desk)] == [f"{other:012d}"]
    assert audited(desk, mine)[-1] == "export erased"
    assert left_of(desk, "3") == ()


def test_in_a_bucket_every_version_of_a_copy_goes(desk: Desk, bucket: Store) -> None:
    client, name = bucket.file_system(), bucket.root.partition("/")[0]
    client.call_s3("put_bucket_versioning", Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    desk.patch.setenv("DRIVETRAIN_LAKE_URL", bucket.url)
    for option, value in bucket.options.items():
        desk.patch.setenv(option, value)
    desk.patch.setenv("DRIVETRAIN_OBJECTS_URL", f"{bucket.url}-objects")
    for face in (b"younger", b"older"):
        Store(f"{bucket.url}-objects", bucket.options).under("portraits").put("3/me.jpg", face)
    moved(desk.bench, bucket, _LATE)
    number = approved(desk)
    archive = made(desk, number)
    assert len(lines(archive, desk, "facts")) == 90
    faces = {name: archive.read(name) for name in archive.namelist() if name.startswith("files/")}
    assert faces == {"files/portraits/3/me.jpg": b"older", "files/portraits/3/me.jpg.earlier-1": b"younger"}
    (path,) = [each.path for each in bucket.list("_drivetrain/exports/")]
    bucket.put(path, b"a later version")
    assert len(bucket.versions("_drivetrain/exports/")) == 2
    with connect(desk.found.platform) as operator:
        removed = remove_exports(erasure.estate(Settings.load()), operator, {desk.bench.name: {"3"}})
    assert (removed.expected, removed.removed, removed.residual) == (1, 1, 0)
    assert bucket.versions("_drivetrain/exports/") == []


def test_a_copy_that_cannot_be_removed_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = approved(desk)
    desk("operator", "export", "run", str(number))
    stores = erasure.estate(Settings.load())
    with monkeypatch.context() as patch, connect(desk.found.platform) as operator:
        patch.setattr(Store, "remove", lambda *_: None)
        removed = remove_exports(stores, operator, {desk.bench.name: {"3"}})
    assert (removed.expected, removed.removed, removed.residual) == (1, 0, 1)
    assert len(kept(desk)) == 1 and "export erased" not in audited(desk, number)


def test_a_store_that_is_away_is_said_and_nothing_is_made(desk: Desk) -> None:
    moved(desk.bench, lake_of(desk), _LATE)
    number = approved(desk)
    folder = Path(lake_of(desk).root) / desk.bench.name
    folder.rename(folder.with_name("away"))
    with pytest.raises(LakeUnavailable):
        desk("operator", "export", "run", str(number))
    folder.with_name("away").rename(folder)
    with desk.patch.context() as patch:
        patch.setenv(f"DRIVETRAIN_{desk.bench.name.upper()}_MAINTENANCE_DSN", "host=127.0.0.1 port=1 dbname=x user=y")
        with pytest.raises(ServerUnavailable):
            desk("operator", "export", "run", str(number))
    assert kept(desk) == [] and state(desk, number) == "approved"
    assert len(lines(made(desk, number), desk, "facts")) == 90
