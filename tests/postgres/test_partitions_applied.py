"""Maintenance of partitions on real servers: what is made, what it has, and who is in the way."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import psycopg
import pytest
from partitioned import AHEAD, MONTHLY, Place, kinds

from warehouse.catalog.partition import HashPartition, RangePartition
from warehouse.partitions import apply
from warehouse.partitions.apply import maintainer
from warehouse.partitions.reading import read_partitioned
from warehouse.postgres.sessions import connect


def test_months_are_made_ahead_and_a_second_run_finds_nothing(place: Place) -> None:
    place.table()
    report = place.maintain()
    assert not report.failed, report
    assert [done.action.partition for done in report.done] == [*AHEAD, ""]
    assert place.partitions() == ["facts_y2024m01", *AHEAD]
    place("INSERT INTO facts VALUES (1, '2024-05-31 23:59:59.999999+00', 'last'), (2, '2024-02-29 12:00+00', 'leap')")
    again = place.maintain()
    assert (again.done, again.findings) == ([], [])


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"])
def test_bounds_are_utc_whatever_the_zone_of_database_and_session(place: Place, zone: str) -> None:
    place.table()
    database = place.admin.info.dbname
    place(f"ALTER DATABASE {{}} SET timezone = '{zone}'", database)
    place(f"ALTER ROLE {{}} SET timezone = '{zone}'", place.maintainer)
    assert not place.maintain().failed
    place("SET timezone = 'UTC'")
    bounds = place.rows(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname ~ '^facts_y2024m0[34]$' ORDER BY relname"
    )
    assert bounds == [
        ("FOR VALUES FROM ('2024-03-01 00:00:00+00') TO ('2024-04-01 00:00:00+00')",),
        ("FOR VALUES FROM ('2024-04-01 00:00:00+00') TO ('2024-05-01 00:00:00+00')",),
    ]


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize("every", ["day", "week", "month", "quarter", "year"])
def test_every_period_of_every_type_of_time(place: Place, kind: str, every: str) -> None:
    place(f"CREATE TABLE facts (id int, at {kind}) PARTITION BY RANGE (at)")
    place.own("facts")
    policy = RangePartition.model_validate(
        {"range": "at", "every": every, "name": "{table}_{year}_{month}_{day}_{week}", "premake": 2}
    )
    if every in ("week",):
        policy = policy.model_copy(update={"name": "{table}_{year}w{week}"})
    assert not place.maintain(policy).failed
    assert len(place.partitions()) == 4
    place("INSERT INTO facts VALUES (1, '2024-02-29'), (2, '2024-02-28')")
    assert kinds(place.plan(policy)) == []


def test_a_new_partition_has_what_its_parent_and_its_sibling_have(place: Place) -> None:
    place.table("id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT now(), v text, w text,"
                " twice bigint GENERATED ALWAYS AS (2) STORED, CHECK (v <> 'never'), PRIMARY KEY (id, at)")  # fmt: skip
    place("CREATE TABLE others (id int PRIMARY KEY)")
    place.own("others")
    place("ALTER TABLE facts ADD COLUMN other int REFERENCES others (id)")
    place("CREATE INDEX facts_v ON facts (v) WHERE v IS NOT NULL")
    place("CREATE INDEX facts_lower ON facts (lower(w))")
    for each in ("facts", "facts_y2024m01"):
        place("GRANT SELECT, INSERT ON {} TO {} WITH GRANT OPTION", each, place.app)
        place("GRANT SELECT ON {} TO PUBLIC", each)
        place("GRANT UPDATE (v) ON {} TO {}", each, place.app)
        place("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", each)
        place("ALTER TABLE {} FORCE ROW LEVEL SECURITY", each)
        place("CREATE POLICY mine ON {} FOR SELECT TO {} USING (v = current_user)", each, place.app)
        place("CREATE POLICY \"not's\" ON {} AS RESTRICTIVE TO PUBLIC USING (true) WITH CHECK (v <> '{{}}%s')", each)
        place("ALTER TABLE {} ALTER COLUMN v SET STATISTICS 500", each)
        place("COMMENT ON TABLE {} IS 'What happened; it''s all here.'", each)
        place("COMMENT ON COLUMN {}.v IS 'a ''value'''", each)
    place("ALTER TABLE facts_y2024m01 REPLICA IDENTITY FULL")
    place("ALTER TABLE facts_y2024m01 SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01)")
    report = place.maintain()
    assert not report.failed, report
    with connect(place.dsn, see_all_rows=True) as connection:
        table = read_partitioned(connection, [("public", "facts")])["public", "facts"]
    sibling = next(part.surroundings for part in table.parts if part.name == "facts_y2024m01")
    assert sibling.storage == ("autovacuum_vacuum_scale_factor=0.01", "fillfactor=80")
    assert len(table.parts) == 5
    assert {part.name: part.surroundings for part in table.parts} == dict.fromkeys(
        (part.name for part in table.parts), sibling
    )
    assert table.lacks == ()
    place("INSERT INTO facts (at, v) VALUES ('2024-04-02+00', 'x')")
    with pytest.raises(psycopg.errors.CheckViolation):
        place("INSERT INTO facts (at, v) VALUES ('2024-04-02+00', 'never')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        place("INSERT INTO facts (at, other) VALUES ('2024-04-02+00', 7)")


def test_publications_that_list_partitions_one_by_one_list_the_new_ones(place: Place) -> None:
    place.table()
    database = place.admin.info.dbname
    place("GRANT CREATE ON DATABASE {} TO {}", database, place.owner)
    place("CREATE PUBLICATION one_by_one FOR TABLE facts_y2024m01")
    place("CREATE PUBLICATION through_the_root FOR TABLE facts WITH (publish_via_partition_root)")
    place("ALTER PUBLICATION one_by_one OWNER TO {}", place.owner)
    assert not place.maintain().failed
    listed = place.rows("SELECT tablename FROM pg_publication_tables WHERE pubname = 'one_by_one' ORDER BY 1")
    assert [name for (name,) in listed] == ["facts_y2024m01", *AHEAD]
    assert kinds(place.plan()) == []


def test_drift_is_said_with_its_statements_and_mended(place: Place) -> None:
    place.table()
    for each in ("facts", "facts_y2024m01"):
        place("GRANT SELECT ON {} TO {}", each, place.app)
    place.maintain()
    place("ALTER TABLE facts ENABLE ROW LEVEL SECURITY")
    place("CREATE POLICY none ON facts USING (false)")
    place("GRANT ALL ON facts_y2024m03 TO {}", place.app)
    place("ALTER TABLE facts_y2024m03 OWNER TO CURRENT_USER")
    place("GRANT {} TO {}", place.admin.info.user, place.maintainer)
    plan = place.plan()
    assert {action.kind for action in plan} == {"mend"}
    third = next(action for action in plan if action.partition == "facts_y2024m03")
    assert third.reason == "differs from its parent in owner, row-level security, grants"
    assert any(statement.sql.startswith("REVOKE DELETE") for statement in third.statements)
    assert place.rows("SELECT count(*) FROM pg_policy") == [(1,)], "a plan changes nothing"
    assert not place.maintain().failed
    assert place.rows("SELECT count(*) FROM pg_policy") == [(6,)]
    assert kinds(place.plan()) == []


def test_drift_is_only_reported_where_the_policy_says_so(place: Place) -> None:
    place.table("id bigint NOT NULL, at timestamptz NOT NULL, v text")
    place("CREATE UNIQUE INDEX told ON facts (id, at)")
    place("GRANT SELECT ON facts TO {}", place.app)
    for each in ("facts", "facts_y2024m01"):
        place("GRANT SELECT ON {} TO {}", each, place.app)
    reporting = MONTHLY.model_copy(update={"drift": "report"})
    assert not place.maintain(reporting).failed
    assert kinds(place.plan(reporting)) == [], "what is made is like its parent all the same"
    place("ALTER TABLE facts ENABLE ROW LEVEL SECURITY")
    place("CREATE POLICY none ON facts USING (false)")
    place("ALTER TABLE facts REPLICA IDENTITY USING INDEX told")
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    place("REVOKE SELECT ON facts_y2024m03 FROM {}", place.app)
    place("ALTER TABLE facts_y2024m03 OWNER TO {}", place.maintainer)
    due = place.plan()
    assert {(action.kind, action.drift) for action in due} == {("mend", True), ("index", True)}
    report = place.maintain(reporting)
    assert (report.failed, report.done) == (False, [])
    assert [(f.kind, f.partition, f.reason, f.drift) for f in report.findings] == [
        ("report", action.partition, action.reason, True) for action in due
    ]
    for finding, action in zip(report.findings, due, strict=True):
        assert (finding.statements, finding.alone) == ((), False)
        assert all(statement.sql in finding.remedy for statement in action.statements)
    told = next(f.reason for f in report.findings if f.partition == "facts_y2024m03")
    assert told == "differs from its parent in owner, row-level security, grants, replica identity"
    assert place.plan() == due, "nothing was mended"
    place("ALTER TABLE facts_y2024m03 OWNER TO {}", place.owner)
    assert not place.maintain().failed
    assert kinds(place.plan(reporting)) == []


def test_where_no_partition_is_granted_to_anybody_none_will_be(place: Place) -> None:
    place.table()
    place("GRANT SELECT, INSERT ON facts TO {}", place.app)
    assert not place.maintain().failed
    assert place.rows(
        "SELECT count(*) FROM pg_class WHERE relname ~ '^facts_' AND relkind = 'r' AND relacl::text ~ 'app_'"
    ) == [(0,)]
    place("GRANT SELECT, DELETE ON facts_y2024m03 TO {}", place.app)
    (action,) = place.plan()
    assert [statement.sql.split()[:2] for statement in action.statements] == [["REVOKE", "DELETE"]]


def test_writers_and_readers_meet_no_error(place: Place) -> None:
    place.table()
    place.maintain(at=dt.datetime(2024, 1, 15, tzinfo=dt.UTC))
    failures: list[Exception] = []
    written = 0
    end = threading.Event()

    def write() -> None:
        nonlocal written
        with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password, autocommit=True) as connection:
            while not end.is_set():
                try:
                    connection.execute("INSERT INTO facts VALUES (%s, '2024-01-03+00', 'x')", [written])
                    connection.execute("UPDATE facts SET v = 'y' WHERE id = %s", [written])
                    written += 1
                except psycopg.Error as error:
                    failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password) as reader:
            reader.execute("SELECT count(*) FROM facts")  # holds its locks
            report = place.maintain(at=dt.datetime(2025, 6, 1, tzinfo=dt.UTC))
    finally:
        end.set()
        writer.join()
    assert (report.failed, failures) == (False, [])
    assert len(place.partitions()) == 21
    assert place.rows("SELECT count(*) FROM facts WHERE v = 'y'") == [(written,)]
    assert written


def test_a_lock_that_is_not_to_be_had_leaves_nothing_half_done(place: Place) -> None:
    place.table()
    with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password) as other:
        other.execute("LOCK TABLE facts IN SHARE UPDATE EXCLUSIVE MODE")
        report = place.maintain()
        assert report.failed
        assert {done.attempts for done in report.done} == {3}
        (failure,) = {done.failure for done in report.done}
        assert failure.startswith(f"canceling statement due to lock timeout; held by pid {other.info.backend_pid} (")
    assert place.partitions() == ["facts_y2024m01"]
    assert place.rows("SELECT count(*) FROM pg_class WHERE relname = 'facts_y2024m03'") == [(0,)]
    assert not place.maintain().failed


@pytest.mark.parametrize("locks", ["", "a default partition", "a foreign key"])
def test_creations_share_a_transaction_while_it_is_short(
    place: Place, monkeypatch: pytest.MonkeyPatch, locks: str
) -> None:
    place.table()
    if locks == "a default partition":
        place("CREATE TABLE rest PARTITION OF facts DEFAULT")
        place.own("rest")
    if locks == "a foreign key":
        place("CREATE TABLE kinds (v text PRIMARY KEY)")
        place.own("kinds")
        place("ALTER TABLE facts ADD FOREIGN KEY (v) REFERENCES kinds")
    monkeypatch.setattr(apply, "TOGETHER", 0)
    monkeypatch.setattr(apply, "TOGETHER_UNNOTICED", 60)
    report = place.maintain()
    assert [(done.action.kind, done.attempts) for done in report.done] == [("create", 1)] * 4 + [("analyze", 1)]
    assert place.rows(
        "SELECT count(DISTINCT i.xmin::text) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'facts'::regclass AND c.relname > 'facts_y2024m01' AND c.relname <> 'rest'"
    ) == [(4 if locks else 1,)]


def test_one_creation_that_fails_is_told_apart_from_those_that_would_share_its_transaction(place: Place) -> None:
    place.table()
    place("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS"
          " $$ BEGIN IF current_query() LIKE '%ATTACH%2024m04%' THEN"
          " RAISE EXCEPTION 'no' USING ERRCODE = 'duplicate_object'; END IF; END $$")  # fmt: skip
    place("CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION refuse()")
    try:
        report = place.maintain()
    finally:
        place("DROP EVENT TRIGGER refuse")
    assert [done.action.partition for done in report.done if done.failure] == ["facts_y2024m04"]
    assert place.partitions() == ["facts_y2024m01", *(name for name in AHEAD if name != "facts_y2024m04")]


def test_two_maintainers_are_one_too_many(place: Place) -> None:
    place.table()
    with connect(place.dsn) as first, maintainer(first, ("public", "facts")):
        report = place.maintain()
    assert "another maintenance run" in report.busy
    assert report.failed
    assert not place.maintain().failed


def test_a_month_that_somebody_makes_meanwhile_is_no_failure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.table()
    original, planned = apply.read_and_plan, list[int]()

    def read_and_plan(*arguments: Any, **named: Any) -> Any:
        found = original(*arguments, **named)
        if not planned:
            place("CREATE TABLE by_hand PARTITION OF facts FOR VALUES FROM ('2024-04-01+00') TO ('2024-05-01+00')")
            place.own("by_hand")
        planned.append(len(found[0][2]))
        return found

    monkeypatch.setattr(apply, "read_and_plan", read_and_plan)
    report = place.maintain()
    assert not report.failed, report
    assert len(planned) == 2
    assert place.partitions() == ["by_hand", "facts_y2024m01", "facts_y2024m02", "facts_y2024m03", "facts_y2024m05"]


def test_names_of_63_bytes_and_with_quotes(place: Place) -> None:
    odd = 'we"ird Täble; --' + "x" * 36
    assert len(f"{odd}_2024_01".encode()) <= 63
    place('CREATE TABLE {} (at timestamptz, "v\'" text) PARTITION BY RANGE (at)', odd)
    place.own(odd)
    policy = RangePartition(range="at", name="{table}_{year}_{month}")
    report = place.maintain(policy, table=odd)
    assert (report.failed, report.findings) == (False, [])
    assert len(place.partitions(odd)) == 5
    assert place.partitions(odd)[0] == f"{odd}_2024_01"
    longer = RangePartition(range="at", name="{table}_{year}_{month}_longer")
    place("DROP TABLE {}", f"{odd}_2024_05")
    assert {action.kind for action in place.plan(longer, table=odd)} == {"refuse"}


def test_a_default_partition_with_rows_is_planned_around(place: Place) -> None:
    place.table()
    place("CREATE TABLE rest PARTITION OF facts DEFAULT")
    place.own("rest")
    place("INSERT INTO facts VALUES (1, '2024-03-05+00', 'early bird')")
    report = place.maintain()
    assert place.partitions() == ["facts_y2024m01", "facts_y2024m02", "facts_y2024m04", "facts_y2024m05", "rest"]
    refused = [finding for finding in report.findings if finding.kind == "refuse"]
    assert [finding.partition for finding in refused] == ["facts_y2024m03"]
    assert place.rows("SELECT tableoid::regclass::text FROM facts") == [("rest",)]
    assert not report.failed


def test_what_another_tool_maintains_is_left_alone(place: Place) -> None:
    place.table()
    place("CREATE SCHEMA partman")
    place("CREATE TABLE partman.part_config (parent_table text, partition_interval text)")
    place("INSERT INTO partman.part_config VALUES ('public.facts', '1 month')")
    place("GRANT USAGE ON SCHEMA partman TO {}", place.owner)
    place("GRANT SELECT ON partman.part_config TO {}", place.owner)
    report = place.maintain()
    assert not report.done
    assert ["pg_partman maintains it" in finding.reason for finding in report.findings] == [True]


def test_open_ends_foreign_keys_and_other_bounds_are_said(place: Place) -> None:
    place.table()
    place("CREATE TABLE old PARTITION OF facts FOR VALUES FROM (MINVALUE) TO ('2023-11-20+00')")
    place("CREATE TABLE rest PARTITION OF facts FOR VALUES FROM ('2024-03-10+00') TO (MAXVALUE)")
    place("CREATE TABLE pointing (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES facts)")
    place.own("old", "rest", "pointing")
    report = place.maintain()
    assert not report.failed, report
    assert place.partitions() == [
        "facts_y2024m01", "facts_y2024m02", "facts_y2024m03_from_20240301t000000", "old", "rest",
    ]  # fmt: skip
    told = {finding.partition: finding.reason for finding in report.findings}
    assert told == {
        "old": "has no beginning: it takes rows of any age, and moves to a tier as a whole",
        "rest": "has no end: no partition can be made beside it",
        "": "the foreign key pointing_id_at_fkey of public.pointing references it: no partition can be detached",
    }


def test_partitions_of_partitions_are_kept_like_their_parent(place: Place) -> None:
    place.table()
    place("CREATE TABLE facts_y2024m02 PARTITION OF facts FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00')"
          " PARTITION BY HASH (id)")  # fmt: skip
    place.own("facts_y2024m02")
    place("GRANT SELECT ON facts TO {}", place.app)
    assert not place.maintain().failed
    assert kinds(place.plan()) == []
    assert place.partitions() == ["facts_y2024m01", *AHEAD]


def test_parts_of_a_hash_are_held_against_their_parent_and_counted(place: Place) -> None:
    place("CREATE TABLE facts (id bigint, v text) PARTITION BY HASH (id)")
    for remainder in (0, 1, 2):
        place(f"CREATE TABLE facts_p{remainder} PARTITION OF facts FOR VALUES WITH (MODULUS 4, REMAINDER {remainder})")
        place.own(f"facts_p{remainder}")
    place.own("facts")
    place("ALTER TABLE facts ENABLE ROW LEVEL SECURITY")
    policy = HashPartition(hash="id", modulus=4, name="{table}_p{remainder}")
    report = place.maintain(policy)
    assert [done.action.kind for done in report.done] == ["mend", "mend", "mend", "analyze"]
    assert [finding.reason for finding in report.findings] == [
        "its 3 partitions take 75% of the rows; the others are refused"
    ]


def test_partitions_of_partitions_are_what_the_table_is(place: Place) -> None:
    place.table()
    place("ALTER TABLE facts ENABLE ROW LEVEL SECURITY")
    place("CREATE POLICY even ON facts USING (id % 2 = 0)")
    bounds = "FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00') PARTITION BY HASH (id)"
    place(f"CREATE TABLE facts_y2024m02 PARTITION OF facts {bounds}")
    place("CREATE TABLE deep PARTITION OF facts_y2024m02 FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    place("GRANT SELECT ON deep TO {}", place.app)
    place.own("facts_y2024m02", "deep")
    place("INSERT INTO facts SELECT i, '2024-02-02+00', 'deep' FROM generate_series(1, 1000) AS i")
    place("ANALYZE deep")
    mended = {done.action.partition for done in place.maintain().done if done.action.kind == "mend"}
    assert mended == {"facts_y2024m01", "facts_y2024m02", "deep"}
    secured = "SELECT relrowsecurity, has_table_privilege('{}', oid, 'SELECT') FROM pg_class WHERE relname = 'deep'"
    assert place.rows(secured.format(place.app)) == [(True, False)]
    assert place.maintain().done == []
    with connect(place.dsn, see_all_rows=True) as connection:
        facts = read_partitioned(connection, [("public", "facts")], sizes=True)["public", "facts"]
    (part,) = (part for part in facts.parts if not part.leaf)
    assert part.estimated_rows == 1000
    assert part.bytes > 50_000
    assert facts.bytes == sum(part.bytes for part in facts.parts)
