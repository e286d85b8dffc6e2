"""Indexes that partitions lack, on real servers: built beside writers, with what is there used, and completed later."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from partitioned import AHEAD, ALL, QUICK, Place, filled, kinds, validity

from warehouse.partitions import apply
from warehouse.partitions.apply import Patience, Report
from warehouse.partitions.indexes import part_name


def built(report: Report) -> list[str]:
    assert not report.failed, report
    return [done.action.partition for done in report.done if done.action.kind == "index"]


@pytest.mark.parametrize(
    "definition",
    [
        "(v)",
        "(at DESC NULLS LAST, v COLLATE \"C\" text_pattern_ops) INCLUDE (id) WHERE v <> ' WHERE ' AND id > 0",
        "((lower(v) || ' ON ONLY '), (id + 1))",
        "USING brin (at) WITH (pages_per_range = 7)",
        "USING hash (v)",
    ],
)
def test_an_index_made_only_on_the_parent_is_completed(place: Place, definition: str) -> None:
    filled(place)
    place(f'CREATE INDEX "we""ird USING ON" ON ONLY facts {definition}')
    place.own("facts")
    plan = place.plan()
    assert [(action.kind, action.partition) for action in plan] == [("index", name) for name in ALL]
    assert [statement.lock for statement in plan[0].statements] == [
        "SHARE UPDATE EXCLUSIVE on facts_y2024m01",
        'ACCESS EXCLUSIVE on the index facts_y2024m01_we"ird USING ON',
    ]
    assert built(place.maintain()) == ALL
    assert validity(place, "%USING ON") == dict.fromkeys(
        ['we"ird USING ON', *(f'{name}_we"ird USING ON' for name in ALL)], True
    )
    assert kinds(place.plan()) == []


def test_a_unique_one_refuses_afterwards_what_it_should(place: Place) -> None:
    filled(place)
    place("CREATE UNIQUE INDEX once ON ONLY facts (id, at) NULLS NOT DISTINCT")
    assert built(place.maintain()) == ALL
    with pytest.raises(psycopg.errors.UniqueViolation):
        place("INSERT INTO facts SELECT * FROM facts LIMIT 1")


@pytest.mark.parametrize(
    "constraint",
    ["PRIMARY KEY (id, at)", "UNIQUE (at, id)", "UNIQUE (at, id) INCLUDE (v) DEFERRABLE INITIALLY DEFERRED"],
)
def test_a_constraint_made_only_on_the_parent_is_completed(place: Place, constraint: str) -> None:
    filled(place)
    place(f"ALTER TABLE ONLY facts ADD CONSTRAINT told {constraint}")
    assert built(place.maintain()) == ALL
    assert set(validity(place, "%told").values()) == {True}
    made = place.rows(
        "SELECT pg_get_constraintdef(oid), conparentid <> 0 FROM pg_constraint WHERE conname LIKE 'facts_y%told'"
    )
    assert made == [(constraint, True)] * 5
    assert kinds(place.plan()) == []
    place("INSERT INTO facts VALUES (1, '2024-02-02+00')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        place("INSERT INTO facts VALUES (1, '2024-02-02+00')")


def test_an_equal_index_that_is_there_is_attached_and_no_other_is(place: Place) -> None:
    filled(place)
    place("CREATE INDEX same ON facts_y2024m01 (v)")
    place("CREATE INDEX partial ON facts_y2024m02 (v) WHERE id > 1")
    place("CREATE UNIQUE INDEX bare ON facts_y2024m03 (id, at)")
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    place("ALTER TABLE ONLY facts ADD CONSTRAINT told UNIQUE (id, at)")
    first, second = (
        [s.sql.split()[0:3] for s in action.statements]
        for action in place.plan()
        if (action.partition, action.reason.split()[-1]) in (("facts_y2024m01", "facts_v"), ("facts_y2024m03", "told"))
    )
    assert first == [["ALTER", "INDEX", '"public"."facts_v"']]
    assert second == [["ALTER", "TABLE", "ONLY"], ["ALTER", "INDEX", '"public"."told"']]
    assert not place.maintain().failed
    names = validity(place)
    assert {"same", "partial", "bare", "facts_y2024m02_facts_v"} <= names.keys()
    assert not {"facts_y2024m01_facts_v", "facts_y2024m03_told"} & names.keys()
    assert set(names.values()) == {True}


def test_two_equal_indexes_of_the_parent_do_not_take_the_same_part(place: Place) -> None:
    filled(place)
    place("CREATE INDEX same ON facts_y2024m01 (v)")
    for name in ("one", "two"):
        place("CREATE INDEX {} ON ONLY facts (v)", name)
    assert built(place.maintain()) == sorted([*ALL, *ALL])
    assert set(validity(place).values()) == {True}
    assert kinds(place.plan()) == []


def test_what_an_attempt_left_that_was_cut_off_is_made_anew_and_nothing_of_others(place: Place) -> None:
    filled(place)
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    ours = part_name("facts_y2024m01", "facts_v")
    for name in (ours, "of_somebody"):
        place("CREATE INDEX {} ON facts_y2024m01 (v)", name)
        place("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass", name)
    (action,) = (action for action in place.plan() if action.partition == "facts_y2024m01")
    assert [statement.sql for statement in action.statements][:2] == [
        f'DROP INDEX CONCURRENTLY IF EXISTS "public"."{ours}"',
        f'CREATE INDEX CONCURRENTLY "{ours}" ON "public"."facts_y2024m01" USING btree (v)',
    ]
    assert built(place.maintain()) == ALL
    assert validity(place, "%") == {
        "facts_v": True, "of_somebody": False, **{part_name(name, "facts_v"): True for name in ALL},
    }  # fmt: skip


def test_a_part_that_is_attached_and_not_valid_is_made_anew(place: Place) -> None:
    filled(place)
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    place("CREATE INDEX broken ON facts_y2024m01 (v)")
    place("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass")
    place("ALTER INDEX facts_v ATTACH PARTITION broken")
    assert built(place.maintain()) == ALL
    assert set(validity(place).values()) == {True}


def test_duplicates_are_said_and_nothing_of_the_index_stays(place: Place) -> None:
    filled(place)
    place("INSERT INTO facts SELECT * FROM facts_y2024m02 LIMIT 1")
    place("CREATE UNIQUE INDEX once ON ONLY facts (id, at)")
    report = place.maintain()
    failed = {done.action.partition: done.failure for done in report.done if done.failure}
    assert failed == {"facts_y2024m02": 'could not create unique index "facts_y2024m02_once"'}
    assert "facts_y2024m02_once" not in validity(place)
    assert validity(place)["once"] is False
    place("DELETE FROM facts_y2024m02 AS a USING facts_y2024m02 AS b WHERE a.id = b.id AND a.ctid < b.ctid")
    assert built(place.maintain()) == ["facts_y2024m02"]
    assert validity(place)["once"] is True


def test_an_index_that_somebody_makes_meanwhile_is_theirs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(place)
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    original, planned = apply.read_and_plan, list[int]()

    def read_and_plan(*arguments: Any, **named: Any) -> Any:
        found = original(*arguments, **named)
        if not planned:
            place("CREATE INDEX facts_y2024m03_facts_v ON facts_y2024m03 (v, id)")
        planned.append(1)
        return found

    monkeypatch.setattr(apply, "read_and_plan", read_and_plan)
    report = place.maintain()
    assert [(f.partition, f.kind) for f in report.findings] == [("facts_y2024m03", "report")]
    (definition,) = place.rows("SELECT pg_get_indexdef('facts_y2024m03_facts_v'::regclass)")
    assert definition[0].endswith("USING btree (v, id)")
    assert sum(validity(place).values()) == 5, "four parts, and theirs"


def test_a_build_gives_up_on_an_older_transaction_and_leaves_nothing(place: Place) -> None:
    filled(place)
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM pg_class")
        report = place.maintain(patience=Patience(lock_timeout=50, build_timeout=100, attempts=3, pause=0.01))
        (failure,) = {done.failure for done in report.done}
        assert failure.startswith("canceling statement due to lock timeout; held by")
        assert f"pid {other.info.backend_pid} (" in failure, "it holds no lock of the table, only an older snapshot"
        assert {done.attempts for done in report.done} == {1}
        assert list(validity(place)) == ["facts_v"]
    assert built(place.maintain()) == ALL


def test_an_index_that_is_built_waits_for_its_partition_s_users_again_and_again(place: Place) -> None:
    """The build itself holds nobody up; only the moment of attaching it needs the index for itself."""
    filled(place)
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    place("CREATE INDEX same ON facts_y2024m01 (v)")
    with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password) as reader:
        reader.execute("SELECT count(*) FROM facts_y2024m01")
        report = place.maintain()
        (failed,) = (done for done in report.done if done.failure)
        assert (failed.action.partition, failed.attempts) == ("facts_y2024m01", QUICK.attempts)
    assert built(place.maintain()) == ["facts_y2024m01"]
    assert validity(place)["facts_v"] is True


@pytest.mark.parametrize(
    "made", ["CREATE INDEX told ON ONLY facts (v)", "ALTER TABLE ONLY facts ADD CONSTRAINT told PRIMARY KEY (id, at)"]
)
def test_partitions_of_partitions_have_their_parts_too(place: Place, made: str) -> None:
    place.table("id bigint NOT NULL, at timestamptz NOT NULL, v text")
    place("CREATE TABLE facts_y2024m02 PARTITION OF facts FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00')"
          " PARTITION BY HASH (id)")  # fmt: skip
    for remainder in (0, 1):
        bound = f"FOR VALUES WITH (MODULUS 2, REMAINDER {remainder})"
        place(f"CREATE TABLE sub{remainder} PARTITION OF facts_y2024m02 {bound}")
    place.own("facts_y2024m02", "sub0", "sub1")
    place("INSERT INTO facts SELECT i, '2024-02-02+00', 'v' FROM generate_series(1, 9) AS i")
    assert not place.maintain().failed
    place(made)
    assert built(place.maintain()) == ["facts_y2024m01", "facts_y2024m02", *AHEAD[1:], "sub0", "sub1"]
    assert set(validity(place, "%told").values()) == {True}
    assert len(validity(place, "%told")) == 8
    assert kinds(place.plan()) == []


def test_an_index_of_a_partitioned_partition_is_attached_with_all_its_parts(place: Place) -> None:
    place.table("id bigint NOT NULL, at timestamptz NOT NULL, v text")
    place("CREATE TABLE facts_y2024m02 PARTITION OF facts FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00')"
          " PARTITION BY HASH (id)")  # fmt: skip
    place("CREATE TABLE sub PARTITION OF facts_y2024m02 FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    place("CREATE INDEX there ON facts_y2024m02 (v)")
    place.own("facts_y2024m02", "sub")
    assert not place.maintain().failed
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    assert built(place.maintain()) == ALL
    assert validity(place) == dict.fromkeys(
        ["facts_v", "sub_v_idx", "there", *(part_name(name, "facts_v") for name in ALL if name != "facts_y2024m02")],
        True,
    )
    place("CREATE VIEW facts_y2024m02_facts_id AS SELECT 1")
    place("CREATE INDEX facts_id ON ONLY facts (id)")
    report = place.maintain()
    assert (report.failed, [finding.partition for finding in report.findings]) == (False, ["facts_y2024m02"])
    assert not validity(place, "sub_facts_id"), "there would be nothing to attach it to"


def test_a_part_lies_where_its_parent_s_index_says(place: Place) -> None:
    filled(place)
    space = f"space_{place.owner}"
    place("SET allow_in_place_tablespaces = on")
    place("CREATE TABLESPACE {} LOCATION ''", space)
    try:
        place("GRANT CREATE ON TABLESPACE {} TO {}", space, place.owner)
        place("CREATE INDEX facts_v ON ONLY facts (v) TABLESPACE {} WHERE v <> ' TABLESPACE x WHERE '", space)
        assert built(place.maintain()) == ALL
        lie = place.rows(
            "SELECT t.spcname, count(*) FROM pg_class AS c JOIN pg_tablespace AS t ON t.oid = c.reltablespace"
            " WHERE c.relname LIKE 'facts_y%facts_v' GROUP BY 1"
        )
        assert lie == [(space, 5)]
        place("DROP INDEX facts_v")
    finally:
        place("DROP TABLESPACE {}", space)


def test_what_cannot_be_made_is_said_with_what_to_do(place: Place) -> None:
    filled(place)
    place("ALTER TABLE facts_y2024m01 ADD PRIMARY KEY (id, at, v)")
    place("ALTER TABLE ONLY facts ADD CONSTRAINT told PRIMARY KEY (id, at)")
    place("CREATE EXTENSION btree_gist")
    place("ALTER TABLE ONLY facts ADD CONSTRAINT apart EXCLUDE USING gist (at WITH =, v WITH <>)")
    place("CREATE VIEW facts_y2024m02_facts_v AS SELECT 1")
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    report = place.maintain()
    assert not report.failed, report
    told = [(f.partition, f.reason.partition(": ")[2]) for f in report.findings]
    assert [reason for name, reason in told if name == "facts_y2024m01"] == [
        "an exclusion constraint cannot be made beside writers",
        "it has a primary key of its own (facts_y2024m01_pkey)",
    ]
    assert ("facts_y2024m02", "something else is named facts_y2024m02_facts_v") in told
    assert len(told) == 7
    assert all(finding.remedy for finding in report.findings)


def test_names_that_postgresql_would_cut_stay_apart_and_the_same() -> None:
    long = "ä" * 31
    names = {part_name(long, f"index{number}") for number in range(50)}
    assert len(names) == 50
    assert all(len(name.encode()) <= 63 for name in names)
    assert part_name(long, "index7") in names
    assert part_name("facts_y2024m01", "facts_v") == "facts_y2024m01_facts_v"


@pytest.mark.parametrize(
    "made", ["ALTER TABLE facts ADD CONSTRAINT told PRIMARY KEY (id, at)", "CREATE UNIQUE INDEX told ON facts (at, id)"]
)
def test_a_replica_identity_by_index_is_the_partitions_own_part_of_it(place: Place, made: str) -> None:
    place.table("id bigint NOT NULL, at timestamptz NOT NULL, v text")
    place(made)
    place("ALTER TABLE facts REPLICA IDENTITY USING INDEX told")
    report = place.maintain()
    assert (report.failed, report.findings) == (False, []), report
    identities = place.rows(
        "SELECT t.relname::text, p.relname::text FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid"
        " JOIN pg_inherits AS i ON i.inhrelid = x.indexrelid JOIN pg_class AS p ON p.oid = i.inhparent"
        " WHERE x.indisreplident AND t.relreplident = 'i' AND x.indisvalid ORDER BY 1"
    )
    assert identities == [(name, "told") for name in ALL]
    assert len(validity(place)) == 6, "none is there twice"
    assert kinds(place.plan()) == []


def test_an_index_that_is_built_becomes_the_replica_identity_that_it_is_of_the_parent(place: Place) -> None:
    filled(place)
    place("CREATE UNIQUE INDEX told ON ONLY facts (id, at)")
    for name in ALL[:-1]:
        place(f"CREATE UNIQUE INDEX {name}_own ON {name} (id, at)")
        place(f"ALTER INDEX told ATTACH PARTITION {name}_own")
    place("CREATE UNIQUE INDEX later ON facts_y2024m05 (id, at)")
    place("ALTER INDEX told ATTACH PARTITION later")
    place("ALTER TABLE facts REPLICA IDENTITY USING INDEX told")
    place("ALTER TABLE facts DETACH PARTITION facts_y2024m05")
    place("DROP TABLE facts_y2024m05")
    assert not place.maintain().failed
    assert kinds(place.plan()) == []
    place("DROP INDEX told")
    (finding,) = place.maintain().findings
    assert "there is no such index" in finding.reason
