"""Maintenance of partitions that is cut off, refused or raced at any point: nothing half done, the next run ends it.

What does not belong here: a server that is killed with it (``tests/faults/test_partitions_killed.py``).
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from partitioned import (
    ALL,
    AT,
    DUE,
    JANUARY,
    MONTHLY,
    QUICK,
    SHORT,
    Dying,
    Place,
    filled,
    kinds,
    limit_files,
    ready,
    target,
    validity,
)

from warehouse.errors import SourceInterrupted
from warehouse.partitions import apply
from warehouse.partitions.apply import Report, maintain
from warehouse.postgres.sessions import connect

#: An index by this may take until somebody ends it.
SLOW = "CREATE OR REPLACE FUNCTION slow(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN WAIT RETURN v; END$$"


def outcome(report: Report) -> dict[str, str]:
    """Of each partition, why it is not done; '' where it is."""
    return {done.action.partition: done.failure for done in report.done}


@contextmanager
def slow_builds(place: Place) -> Generator[None]:
    """Within the block the building of the first partition's part of an index does not end by itself."""
    place(SLOW.replace("WAIT", "PERFORM pg_sleep(200) WHERE v = 'v1';"))
    try:
        place("CREATE INDEX slowly ON ONLY facts (slow(v))")
        yield
    finally:
        place(SLOW.replace("WAIT", ""))


def when_at_work(place: Place, statement: str, act: str) -> threading.Thread:
    """Do something to the maintainer's backend as soon as it runs a statement."""

    def watch() -> None:
        with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password, autocommit=True) as other:
            for _ in range(3000):
                done = other.execute(
                    f"SELECT {act}(pid) FROM pg_stat_activity WHERE usename = %s AND state = 'active'"  # type: ignore[arg-type]
                    " AND query LIKE %s AND wait_event = 'PgSleep'",
                    [place.maintainer, statement],
                ).fetchall()
                if done:
                    return
                threading.Event().wait(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", DUE)
def test_a_session_that_is_killed_after_any_statement_is_completed_by_the_next(place: Place, kind: str) -> None:
    ready(place)
    statement = 0
    while True:
        place(DUE[kind])
        due = place.plan(SHORT, at=JANUARY)
        assert {action.kind for action in due} >= {kind}
        if statement == sum(len(action.statements) for action in due):
            break
        with connect(place.dsn, see_all_rows=True) as connection, pytest.raises(psycopg.OperationalError):
            Dying(connection, statement, place.kill).do(due)
        report = place.maintain(SHORT, at=JANUARY)
        assert not report.failed, (statement, report)
        assert kinds(place.plan(SHORT, at=JANUARY)) == [], statement
        assert set(validity(place).values()) == {True}
        assert len(validity(place)) == 9, "of each index one, and a part of it for each of two partitions"
        statement += 1
    assert statement >= 4


@pytest.mark.parametrize("act", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_build_that_is_ended_in_its_middle_leaves_nothing_that_stays(place: Place, act: str) -> None:
    filled(place)
    with slow_builds(place):
        watching = when_at_work(place, "CREATE INDEX CONCURRENTLY%", act)
        if act == "pg_cancel_backend":
            report = place.maintain()
            failed = {name: why for name, why in outcome(report).items() if why}
            assert failed == {"facts_y2024m01": "canceling statement due to user request"}
            assert {done.attempts for done in report.done} == {1}, "whoever cancels it means it"
            assert "facts_y2024m01_slowly" not in validity(place)
        else:
            with pytest.raises(Exception, match="connection was lost: terminating"):
                place.maintain()
            assert validity(place) == {"slowly": False, "facts_y2024m01_slowly": False}
        watching.join()
    assert not place.maintain().failed
    assert validity(place) == dict.fromkeys(["slowly", *(f"{name}_slowly" for name in ALL)], True)


def test_a_role_s_statement_timeout_is_kept_and_leaves_nothing_half_done(place: Place) -> None:
    filled(place)
    place("DROP TABLE facts_y2024m05")
    place("ALTER ROLE {} SET statement_timeout = '500ms'", place.maintainer)
    place("CREATE FUNCTION slow_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(200); END$$")
    place("CREATE EVENT TRIGGER slow_ddl ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION slow_ddl()")
    try:
        with slow_builds(place):
            report = place.maintain()
            timeout = "canceling statement due to statement timeout"
            failed = {name: why for name, why in outcome(report).items() if why}
            assert failed == {"facts_y2024m05": timeout, "facts_y2024m01": timeout}
            assert {done.attempts for done in report.done} == {1}, "it would come to the same"
        assert place.rows("SELECT to_regclass('facts_y2024m05')") == [(None,)]
        assert "facts_y2024m01_slowly" not in validity(place)
    finally:
        place("DROP EVENT TRIGGER slow_ddl")
    assert not place.maintain().failed
    assert place.partitions() == ALL


def test_a_timeout_that_nothing_fits_in_is_said_or_everything_is_done(place: Place) -> None:
    place.table()
    place("ALTER ROLE {} SET statement_timeout = '1ms'", place.maintainer)
    for _ in range(10):
        said: set[str] = set()
        try:
            said = set(outcome(place.maintain()).values()) - {""}
        except SourceInterrupted as error:
            said = {error.message.partition("cancelled the statement: ")[2]}
        assert said <= {"canceling statement due to statement timeout"}
        assert {kind for kind in kinds(place.plan_as_admin()) if kind != "analyze"} <= {"create"}, "none is half made"
    place("ALTER ROLE {} RESET statement_timeout", place.maintainer)
    assert not place.maintain().failed
    assert place.partitions() == ALL


def test_maintainers_at_once_do_each_thing_once(place: Place) -> None:
    ready(place)
    for kind in ("create", "index"):
        place(DUE[kind])
    together = threading.Barrier(4)

    def run() -> Report:
        together.wait()
        return place.maintain(SHORT, at=JANUARY)

    with ThreadPoolExecutor(4) as pool:
        reports = [future.result() for future in [pool.submit(run) for _ in range(4)]]
    assert sum(bool(done.failure) for report in reports for done in report.done) == 0
    made = [done.action.partition for report in reports for done in report.done if done.action.kind == "create"]
    assert made == ["facts_y2024m02"]
    assert all(report.busy for report in reports if not report.done and report.failed)
    assert kinds(place.plan(SHORT, at=JANUARY)) == []


def test_a_table_that_somebody_makes_meanwhile_under_the_name_is_left_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.table()
    original, planned = apply.read_and_plan, list[int]()

    def read_and_plan(*arguments: Any, **named: Any) -> Any:
        found = original(*arguments, **named)
        if not planned:
            place("CREATE TABLE facts_y2024m04 (theirs int)")
        planned.append(1)
        return found

    monkeypatch.setattr(apply, "read_and_plan", read_and_plan)
    report = place.maintain()
    assert not report.failed
    (refused,) = (finding for finding in report.findings if finding.kind == "refuse")
    assert refused.partition == "facts_y2024m04"
    assert refused.reason.startswith("something of that name is there")
    assert place.partitions() == [name for name in ALL if name != "facts_y2024m04"]
    assert place.rows("SELECT count(*) FROM facts_y2024m04") == [(0,)]


def test_what_the_server_refuses_is_one_action_s_failure(place: Place) -> None:
    """Room for sorting runs out while an index is built: the months are made all the same."""
    filled(place)
    place("INSERT INTO facts SELECT i, '2024-01-05+00', repeat(md5(i::text), 8) FROM generate_series(1, 20000) AS i")
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    place("DROP TABLE facts_y2024m05")
    place("ALTER ROLE {} SET maintenance_work_mem = '64kB'", place.maintainer)
    place("ALTER ROLE {} SET max_parallel_maintenance_workers = 0", place.maintainer)
    place("ALTER ROLE {} SET temp_file_limit = '100kB'", place.maintainer)
    report = place.maintain(MONTHLY, patience=QUICK)
    failed = {name: why for name, why in outcome(report).items() if why}
    assert failed == {"facts_y2024m01": 'temporary file size exceeds "temp_file_limit" (100kB)'}
    assert report.failed
    assert place.partitions() == ALL
    assert "facts_y2024m01_facts_v" not in validity(place)
    place("ALTER ROLE {} RESET temp_file_limit", place.maintainer)
    assert not place.maintain().failed
    assert set(validity(place).values()) == {True}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux limits the files of a process that runs already")
def test_an_index_that_the_disk_has_no_room_for_is_one_action_s_failure(place: Place) -> None:
    """Its file cannot grow, for the kernel refuses it (EFBIG; a disk that is full says ENOSPC, at the same place)."""
    filled(place)
    place("INSERT INTO facts SELECT i, '2024-01-05+00', repeat(md5(i::text), 6) FROM generate_series(1, 90000) AS i")
    place("CREATE INDEX facts_v ON ONLY facts (v)")
    place("DROP TABLE facts_y2024m05")
    place("ALTER ROLE {} SET max_parallel_maintenance_workers = 0", place.maintainer)
    with connect(place.dsn, see_all_rows=True) as connection:
        limit_files(connection.info.backend_pid, 16 << 20)  # a segment of the log, which must be written
        report = maintain(connection, target(MONTHLY), ("public", "facts"), AT, QUICK)
    ((name, why),) = ((name, why) for name, why in outcome(report).items() if why)
    assert name == "facts_y2024m01"
    assert re.fullmatch(r'could not (extend|write) file ".*": File too large', why), why
    assert place.partitions() == ALL, "the month was made all the same"
    assert "facts_y2024m01_facts_v" not in validity(place)
    assert not place.maintain().failed
    assert set(validity(place).values()) == {True}
