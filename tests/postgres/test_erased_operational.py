"""A person is erased from a system's own tables: what goes, what is refused, who is in the way, what is cut off."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from erased_shapes import ROWS, SCHEMA, erasing, erasing_on, parsed, policy, rows

from warehouse.catalog.model import System
from warehouse.erasure.deleting import Erasing
from warehouse.erasure.operational import look_operational, operational_reader, raw_reader
from warehouse.erasure.remnants import sweep
from warehouse.erasure.scope import Scope, find_scope
from warehouse.errors import AccessDenied, DrivetrainError, ErasureRefused
from warehouse.postgres.sessions import Connection, Dsn, connect

SYSTEM = parsed(policy())
#: Columns that the server empties in rows of others.
SET_NULL = {("posts", "parent")}


@pytest.fixture
def shapes(empty_database: str) -> str:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute(ROWS)
    return empty_database


def do(dsn: str, *statements: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def left_of(dsn: str, person: int, system: System = SYSTEM) -> list[tuple[str, str, str]]:
    """Values of a person's anywhere: their texts, and their key in columns that have such."""
    mark = re.compile(rf" of {person}\b|person{person}@")
    return [
        (table, column, value)
        for table, found in rows(dsn, system).items()
        for row in found
        for column, value in row.items()
        if value is not None
        and (
            mark.search(value)
            or (system.tables[table].columns[column].personal == "person_id" and value == str(person))
        )
    ]


def others(dsn: str, person: int, system: System = SYSTEM) -> dict[str, list[dict[str, Any]]]:
    """Rows that do not name the person, but for what the server empties in them."""
    return {
        table: [
            {column: value for column, value in row.items() if (table, column) not in SET_NULL}
            for row in found
            if not any(
                value == str(person) and system.tables[table].columns[column].personal == "person_id"
                for column, value in row.items()
            )
        ]
        for table, found in rows(dsn, system).items()
    }


def run(erasing: Erasing) -> None:
    result = erasing.run(rounds=8, pause=0)
    assert result.done, result


@pytest.mark.parametrize("person", [1, 2, 5])
def test_all_shapes(shapes: str, person: int) -> None:
    """Person 2 has folders that lead to one another in a circle."""
    before, untouched = rows(shapes, SYSTEM), others(shapes, person)
    with erasing(shapes, SYSTEM, {str(person)}) as work:
        planned = {each.table: each.rows for each in work.plan.tables}
        assert planned["repairs"] == 6 and planned["parts"] == 6 and planned["ledger"] == 10
        result = work.run(rounds=8, pause=0)
        assert result.done
        assert {each.table: each.actual for each in result.tables} == planned
        again = work.run(rounds=1)
        assert again.done and not any(each.actual for each in again.tables)
    assert left_of(shapes, person) == []
    after = rows(shapes, SYSTEM)
    for table, kept in untouched.items():
        if SYSTEM.tables[table].erasure.action == "delete" and table not in ("repairs", "parts"):
            assert [{c: v for c, v in row.items() if (table, c) not in SET_NULL} for row in after[table]] == kept
    assert len(after["messages"]) == len(before["messages"])
    for column in ("id", "amount", "fee"):
        assert sorted(r[column] for r in after["ledger"]) == sorted(r[column] for r in before["ledger"])
    pseudonyms = {row["user_id"] for row in after["ledger"]} - {row["user_id"] for row in before["ledger"]}
    assert len(pseudonyms) == 1
    mine = [row for row in after["ledger"] if row["user_id"] in pseudonyms]
    assert {row["holder"] for row in mine} == {None}
    assert len({row["reference"] for row in mine}) == len(mine) == 10
    shared = {row["id"]: row for row in before["messages"]}
    for row in after["messages"]:
        old = shared[row["id"]]
        if old["sender"] != str(person):
            assert {c: row[c] for c in ("sender", "body", "cards", "tags")} == {
                c: old[c] for c in ("sender", "body", "cards", "tags")
            }
        else:
            assert (row["sender"], row["body"], row["tags"]) == (None, None, "{}")
            assert row["cards"] == ("[]" if old["cards"].startswith("[") else "{}")


def test_references_of_others_that_are_emptied_are_said(shapes: str) -> None:
    with erasing(shapes, SYSTEM, {"3"}) as work:
        (note,) = work.plan.notes
    assert note.startswith("shapes.posts.parent: ") and "SET NULL" in note


REFUSED: list[tuple[str, str, Callable[[dict[str, Any]], object], list[str]]] = [
    ("undeclared table", "CREATE TABLE forgotten (id int)", lambda p: None, ["public.forgotten", "Declare it"]),
    ("undeclared column", "ALTER TABLE bikes ADD colour text", lambda p: None, ["bikes.columns.colour", "Add"]),
    ("partition detached by hand", "ALTER TABLE points DETACH PARTITION points_y2024m01", lambda p: None,
     ["public.points_y2024m01", "Declare it"]),
    ("other schema", "CREATE SCHEMA old; CREATE TABLE old.users (id int)", lambda p: None, ["'old'"]),
    ("no placeholder", "ALTER TABLE messages ALTER sender SET NOT NULL", lambda p: None,
     ["shapes.messages.sender", "NOT NULL", "bigint"]),
    ("row that stays", "", lambda p: p["tables"]["secrets"].update(erasure={"action": "exempt", "reason": "x"}),
     ["shapes.secrets.user_id", "2 rows that stay", "secrets_user_id_fkey"]),
    ("cascade", "", lambda p: p["tables"]["repairs"].update(erasure={"action": "exempt", "reason": "x"}),
     ["shapes.repairs.bike_id", "ON DELETE CASCADE"]),
    ("cascade to others", "CREATE TABLE loans (id int PRIMARY KEY, bike bigint REFERENCES bikes ON DELETE CASCADE,"
     " friend bigint); INSERT INTO loans SELECT 1, min(id), 7 FROM bikes WHERE user_id = 3",
     lambda p: p["tables"].update(loans={
         "description": "l", "key": ["id"], "subjects": ["friend"],
         "columns": {"id": {"type": "integer"}, "bike": {"type": "bigint"},
                     "friend": {"type": "bigint", "personal": "person_id"}}}),
     ["shapes.loans.bike", "1 rows that stay", "loans_bike_fkey", "delete them"]),
    ("unique", "CREATE UNIQUE INDEX one ON messages (cards) WHERE id < 2", lambda p: None,
     ["shapes.messages.cards", "index one"]),
    ("unique of nulls", "CREATE UNIQUE INDEX one ON messages (sender) NULLS NOT DISTINCT WHERE id < 2", lambda p: None,
     ["shapes.messages.sender", "index one"]),
    ("generated", "ALTER TABLE ledger DROP holder; ALTER TABLE ledger ADD holder text"
     " GENERATED ALWAYS AS ('of ' || user_id::text) STORED", lambda p: None, ["shapes.ledger.holder", "generates"]),
    ("check", "ALTER TABLE ledger ADD CONSTRAINT held CHECK (holder IS NOT NULL)", lambda p: None,
     ["shapes.ledger.holder", "10 rows", "held"]),
    ("key of a pseudonym", "ALTER TABLE ledger ADD FOREIGN KEY (user_id) REFERENCES users", lambda p: None,
     ["shapes.ledger.user_id", "ledger_user_id_fkey"]),
    ("circle", "ALTER TABLE users DROP home; ALTER TABLE users ADD home bigint;"
     " UPDATE users SET home = (SELECT min(id) FROM addresses WHERE user_id = users.id);"
     " ALTER TABLE users ALTER home SET NOT NULL, ADD CONSTRAINT homes FOREIGN KEY (home) REFERENCES addresses",
     lambda p: None, ["circle", "homes", "addresses_user_id_fkey"]),
    ("draft", "", lambda p: p["tables"]["bikes"].update(reviewed=False), ["shapes.bikes", "draft"]),
    ("not marked", "", lambda p: p["tables"]["ledger"]["columns"]["user_id"].pop("personal"),
     ["shapes.ledger.user_id", "person_id"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "alter", "told"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refusals(shapes: str, change: str, alter: Callable[[dict[str, Any]], object], told: list[str]) -> None:
    if change:
        do(shapes, change)
    written = policy()
    alter(written)
    with pytest.raises(ErasureRefused) as refused, erasing(shapes, parsed(written), {"3"}):
        pass
    for each in told:
        assert each in str(refused.value)
    assert "of 3" not in str(refused.value) and "person3" not in str(refused.value)


def test_keys_in_a_circle_that_can_be_deferred(shapes: str) -> None:
    do(
        shapes,
        "ALTER TABLE users ALTER home SET NOT NULL",
        "ALTER TABLE users ALTER CONSTRAINT users_home_fkey DEFERRABLE",
    )
    with erasing(shapes, SYSTEM, {"3"}) as work:
        run(work)
    assert left_of(shapes, 3) == []


def test_hidden_rows_are_refused(shapes: str) -> None:
    role = "erased_hidden"
    do(shapes, f"DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
       f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")  # fmt: skip
    try:
        dsn = psycopg.conninfo.make_conninfo(shapes, user=role, password="x")
        with pytest.raises((ErasureRefused, AccessDenied), match=r"row-level security|row security"):
            with erasing(dsn, SYSTEM, {"3"}):
                pass
    finally:
        do(shapes, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


class _Cut(Exception):
    """Stands for a killed process: the session's transaction is never committed."""


def _cut_off(source: Connection, statements: int) -> list[int]:
    """Lose a session after some statements; what is left of them."""
    left, execute = [statements], source.execute

    def counting(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            source.close()
            raise _Cut
        return execute(*args, **kwargs)

    source.execute = counting  # type: ignore[method-assign]
    return left


@pytest.mark.slow
def test_cut_off_before_any_statement_and_run_again(shapes: str) -> None:
    """After each statement in turn the session is lost; the next goes on, and the end is the same."""
    untouched, kept = others(shapes, 2), None
    for last in itertools.count(1):
        with connect(Dsn(shapes), see_all_rows=True) as source:
            work = erasing_on(source, SYSTEM, {"2"})
            work.scope = kept = kept or work.scope  # the platform keeps it: rows on the way go first
            cut = _cut_off(source, last)
            try:
                run(work)
            except (_Cut, DrivetrainError, psycopg.Error):
                assert cut[0] < 0
                continue
            break
    assert last > 30
    assert left_of(shapes, 2) == []
    now = others(shapes, 2)
    for table in ("addresses", "bikes", "posts", "points", "secrets", "folders", "users"):
        assert now[table] == untouched[table]


def test_rows_that_come_while_others_go(shapes: str) -> None:
    """Somebody writes the person's rows all the while, with ways that lead on; the scope grows before they go."""
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(shapes, autocommit=True) as connection:
            for number in itertools.count(1000):
                if stop.is_set() or number > 1150:
                    return
                try:
                    connection.execute("INSERT INTO bikes VALUES (%s, 3, 'serial of 3')", (number,))
                    connection.execute("INSERT INTO repairs VALUES (%s, 1, 'repair of 3')", (number,))
                    connection.execute("INSERT INTO points VALUES (%s, '2024-01-05+00', 3, 'place of 3')", (number,))
                    connection.execute("UPDATE points SET at = '2024-02-05+00' WHERE id = %s", (number - 1,))
                except psycopg.errors.ForeignKeyViolation:
                    pass

    grown: list[Scope] = []
    with erasing(shapes, SYSTEM, {"3"}) as work:
        work.grown = grown.append
        writer = threading.Thread(target=write)
        writer.start()
        work.run(rounds=3, pause=0)
        writer.join()
        stop.set()
        run(work)
    assert left_of(shapes, 3) == []


def test_a_row_that_moves_to_another_partition(shapes: str) -> None:
    """Between the listing of places and the transaction that takes them."""
    with connect(Dsn(shapes), see_all_rows=True) as source:
        work = erasing_on(source, SYSTEM, {"3"})
        execute, moved = source.execute, []

        def moving(query: Any, *args: Any, **kwargs: Any) -> Any:
            found = execute(query, *args, **kwargs)
            text = query.as_string(source) if hasattr(query, "as_string") else str(query)
            if "pg_get_partition_constraintdef" in text and '"points"' in text and not moved:
                moved.append(do(shapes, "UPDATE points SET at = at + interval '31 days' WHERE user_id = 3"
                                        " AND at < '2024-01-20+00'"))  # fmt: skip
            return found

        source.execute = moving  # type: ignore[method-assign]
        run(work)
        assert moved
    assert left_of(shapes, 3) == []


def test_rows_that_others_have_locked(shapes: str) -> None:
    """They are left, and said to be left; nobody waits for the other. Afterwards they go."""
    with erasing(shapes, SYSTEM, {"3"}) as work, psycopg.connect(shapes) as other:
        other.execute("SELECT FROM points WHERE user_id = 3 LIMIT 4 FOR UPDATE")
        other.execute("SELECT FROM folders WHERE owner = 3 LIMIT 1 FOR UPDATE")
        result = work.run(rounds=2, pause=0)
        left = {each.table: each.residual for each in result.tables if each.residual}
        assert not result.done
        assert left["points"] == 4 and left["folders"] >= 1
        other.rollback()
        run(work)
    assert left_of(shapes, 3) == []


def test_a_total_that_would_change_is_refused(shapes: str) -> None:
    do(shapes, "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
               " $$ BEGIN NEW.amount := 0; RETURN NEW; END $$",
       "CREATE TRIGGER spoil BEFORE UPDATE ON ledger FOR EACH ROW EXECUTE FUNCTION spoil()")  # fmt: skip
    before = do(shapes, "SELECT sum(amount), count(*) FROM ledger WHERE user_id > 0")
    with erasing(shapes, SYSTEM, {"3"}) as work:
        with pytest.raises(ErasureRefused, match="amount"):
            work.run(rounds=2, pause=0)
    assert do(shapes, "SELECT sum(amount), count(*) FROM ledger WHERE user_id > 0") == before


def test_a_person_without_a_pseudonym_is_refused(shapes: str) -> None:
    with erasing(shapes, SYSTEM, {"3"}) as work:
        work.pseudonyms = {}
        with pytest.raises(ErasureRefused, match="pseudonym"):
            work.run(rounds=1)
    assert left_of(shapes, 3)


def test_nothing_is_left_in_statistics(shapes: str) -> None:
    """Also of a table that has no rows afterwards, whose statistics ANALYZE leaves as they were."""
    do(shapes, "DELETE FROM secrets WHERE user_id <> 3", "UPDATE secrets SET word = 'word of 3'", "ANALYZE")
    assert "of 3" in str(do(shapes, "SELECT string_agg(s::text, ',') FROM pg_stats s WHERE schemaname = 'public'"))
    with erasing(shapes, SYSTEM, {"3"}) as work:
        run(work)
        swept = sweep(work.source, [step.relation for step in work.plan.steps])
    assert swept.left == ()
    kept = do(shapes, "SELECT tablename, attname FROM pg_stats s WHERE schemaname = 'public'"
                      " AND (s::text LIKE '% of 3%' OR s::text LIKE '%person3@%')")  # fmt: skip
    assert kept == []


def test_readers_of_both_schemas(shapes: str) -> None:
    """The same way is found through the warehouse, where a table may be missing yet."""
    do(shapes, "CREATE SCHEMA raw_shapes", "CREATE TABLE raw_shapes.bikes AS SELECT 900 AS id, 3::bigint AS user_id")
    with connect(Dsn(shapes), see_all_rows=True) as source:
        both = [operational_reader(source, SYSTEM), raw_reader(source, SYSTEM)]
        scope = find_scope(SYSTEM, {"3"}, both)
    assert "900" in scope.about("repairs")["bike_id"] and len(scope.about("repairs")["bike_id"]) == 4
    assert "3" not in repr(scope)


def test_a_plan_without_anybody(shapes: str) -> None:
    with connect(Dsn(shapes), see_all_rows=True) as source:
        scope = find_scope(SYSTEM, {"77"}, [operational_reader(source, SYSTEM)])
        assert not any(each.rows for each in look_operational(source, SYSTEM, scope).tables)
