"""A sound pair of database and policy, small enough to be read, with every kind of partitioning and way to a person.

What does not belong here: ways to break it, and expectations of any one test.
"""

from __future__ import annotations

from warehouse.catalog.loader import parse_system
from warehouse.postgres.contract import check_system
from warehouse.postgres.finding import Finding
from warehouse.postgres.sessions import Dsn, connect

SCHEMA = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN amount AS numeric(12,2);
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, mood mood, updated_at timestamptz NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, total amount,
    code varchar(8) UNIQUE);
CREATE TABLE items (id int PRIMARY KEY, order_id bigint REFERENCES orders, parent int REFERENCES items);
CREATE TABLE cities (name text, note text);
CREATE TABLE points (id bigint, at timestamptz NOT NULL, user_id integer REFERENCES users, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE points_y2024m01 PARTITION OF points FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00');
CREATE TABLE points_y2024m02 PARTITION OF points FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00');
CREATE TABLE ledger (id bigint, user_id bigint REFERENCES users, PRIMARY KEY (id, user_id)) PARTITION BY HASH (user_id);
CREATE TABLE ledger_p0 PARTITION OF ledger FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE ledger_p1 PARTITION OF ledger FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE moods (region text NOT NULL, n int) PARTITION BY LIST (region);
CREATE TABLE moods_eu PARTITION OF moods FOR VALUES IN ('eu');
"""
POLICY = """
system: small
title: small
description: small
owner: us
history_starts: 2024-01-01
person: {table: users, key: id, identifiers: {email: email}}
defaults: {retention: lifetime, erasure: delete}
tables:
  users:
    description: people
    key: [id]
    subjects: [id]
    ingest: {mode: incremental, cursor: updated_at}
    columns:
      id: {type: bigint, personal: person_id}
      email: {type: text, personal: email}
      mood: {type: mood}
      updated_at: {type: timestamptz}
  orders:
    description: orders
    key: [id]
    subjects: [user_id]
    columns: {id: {type: bigint}, user_id: {type: int8}, total: {type: amount}, code: {type: varchar(8)}}
  items:
    description: items
    key: [id]
    subjects: [order_id -> orders, parent -> items]
    columns: {id: {type: int}, order_id: {type: bigint}, parent: {type: int}}
  cities:
    description: cities
    erasure: no_person
    columns: {name: {type: text}, note: {type: text}}
  points:
    description: points
    key: [id, at]
    subjects: [user_id]
    time: at
    ingest: {mode: partition}
    partition: {range: at, every: month, name: "{table}_y{year}m{month}"}
    columns: {id: {type: bigint}, at: {type: timestamptz}, user_id: {type: int}}
  ledger:
    description: ledger
    key: [id, user_id]
    subjects: [user_id]
    partition: {hash: user_id, modulus: 2, name: "{table}_p{remainder}"}
    columns: {id: {type: bigint}, user_id: {type: bigint}}
  moods:
    description: moods
    erasure: no_person
    partition: {list: region}
    columns: {region: {type: text}, n: {type: int}}
"""


def check(dsn: str, policy: str = POLICY) -> list[Finding]:
    """What the contract finds between a database and a policy of the system."""
    with connect(Dsn(dsn)) as connection:
        return check_system(connection, parse_system(policy, "small.yaml"))
