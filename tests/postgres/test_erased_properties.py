"""Whatever the schema: after an erasure no value of the person's is anywhere, every other row is as it was, and the
numbers of rows that the law keeps are what they were.

Schemas are generated: direct, shared, over several hops, onto themselves, composite keys, partitions by hash and range,
every action, columns that may be empty and those that may not. What has to be left is worked out row by row in Python.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import yaml
from erased_shapes import erasing_on
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import conninfo, sql

from demo.servers import Servers
from warehouse.catalog.loader import parse_system
from warehouse.postgres.sessions import Dsn, connect

PERSONS = range(1, 5)
ME = 2


@dataclass
class Made:
    """A table: how rows lead to persons, what erasure does, and its rows."""

    name: str
    kind: str  # direct, shared, hop
    action: str
    up: str  # none, subject, link
    composite: bool
    partition: str  # none, hash, range
    not_null: bool
    target: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        return {"direct": ["who"], "shared": ["who", "other"], "hop": ["ref"]}[self.kind]

    @property
    def key(self) -> list[str]:
        day = self.composite or self.partition == "range"
        return ["id", *(["day"] if day else []), *(["who"] if self.partition == "hash" else [])]

    @property
    def personal(self) -> dict[str, str]:
        """Columns that are emptied, and by which subject."""
        own = {"note": self.subjects[0], "doc": self.subjects[0]}
        if self.kind == "shared":
            own["reply"] = "other"
        return own | ({} if self.kind == "hop" else {each: each for each in self.subjects})


@st.composite
def systems(draw: st.DrawFn) -> list[Made]:
    tables: list[Made] = []
    for number in range(draw(st.integers(1, 5))):
        targets = [each.name for each in tables if each.partition != "hash"]
        kind = draw(st.sampled_from(["direct", "shared", *(["hop", "hop"] if targets else [])]))
        action = draw(st.sampled_from(["delete", "redact", "pseudonymise"] if kind != "hop" else ["delete", "redact"]))
        up = draw(st.sampled_from(["none", "subject", "link"])) if action == "delete" else "none"
        composite = up == "none" and draw(st.booleans())
        partition = "none"
        if up == "none":
            by = ["none", "range"] + (["hash"] if kind == "direct" and action != "redact" else [])
            partition = draw(st.sampled_from(by))
        made = Made(f"t{number}", kind, action, up, composite, partition, draw(st.booleans()))
        if kind == "hop":
            made.target = draw(st.sampled_from(targets))
        parents = next((each.rows for each in tables if each.name == made.target), [])
        for n in range(draw(st.integers(0, 9))):
            row: dict[str, Any] = {"id": n + 1, "day": draw(st.integers(1, 50)), "amount": n * 1.25}
            who = draw(st.sampled_from(PERSONS))
            if kind == "hop":
                row["ref"] = draw(st.sampled_from([each["id"] for each in parents])) if parents else None
            else:
                nullable = action == "redact" or partition == "none"
                row["who"] = None if nullable and action != "pseudonymise" and draw(st.integers(0, 9)) == 0 else who
            if kind == "shared":
                row["other"] = draw(st.sampled_from([each for each in PERSONS if each != who]))
                row["reply"] = f"{made.name}-{n}-reply"
            if up != "none":
                row["up"] = draw(st.none() | st.integers(1, n + 1))
            row["note"] = f"{made.name}-{n}-note"
            row["doc"] = draw(st.sampled_from([{"a": 1}, [1, 2]]))
            made.rows.append(row)
        tables.append(made)
    return tables


def ddl(tables: list[Made]) -> str:
    lines = ["CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);"]
    for t in tables:
        end = {"hash": " PARTITION BY HASH (who)", "range": " PARTITION BY RANGE (day)", "none": ""}[t.partition]
        filled = " NOT NULL" if t.not_null else ""
        columns = ["id bigint", "day int NOT NULL", "amount numeric(12,2)", f"note text{filled}", f"doc jsonb{filled}"]
        for subject in t.subjects:
            if subject == "ref":
                parent = next(each for each in tables if each.name == t.target)
                plain = parent.partition == "none" and not parent.composite
                refers = plain and (t.action == "delete" or parent.action != "delete")
                columns.append("ref bigint" + (f" REFERENCES {t.target}" if refers else ""))
            elif t.action == "pseudonymise" or t.partition == "hash":
                columns.append(f"{subject} bigint NOT NULL")
            else:
                deletes = "CASCADE" if t.action == "delete" and t.not_null else "NO ACTION"
                columns.append(f"{subject} bigint REFERENCES users ON DELETE {deletes}")
        if t.kind == "shared":
            columns.append("reply text")
        if t.up != "none":
            columns.append(f"up bigint REFERENCES {t.name} ON DELETE {'SET NULL' if t.up == 'link' else 'NO ACTION'}")
        lines.append(f"CREATE TABLE {t.name} ({', '.join(columns)}, PRIMARY KEY ({', '.join(t.key)})){end};")
        for n in range(2):
            part = f"CREATE TABLE {t.name}_{n} PARTITION OF {t.name} FOR VALUES "
            if t.partition == "hash":
                lines.append(f"{part} WITH (MODULUS 2, REMAINDER {n});")
            if t.partition == "range":
                lines.append(f"{part} FROM ({n * 26}) TO ({n * 26 + 26});")
    return "\n".join(lines)


def catalog(tables: list[Made]) -> str:
    declared: dict[str, Any] = {
        "users": {"description": "u", "key": ["id"], "subjects": ["id"], "erasure": "delete",
                  "columns": {"id": {"type": "bigint", "personal": "person_id"},
                              "email": {"type": "text", "personal": "email"}}}}  # fmt: skip
    for t in tables:
        types = {"id": "bigint", "day": "integer", "amount": "numeric(12,2)", "note": "text", "doc": "jsonb"}
        types |= {"who": "bigint", "other": "bigint", "ref": "bigint", "reply": "text", "up": "bigint"}
        have = ["id", "day", "amount", "note", "doc", *t.subjects, *(["reply"] if t.kind == "shared" else []),
                *(["up"] if t.up != "none" else [])]  # fmt: skip
        columns: dict[str, Any] = {name: {"type": types[name]} for name in have}
        for name, subject in t.personal.items():
            columns[name]["personal"] = "person_id" if name in t.subjects else "free_text"
            if t.kind == "shared" and name not in t.subjects:
                columns[name]["whose"] = subject
        ways = [f"ref -> {t.target}.id" if each == "ref" else each for each in t.subjects]
        ways += [f"up -> {t.name}.id"] if t.up == "subject" else []
        hashed = {"hash": "who", "modulus": 2, "name": "{table}_p{remainder}"}
        keep = {"action": "pseudonymise", "basis": "books"}
        declared[t.name] = {
            "description": "t", "key": t.key, "subjects": ways, "columns": columns,
            "erasure": keep if t.action == "pseudonymise" else t.action,
            **({"partition": hashed} if t.partition == "hash" else {}),
            **({"retention": {"until": "law", "basis": "books"}} if t.action == "pseudonymise" else {}),
        }  # fmt: skip
    return yaml.safe_dump({
        "system": "made", "title": "m", "description": "m", "owner": "us", "history_starts": "2024-01-01",
        "person": {"table": "users", "key": "id", "identifiers": {"email": "email"}},
        "defaults": {"retention": "lifetime"}, "tables": declared,
    })  # fmt: skip


def mine(tables: list[Made]) -> dict[str, dict[int, set[str]]]:
    """By table and row, the subject columns by which it is about the person."""
    found: dict[str, dict[int, set[str]]] = {}
    for t in tables:
        known = found.setdefault(t.name, {})
        while True:
            before = sum(map(len, known.values()))
            for row in t.rows:
                by = {each for each in t.subjects if each != "ref" and row[each] == ME}
                if t.kind == "hop" and row["ref"] in found[t.target]:
                    by.add("ref")
                if t.up == "subject" and row["up"] in known:
                    by.add("up")
                if by:
                    known.setdefault(row["id"], set()).update(by)
            if before == sum(map(len, known.values())):
                break
    return found


@pytest.fixture(scope="module")
def database(servers: Servers) -> Iterator[str]:
    admin = servers.server("operational").dsn("postgres")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield conninfo.make_conninfo(admin, dbname=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def check(dsn: str, tables: list[Made]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute(ddl(tables).encode())
        for person in PERSONS:
            connection.execute("INSERT INTO users VALUES (%s, %s)", (person, f"p{person}@example.org"))
        for t in tables:
            for row in t.rows:
                values = {**row, "doc": json.dumps(row["doc"])}
                names = sql.SQL(", ").join(map(sql.Identifier, values))
                connection.execute(
                    sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                        sql.Identifier(t.name), names, sql.SQL(", ").join(sql.Placeholder() * len(values))
                    ),
                    list(values.values()),
                )
        system = parse_system(catalog(tables), "made.yaml")
        with connect(Dsn(dsn), see_all_rows=True) as source:
            work = erasing_on(source, system, {str(ME)})
            result = work.run(rounds=12, pause=0)
        assert result.done, result
        about = mine(tables)
        emails = [row[0] for row in connection.execute("SELECT email FROM users ORDER BY 1")]
        assert emails == [f"p{person}@example.org" for person in PERSONS if person != ME]
        for t in tables:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(t.name)))
            assert cursor.description
            names = [column.name for column in cursor.description]
            left = {row["id"]: row for row in (dict(zip(names, each, strict=True)) for each in cursor)}
            gone = set(about[t.name]) if t.action == "delete" else set()
            assert set(left) == {row["id"] for row in t.rows} - gone
            for old in t.rows:
                if old["id"] not in gone:
                    _compare(t, old, left[old["id"]], about[t.name].get(old["id"], set()), gone)


def _compare(t: Made, old: dict[str, Any], new: dict[str, Any], by: set[str], gone: set[int]) -> None:
    for column, value in old.items():
        if t.personal.get(column) in by:
            if column in t.subjects and t.action == "pseudonymise":
                assert new[column] < 0
            elif t.not_null and column in ("note", "doc"):
                assert new[column] != value
                assert new[column] == type(value)() if column == "doc" else new[column].startswith("erased-")
            else:
                assert new[column] is None, (t.name, column)
        elif column == "up" and value in gone:
            assert new["up"] is None
        elif column == "amount":
            assert float(new["amount"]) == value
        else:
            assert new[column] == value, (t.name, column)


_SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": False}


@settings(max_examples=12, **_SETTINGS)
@given(systems())
def test_any_schema(database: str, tables: list[Made]) -> None:
    check(database, tables)


@pytest.mark.slow
@settings(max_examples=300, **_SETTINGS)
@given(systems())
def test_any_schema_at_length(database: str, tables: list[Made]) -> None:
    check(database, tables)
