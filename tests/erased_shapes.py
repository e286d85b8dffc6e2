"""A system of many shapes, for tests of erasure in its own tables: references over several hops and onto themselves,
shared rows, composite keys, hash and range partitions, row-level security, a circle of foreign keys.

What does not belong here: expectations of any one test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import yaml

from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import System
from warehouse.erasure.deleting import Erasing
from warehouse.erasure.operational import look_operational, operational_reader
from warehouse.erasure.replacing import make_pseudonyms
from warehouse.erasure.scope import find_scope
from warehouse.postgres.sessions import Connection, Dsn, connect

SCHEMA = """
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, home bigint);
CREATE TABLE addresses (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, street text NOT NULL);
ALTER TABLE users ADD FOREIGN KEY (home) REFERENCES addresses;
CREATE TABLE bikes (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, serial text);
CREATE TABLE repairs (bike_id bigint REFERENCES bikes ON DELETE CASCADE, no int, note text, PRIMARY KEY (bike_id, no));
CREATE TABLE parts (id bigint PRIMARY KEY, bike_id bigint NOT NULL, repair int NOT NULL,
    FOREIGN KEY (bike_id, repair) REFERENCES repairs);
CREATE TABLE posts (id bigint PRIMARY KEY, author bigint NOT NULL REFERENCES users, body text NOT NULL,
    parent bigint REFERENCES posts ON DELETE SET NULL);
CREATE TABLE folders (id bigint PRIMARY KEY, owner bigint REFERENCES users, up bigint REFERENCES folders, name text);
CREATE TABLE messages (id bigint PRIMARY KEY, sender bigint REFERENCES users, receiver bigint REFERENCES users,
    body text, cards jsonb NOT NULL DEFAULT '[]', tags text[] NOT NULL DEFAULT '{}', seen boolean,
    CHECK (sender <> receiver));
CREATE TABLE ledger (user_id bigint NOT NULL, id bigint, amount numeric(12,2) NOT NULL, fee real,
    reference text NOT NULL, holder text, PRIMARY KEY (user_id, id)) PARTITION BY HASH (user_id);
CREATE TABLE ledger_p0 PARTITION OF ledger FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE ledger_p1 PARTITION OF ledger FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE points (id bigint, at timestamptz NOT NULL, user_id bigint NOT NULL, place text, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE INDEX ON points (user_id);
CREATE TABLE points_y2024m01 PARTITION OF points FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00');
CREATE TABLE points_y2024m02 PARTITION OF points FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00');
CREATE TABLE secrets (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, word text NOT NULL);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE TABLE cities (name text PRIMARY KEY);
"""

ROWS = """
INSERT INTO users SELECT i, 'person' || i || '@example.org', NULL FROM generate_series(1, 8) i;
INSERT INTO addresses SELECT i, 1 + i % 8, 'street of ' || (1 + i % 8) FROM generate_series(1, 16) i;
UPDATE users SET home = (SELECT min(id) FROM addresses WHERE user_id = users.id);
INSERT INTO bikes SELECT i, 1 + i % 8, 'serial ' || i || ' of ' || (1 + i % 8) FROM generate_series(1, 24) i;
INSERT INTO repairs SELECT b.id, n, 'repair of ' || b.user_id FROM bikes b, generate_series(1, 2) n;
INSERT INTO parts SELECT row_number() OVER (), bike_id, no FROM repairs;
INSERT INTO posts SELECT i, 1 + i % 8, 'text of ' || (1 + i % 8), nullif(i / 2, 0) FROM generate_series(1, 40) i;
INSERT INTO folders SELECT i, 1 + i % 8, CASE WHEN i > 8 THEN i - 8 END, 'folder of ' || (1 + i % 8)
    FROM generate_series(1, 40) i;
UPDATE folders SET up = 33 WHERE id = 1;
INSERT INTO messages SELECT i, 1 + i % 8, 1 + (i + 1 + i / 8) % 8, 'words of ' || (1 + i % 8),
    CASE WHEN i % 2 = 0 THEN '[{"pin": 1}]' ELSE '{"a": 1}' END::jsonb, ARRAY['tag of ' || (1 + i % 8)]
    FROM generate_series(1, 60) i WHERE (i + 1 + i / 8) % 8 <> i % 8;
INSERT INTO ledger SELECT 1 + i % 8, i, i * 1.25, i / 3.0, 'reference ' || i || ' of ' || (1 + i % 8),
    'holder of ' || (1 + i % 8) FROM generate_series(1, 80) i;
INSERT INTO points SELECT i, '2024-01-01+00'::timestamptz + i * interval '11 hours', 1 + i % 8,
    'place of ' || (1 + i % 8) FROM generate_series(1, 120) i;
INSERT INTO secrets SELECT i, 1 + i % 8, 'word of ' || (1 + i % 8) FROM generate_series(1, 16) i;
INSERT INTO cities VALUES ('Ghent');
ANALYZE;
"""

_KEEP = {"action": "pseudonymise", "basis": "books"}


def policy() -> dict[str, Any]:
    """The policy, to be changed by a test."""

    def table(key: list[str], columns: dict[str, Any], subjects: list[str], **more: Any) -> dict[str, Any]:
        declared = {name: ({"type": kind} if isinstance(kind, str) else kind) for name, kind in columns.items()}
        return {"description": "t", "key": key, "columns": declared, "subjects": subjects, **more}

    def personal(kind: str, what: str = "free_text", **more: str) -> dict[str, str]:
        return {"type": kind, "personal": what, **more}

    person = personal("bigint", "person_id")
    return {
        "system": "shapes", "title": "s", "description": "s", "owner": "us", "history_starts": "2024-01-01",
        "person": {"table": "users", "key": "id", "identifiers": {"email": "email"}},
        "defaults": {"retention": "lifetime", "erasure": "delete"},
        "tables": {
            "users": table(["id"], {"id": person, "email": personal("text", "email"), "home": "bigint"}, ["id"]),
            "addresses": table(["id"], {"id": "bigint", "user_id": person, "street": personal("text")}, ["user_id"]),
            "bikes": table(["id"], {"id": "bigint", "user_id": person, "serial": personal("text")}, ["user_id"]),
            "repairs": table(["bike_id", "no"], {"bike_id": "bigint", "no": "integer", "note": personal("text")},
                             ["bike_id -> bikes"]),
            "parts": table(["id"], {"id": "bigint", "bike_id": "bigint", "repair": "integer"}, ["bike_id -> bikes"]),
            "posts": table(["id"], {"id": "bigint", "author": person, "body": personal("text"), "parent": "bigint"},
                           ["author"]),
            "folders": table(["id"], {"id": "bigint", "owner": person, "up": "bigint", "name": personal("text")},
                             ["owner", "up -> folders"]),
            "messages": table(
                ["id"],
                {"id": "bigint", "sender": person, "receiver": person, "body": personal("text", whose="sender"),
                 "cards": personal("jsonb", whose="sender"), "tags": personal("text[]", whose="sender"),
                 "seen": personal("boolean", "profile", whose="receiver")},
                ["sender", "receiver"], erasure="redact"),
            "ledger": table(
                ["user_id", "id"],
                {"user_id": person, "id": "bigint", "amount": "numeric(12,2)", "fee": "real",
                 "reference": personal("text", "reference"), "holder": personal("text", "name")},
                ["user_id"], partition={"hash": "user_id", "modulus": 2, "name": "{table}_p{remainder}"},
                retention={"until": "law", "basis": "books"}, erasure=_KEEP),
            "points": table(
                ["id", "at"], {"id": "bigint", "at": "timestamptz", "user_id": person, "place": personal("text")},
                ["user_id"], time="at", partition={"range": "at", "every": "month", "name": "{table}_y{year}m{month}"}),
            "secrets": table(["id"], {"id": "bigint", "user_id": person, "word": personal("text")}, ["user_id"]),
            "cities": table(["name"], {"name": "text"}, [], erasure="no_person"),
        },
    }  # fmt: skip


def parsed(written: dict[str, Any]) -> System:
    return parse_system(yaml.safe_dump(written), "shapes.yaml")


@contextmanager
def erasing(dsn: str, system: System, persons: set[str]) -> Iterator[Erasing]:
    """Ready to run: looked up, with pseudonyms."""
    with connect(Dsn(dsn), see_all_rows=True) as source:
        yield erasing_on(source, system, persons)


def erasing_on(source: Connection, system: System, persons: set[str]) -> Erasing:
    scope = find_scope(system, persons, [operational_reader(source, system)])
    plan = look_operational(source, system, scope)
    return Erasing(source, system, plan, scope, make_pseudonyms("bigint", persons), sleep=lambda _: None)


def rows(dsn: str, system: System) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, each column as text."""
    found: dict[str, list[dict[str, Any]]] = {}
    with psycopg.connect(dsn, options="-c timezone=UTC", row_factory=psycopg.rows.dict_row) as connection:
        for name, table in system.tables.items():
            columns = ", ".join(f'"{column}"::text' for column in table.columns)
            found[name] = connection.execute(f"SELECT {columns} FROM {name} ORDER BY {columns}".encode()).fetchall()
    return found
