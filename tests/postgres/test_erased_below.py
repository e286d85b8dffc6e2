"""Persons are erased from every tier below the source: no byte of theirs stays, and nobody else loses one."""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow.parquet as pq
import pytest
from ingesting import Bench
from tiering import AT, NO_HOT, ONLY_JANUARY, TIERS, move, moved, places, proven

from warehouse.erasure.below import erase_below, look_below
from warehouse.erasure.replacing import Replacement
from warehouse.errors import CatalogMismatch, ConfigurationError, ExportRefused, LegalHold
from warehouse.lake.delta import LakeTable
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Connection, Dsn, connect
from warehouse.state.tiered import tiered
from warehouse.tiering.rehydrating import Request, rehydrate_table

LATER = dt.datetime(2024, 9, 20, tzinfo=dt.UTC)
JANUARY = dt.date(2024, 1, 1)
FOREVER = dt.timedelta(days=9999)
Row = tuple[str, ...]


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(tmp_path.as_uri())
    return request.getfixturevalue("bucket")


@pytest.fixture
def facts(facts: Bench) -> Bench:
    """Messages between thirty persons: ``who`` writes, and ``other`` is written to."""
    facts.source("ALTER TABLE facts ADD who bigint, ADD other bigint, ADD mail text, ADD note text")
    facts.source("UPDATE facts SET v = 'v' || id, who = 1000 + id % 30, other = 1000 + (id * 7 + 3) % 30")
    facts.source("UPDATE facts SET mail = format('person-%s@example.org', who), note = 'note of ' || who")
    facts.source("CREATE TABLE riders (id bigint PRIMARY KEY, email text)")
    facts.declare("riders", key=("id",), subjects=["id"], erasure="delete")
    facts.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
    return facts


def declare(bench: Bench, tiers: dict[str, Any] | None, erasure: Any = "delete", both: bool = False) -> None:
    subjects = ["who", "other"] if both else ["who"]
    policy = {"partition": {"range": "at", "name": "{table}_y{year}m{month}"}, "subjects": subjects}
    bench.monthly("facts", erasure=erasure, **policy, **({"tiers": tiers} if tiers else {}))
    columns = bench.tables["facts"]["columns"]
    for name, kind, whose in (
        ("who", "person_id", "who"), ("other", "person_id", "other"), ("mail", "email", "who"),
        ("note", "free_text", "who"),
    ):  # fmt: skip
        if not both and name == "other":
            continue
        columns[name] |= {"personal": kind} | ({"whose": whose} if both else {})


def rows(bench: Bench, lake: Store) -> Counter[Row]:
    """Every row below the source, value by value: of the raw table, and of the files of the ledger."""
    names = list(bench.tables["facts"]["columns"])
    shown = ", ".join(f"{name}::timestamptz AT TIME ZONE 'UTC'" if name == "at" else name for name in names)
    found = Counter(tuple(map(str, row)) for row in bench.warehouse(f"SELECT {shown} FROM {{raw}}.facts"))
    root = lake.under(bench.name, "facts")
    for (path,) in bench.warehouse(
        "SELECT f.path FROM platform.tier_move AS m JOIN platform.lake_file AS f ON f.move = m.id"
        f" WHERE m.state IN ('flipped', 'dropped') AND m.system = '{bench.name}'"
    ):
        for row in pq.read_table(io.BytesIO(root.get(path)), partitioning=None).to_pylist():
            values = [row.get(name) for name in names]
            found[tuple(str(v.replace(tzinfo=None) if isinstance(v, dt.datetime) else v) for v in values)] += 1
    return found


def without(before: Counter[Row], *persons: int, both: bool = False) -> Counter[Row]:
    keys = set(map(str, persons))
    return Counter({row: n for row, n in before.items() if row[3] not in keys and not (both and row[4] in keys)})


def about(*persons: int, columns: tuple[str, ...] = ("who",)) -> dict[str, set[str]]:
    return {column: set(map(str, persons)) for column in columns}


def erase(bench: Bench, lake: Store, values: dict[str, set[str]], replacement: Replacement | None = None) -> list[Any]:
    """At the source, as its own step does, and below."""
    return erase_below(places(bench, lake), bench.system, "facts", values, "batch 1", replacement)


def at_source(bench: Bench, *persons: int, columns: tuple[str, ...] = ("who",)) -> None:
    """The source's own step."""
    for column in columns:
        bench.source(f"DELETE FROM facts WHERE {column} IN ({', '.join(map(str, persons))})")


def looked(bench: Bench, lake: Store, values: dict[str, set[str]], replacement: Replacement | None = None) -> list[Any]:
    with (
        connect(bench.pair.target, read_only=True) as warehouse,
        connect(Dsn(bench.pair.source_admin), read_only=True, see_all_rows=True) as source,
    ):
        table = tiered(warehouse, bench.system, "facts", lake)
        return look_below(warehouse, table, values, replacement, source)


def counted(bench: Bench, lake: Store, values: dict[str, set[str]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in looked(bench, lake, values):
        found[each.tier] += each.rows
    return dict(found)


def everything(lake: Store) -> bytes:
    """Every byte of the lake: files, footers, the log, old versions."""
    return b"".join(lake.get(each.path) for each in lake.list())


def assert_nowhere(bench: Bench, lake: Store, *persons: int) -> None:
    """No value of a person's in any byte of the lake, of any relation of the warehouse, of what the server knows."""
    values = [text for person in persons for text in (f"person-{person}@example.org", f"note of {person}")]
    stored = everything(lake).decode("latin-1")
    assert not [each for each in values if each in stored], "a footer, a statistic, the log"
    for path in [each.path for each in lake.list() if each.path.endswith(".parquet")]:
        content = pq.ParquetFile(io.BytesIO(lake.get(path)), read_dictionary=["mail", "note"])
        for group in range(content.metadata.num_row_groups):
            for column in content.read_row_group(group, columns=["mail", "note"]).columns:
                for chunk in column.chunks:  # a dictionary has values that no row has, if they are not kept out
                    assert not set(chunk.dictionary.to_pylist()) & set(values), path
    for (relation,) in bench.warehouse(
        "SELECT relname FROM pg_class WHERE relnamespace = '{raw}'::regnamespace AND relkind = 'r'"
    ):
        found = str(bench.warehouse(f'SELECT r::text FROM {{raw}}."{relation}" AS r'))
        assert not [each for each in values if each in found], relation
    known = str(bench.warehouse("SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats"
                                " WHERE schemaname = '{raw}'"))  # fmt: skip
    assert not [each for each in values if each in known], "what the planner knows"
    told = str(bench.warehouse("SELECT row_to_json(e)::text FROM platform.erased AS e UNION ALL"
                               " SELECT row_to_json(e)::text FROM platform.tier_event AS e"))  # fmt: skip
    assert "example.org" not in told


def test_cold(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    before = rows(facts, lake)
    files = {each.path for each in lake.list() if each.path.endswith(".parquet")}
    assert counted(facts, lake, about(1007)) == {"cold": 12}
    (first, *_) = looked(facts, lake, about(1007))
    assert (first.month, first.rows, first.files) == (JANUARY, 4, 1), "of two buckets"
    done = erase(facts, lake, about(1007))
    assert [(each.tier, each.rows, each.changed, each.done) for each in done] == [
        ("cold", 4, 0, True), ("cold", 4, 0, True), ("cold", 4, 0, True),
    ]  # fmt: skip
    assert rows(facts, lake) == without(before, 1007)
    after = {each.path for each in lake.list() if each.path.endswith(".parquet")}
    assert len(after - files) == len(files - after) == 3
    assert_nowhere(facts, lake, 1007)
    assert proven(facts, lake) == []
    assert counted(facts, lake, about(1007)) == {}
    assert erase(facts, lake, about(1007)) == []
    with pytest.raises(psycopg.Error, match="only ever added to"):
        facts.warehouse(f"UPDATE platform.erased SET rows = 0 WHERE id = {done[0].id}")
    assert facts.ingest("facts").rows_written == 0


@pytest.mark.slow
def test_versions_of_old_files_go_too(facts: Bench, bucket: Store) -> None:
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
    before = rows(facts, bucket)
    erase(facts, bucket, about(1007, 1008))
    assert rows(facts, bucket) == without(before, 1007, 1008)
    assert_nowhere(facts, bucket, 1007, 1008)
    root = bucket.under(facts.name, "facts")
    versions = root.versions("month")
    assert all(each.latest and not each.marker for each in versions)
    assert {each.path for each in versions} == {e.path for e in root.list() if "_delta_log" not in e.path}
    assert proven(facts, bucket) == []


@pytest.mark.parametrize("tiers", [TIERS, pytest.param(None, marks=pytest.mark.slow)], ids=["left", "at the source"])
def test_warm(facts: Bench, lake: Store, tiers: dict[str, Any] | None) -> None:
    declare(facts, tiers)
    facts.ingest("facts")
    if tiers:
        moved(facts, lake, AT)
    before = rows(facts, lake)
    facts.warehouse("ANALYZE {raw}.facts_y2024m01")
    with connect(facts.pair.target) as platform:
        platform.execute(f"SELECT platform.open_changes('{facts.raw}.m', '{facts.raw}.facts', false)".encode())
    assert counted(facts, lake, about(1007, 1008)) == {"warm": 24}
    at_source(facts, 1007, 1008)
    done = erase(facts, lake, about(1007, 1008))
    assert {(each.tier, each.rows) for each in done} == {("warm", 8)}
    assert rows(facts, lake) == without(before, 1007, 1008)
    assert_nowhere(facts, lake, 1007, 1008)
    assert facts.warehouse("SELECT sign, count(*) FROM {raw}.facts__changes GROUP BY 1") == [(-1, 24)], "models hear"
    assert proven(facts, lake) == []
    assert facts.ingest("facts").rows_written == 0
    assert erase(facts, lake, about(1007, 1008)) == []
    moved(facts, lake, LATER)
    assert rows(facts, lake) == without(before, 1007, 1008)
    assert proven(facts, lake) == []


@pytest.mark.slow
def test_months_of_the_lake_that_the_source_has_too(facts: Bench, lake: Store) -> None:
    """What was changed there since is not taken for known."""
    declare(facts, NO_HOT)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    before = rows(facts, lake)
    with connect(facts.pair.target) as platform:
        platform.execute(f"SELECT platform.open_changes('{facts.raw}.m', '{facts.raw}.facts', false)".encode())
    at_source(facts, 1007)
    erase(facts, lake, about(1007))
    assert facts.warehouse("SELECT sign, count(*) FROM {raw}.facts__changes GROUP BY 1") == [(-1, 12)], "models hear"
    assert facts.ingest("facts").rows_written == 0
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []
    facts.source("UPDATE facts SET v = 'changed' WHERE id = 3")
    at_source(facts, 1008)
    erase(facts, lake, about(1008))
    assert facts.ingest("facts").rows_written > 0
    assert facts.warehouse("SELECT v FROM {raw}.facts WHERE id = 3") == [("changed",)]
    assert facts.rows("facts", of="source", where="at < '2024-02-01+00'") == facts.rows("facts", of="warehouse")
    assert proven(facts, lake) == []


def test_kept(facts: Bench, lake: Store) -> None:
    """What left is kept at the source, what went into the lake in the warehouse; both are dropped afterwards."""
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, AT)
    move(facts, lake, LATER, keep=FOREVER)
    before = rows(facts, lake)
    assert counted(facts, lake, about(1007)) == {"kept": 4, "cold": 4, "left": 8, "warm": 8}
    with pytest.raises(ConfigurationError, match="is kept at its source"), connect(facts.pair.target) as warehouse:
        look_below(warehouse, tiered(warehouse, facts.system, "facts", lake), about(1007))
    done = erase(facts, lake, about(1007))
    assert Counter(each.tier for each in done) == {"kept": 1, "cold": 1, "left": 2, "warm": 2}
    assert rows(facts, lake) == without(before, 1007)
    assert_nowhere(facts, lake, 1007)
    left = facts.source("SELECT relname FROM pg_class WHERE relname ~ '^drivetrain_left_[0-9]+$'")
    assert len(left) == 2
    for (relation,) in left:
        assert facts.source(f"SELECT count(*) FROM {relation} WHERE who = 1007") == [(0,)]
        with pytest.raises(psycopg.Error, match="has moved to the warehouse"):
            facts.source(f"DELETE FROM {relation}")
    assert proven(facts, lake) == []
    assert counted(facts, lake, about(1007)) == {}
    moved(facts, lake, LATER + FOREVER)
    assert facts.source("SELECT relname FROM pg_class WHERE relname ~ '^drivetrain_left_[0-9]+$'") == []
    assert facts.warehouse("SELECT relname FROM pg_class WHERE relname ~ '^moved_[0-9]+$' AND relkind = 'r'"
                           " AND relnamespace = '{raw}'::regnamespace") == []  # fmt: skip
    assert proven(facts, lake) == []
    assert rows(facts, lake) == without(before, 1007)


@pytest.mark.slow
def test_a_month_of_one_person_alone(facts: Bench, lake: Store) -> None:
    facts.source("DELETE FROM facts WHERE at < '2024-02-01' AND who <> 1007")
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, AT)
    move(facts, lake, LATER, keep=FOREVER)
    before = rows(facts, lake)
    erase(facts, lake, about(1007))
    assert not lake.under(facts.name, "facts").versions("month=2024-01/")
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []
    moved(facts, lake, LATER + FOREVER)
    assert proven(facts, lake) == []
    facts.source("INSERT INTO facts VALUES (9001, '2024-01-05+00', 'late', 1008, 1009, 'late', 'late')")
    moved(facts, lake, LATER)
    assert sum(rows(facts, lake).values()) == sum(without(before, 1007).values()) + 1
    assert proven(facts, lake) == []


@pytest.mark.slow
def test_late_rows(facts: Bench, lake: Store) -> None:
    """They came after their month had left, and one corrects a row that was there."""
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    facts.source("INSERT INTO facts VALUES (9001, '2024-01-05 10:00+00', 'late', 1007, 1, 'm', 'n'),"
                 " (9002, '2024-01-05 10:00+00', 'late', 1008, 1, 'm', 'n'),"
                 " (3, '2024-01-01 18:00+00', 'again', 1007, 1, 'm', 'n')")  # fmt: skip
    move(facts, lake, LATER, keep=FOREVER)
    before = rows(facts, lake)
    assert counted(facts, lake, about(1007)) == {"warm": 6, "left": 2, "cold": 8}, "what it was lies in the lake still"
    at_source(facts, 1007)
    erase(facts, lake, about(1007))
    assert_nowhere(facts, lake, 1007)
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []
    moved(facts, lake, LATER)
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []


@pytest.mark.slow
def test_columns_that_were_added_later(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, ONLY_JANUARY)
    facts.source("ALTER TABLE facts ADD w text DEFAULT 'here'")
    declare(facts, TIERS)
    facts.ingest("facts")
    before = rows(facts, lake)
    done = erase(facts, lake, about(1007))
    assert Counter(each.tier for each in done) == {"cold": 1, "warm": 2}
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []
    moved(facts, lake, LATER)
    assert proven(facts, lake) == []
    facts.source("ALTER TABLE facts ADD third bigint")
    declare(facts, TIERS)
    facts.tables["facts"]["subjects"] = ["who", "third"]
    facts.ingest("facts")
    before = rows(facts, lake)
    erase(facts, lake, about(1008, columns=("who", "third")))
    assert rows(facts, lake) == without(before, 1008)
    assert proven(facts, lake) == []


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "tier"),
    [
        ("pseudonymise", "cold"),
        *(
            pytest.param(*each, marks=SLOW)
            for each in (
                ("redact", "warm"), ("redact", "cold"), ("redact", "kept"), ("pseudonymise", "warm"),
                ("pseudonymise", "kept"),
            )
        ),
    ],
)  # fmt: skip
def test_rows_that_stay(facts: Bench, lake: Store, kind: str, tier: str) -> None:
    """Of messages between two persons each loses what is its own; nothing else of the row changes."""
    action = kind if kind == "redact" else {"action": kind, "basis": "a law"}
    declare(facts, TIERS, action, both=True)
    facts.ingest("facts")
    moved(facts, lake, LATER if tier == "cold" else AT)
    if tier == "kept":  # January in the lake, the others at the source
        move(facts, lake, LATER, keep=FOREVER)
    before = rows(facts, lake)
    own = {"who": ("who", "mail", "note"), "other": ("other",)}
    pseudonyms = {"1007": "-77", "1010": "-1010"} if kind == "pseudonymise" else {}
    replacement = Replacement(own, pseudonyms)
    due: Counter[Row] = Counter()
    changed = 0
    became = {person: pseudonyms.get(person, "None") for person in ("1007", "1010")}
    for number, at, v, who, other, mail, note in before.elements():
        writes, reads = who in ("1007", "1010"), other in ("1007", "1010")
        changed += writes or reads
        due[(
            number, at, v, became.get(who, who), became.get(other, other),
            "None" if writes else mail, "None" if writes else note,
        )] += 1  # fmt: skip
    both = about(1007, 1010, columns=("who", "other"))
    found = looked(facts, lake, both, replacement)
    assert sum(each.rows for each in found) == (changed if tier != "kept" else 2 * changed)
    assert {each.tier for each in found} == ({"warm", "cold", "kept", "left"} if tier == "kept" else {tier})
    for person in ("1007", "1010"):  # the source's own step
        key = pseudonyms.get(person, "NULL")
        facts.source(f"UPDATE facts SET who = {key}, mail = NULL, note = NULL WHERE who = {person}")
        facts.source(f"UPDATE facts SET other = {key} WHERE other = {person}")
    done = erase(facts, lake, both, replacement)
    assert {each.rows for each in done} == {0}
    assert rows(facts, lake) == due
    assert_nowhere(facts, lake, 1007, 1010)
    assert proven(facts, lake) == []
    assert looked(facts, lake, both, replacement) == []
    assert erase(facts, lake, both, replacement) == []
    moved(facts, lake, LATER + FOREVER)
    assert rows(facts, lake) == due
    assert proven(facts, lake) == []
    if kind == "pseudonymise" and tier == "cold":  # they lie where their new key is looked for
        for (path,) in facts.warehouse(
            "SELECT f.path FROM platform.lake_file AS f JOIN platform.tier_move AS m ON m.id = f.move"
            f" WHERE f.bucket = 1 AND m.system = '{facts.name}'"
        ):
            held = pq.read_table(io.BytesIO(lake.under(facts.name, "facts").get(path)), partitioning=None)
            assert {who % 2 for who in held.column("who").to_pylist()} == {1}


@pytest.mark.slow
def test_rows_about_two_persons_go_with_either(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS, both=True)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    before = rows(facts, lake)
    erase(facts, lake, about(1007, columns=("who", "other")))
    assert rows(facts, lake) == without(before, 1007, both=True)
    assert proven(facts, lake) == []


def test_many_persons_in_one_pass(facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is written once, and the lake's log has one more commit."""
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    before = rows(facts, lake)
    files = [each for each in lake.list() if each.path.endswith(".parquet")]
    put: list[str] = []
    original = Store.put
    monkeypatch.setattr(Store, "put", lambda self, path, content: (put.append(path), original(self, path, content))[1])
    commits: list[str] = []
    made = LakeTable.commit
    monkeypatch.setattr(
        LakeTable, "commit", lambda self, name, *a, **k: (commits.append(name), made(self, name, *a, **k))[1]
    )
    gone = range(1000, 1020)
    erase(facts, lake, about(*gone))
    assert rows(facts, lake) == without(before, *gone)
    assert len(put) == len(files) == 6
    assert len(commits) == 1
    assert_nowhere(facts, lake, *gone)
    assert proven(facts, lake) == []


@pytest.mark.slow
def test_moves_that_are_under_way(facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month that is being written into the lake is given up, erased where it is, and goes there again."""
    from warehouse.tiering.cooling import Cooling

    declare(facts, NO_HOT)
    facts.ingest("facts")
    before = rows(facts, lake)
    with monkeypatch.context() as patched:
        patched.setattr(Cooling, "_verify", lambda *_: (_ for _ in ()).throw(ExportRefused("cut off")))
        move(facts, lake, LATER)
    assert {kind for kind, _ in proven(facts, lake)} == {"unfinished"}
    at_source(facts, 1007)
    erase(facts, lake, about(1007))
    assert_nowhere(facts, lake, 1007)
    assert not [each for each in lake.list() if each.path.endswith(".parquet")]
    assert proven(facts, lake) == []
    moved(facts, lake, LATER)
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []


@pytest.mark.slow
def test_a_month_that_is_back(facts: Bench, lake: Store) -> None:
    """Its old files lie in the lake until it goes there again: they are removed."""
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    before = rows(facts, lake)
    rehydrate_table(places(facts, lake), facts.system, "facts", Request([JANUARY], LATER + FOREVER, "a study", 10**9))
    assert counted(facts, lake, about(1007)) == {"warm": 4, "cold": 8}
    erase(facts, lake, about(1007))
    assert not lake.under(facts.name, "facts").versions("month=2024-01/")
    assert_nowhere(facts, lake, 1007)
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []
    moved(facts, lake, LATER + 2 * FOREVER)
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []
    rehydrate_table(places(facts, lake), facts.system, "facts", Request([JANUARY], LATER + FOREVER, "a study", 10**9))
    assert counted(facts, lake, about(1007)) == {}


@pytest.mark.slow
def test_other_buckets_since(facts: Bench, lake: Store) -> None:
    """Where files were told apart by another rule than now, each is looked into."""
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, ONLY_JANUARY)
    declare(facts, TIERS | {"cold": {"buckets": 3}})
    moved(facts, lake, LATER)
    before = rows(facts, lake)
    erase(facts, lake, about(1007))
    assert rows(facts, lake) == without(before, 1007)
    assert proven(facts, lake) == []


def test_what_is_put_back_is_seen(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, ONLY_JANUARY)
    root = lake.under(facts.name, "facts")
    old = {each.path: root.get(each.path) for each in root.list("month=2024-01/")}
    row = facts.warehouse("SELECT r::text FROM {raw}.facts AS r WHERE who = 1007 LIMIT 1")[0][0]
    erase(facts, lake, about(1007))
    gone = next(path for path in old if path not in {each.path for each in root.list("month=2024-01/")})
    root.put(gone, old[gone])
    assert proven(facts, lake, deep=False) == [("resurrected", "")]
    root.remove(gone)
    assert proven(facts, lake) == []
    facts.warehouse(f"INSERT INTO {{raw}}.facts SELECT ('{row}'::{{raw}}.facts).*")
    assert {kind for kind, _ in proven(facts, lake, deep=False)} == {"resurrected"}


def test_what_is_put_back_into_a_month_of_the_lake_is_seen(facts: Bench, lake: Store) -> None:
    declare(facts, NO_HOT)
    facts.ingest("facts")
    row = facts.warehouse("SELECT r::text FROM {raw}.facts AS r WHERE who = 1007 ORDER BY id LIMIT 1")[0][0]
    move(facts, lake, LATER, keep=FOREVER)
    at_source(facts, 1007)
    erase(facts, lake, about(1007))
    assert proven(facts, lake) == []
    ((kept,),) = facts.warehouse(
        "SELECT relation FROM platform.tier_move WHERE month = '2024-01-01' AND state = 'flipped'"
        f" AND system = '{facts.name}'"
    )
    facts.warehouse(f"INSERT INTO {kept} SELECT ('{row}'::{{raw}}.facts).*")
    assert proven(facts, lake) == [("resurrected", "2024-01")]


def test_a_table_that_is_not_kept_by_month(items: Bench, lake: Store) -> None:
    items.source("ALTER TABLE items ADD who bigint; UPDATE items SET who = id % 10")
    items.source("CREATE TABLE riders (id bigint PRIMARY KEY, email text)")
    items.declare("riders", key=("id",), subjects=["id"], erasure="delete")
    items.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
    ingest = {"mode": "incremental", "cursor": "updated_at"}
    items.declare("items", key=("id",), time="updated_at", subjects=["who"], erasure="delete", ingest=ingest)
    items.ingest("items")
    items.source("DELETE FROM items WHERE who = 3")
    (done,) = erase_below(places(items, lake), items.system, "items", about(3), "batch 1")
    assert (done.tier, done.month, done.rows) == ("warm", None, 300)
    assert items.warehouse("SELECT count(*) FROM {raw}.items WHERE who = 3") == [(0,)]
    assert items.ingest("items").rows_written == 0
    items.assert_equal("items")


def test_a_hold_keeps_everything(facts: Bench, lake: Store) -> None:
    def permitted(_: Connection) -> None:
        raise LegalHold("a hold")

    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, ONLY_JANUARY)
    before, there = rows(facts, lake), lake.list()
    with pytest.raises(LegalHold):
        erase_below(places(facts, lake), facts.system, "facts", about(1007), "batch 1", permitted=permitted)
    facts.warehouse("DELETE FROM {raw}.facts WHERE at < '2020-01-01'")
    assert rows(facts, lake) == before
    assert lake.list() == there
    assert proven(facts, lake) == []


def test_errors_do_not_quote(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    with pytest.raises(CatalogMismatch) as told:
        erase(facts, lake, {"who": {"somebody@example.org"}})
    assert "somebody" not in str(told.value)
    assert "somebody" not in repr(told.value)
    moved(facts, lake, LATER)
    with pytest.raises(CatalogMismatch) as told:
        looked(facts, lake, {"who": {"somebody@example.org"}})
    assert "somebody" not in str(told.value)


@pytest.mark.slow
def test_files_that_are_not_what_the_ledger_says_stay(facts: Bench, lake: Store) -> None:
    """A lake that is ahead of the ledger (which was restored from a backup) loses nothing."""
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    root = lake.under(facts.name, "facts")
    path = next(each.path for each in root.list("month=2024-01/"))
    content = root.get(path)
    root.put(path.replace(".parquet", "-newer.parquet"), content)
    root.remove(path)
    there = lake.list()
    with pytest.raises(Exception, match="not in the lake"):
        erase(facts, lake, about(1007))
    assert {each.path for each in there} <= {each.path for each in lake.list()}
