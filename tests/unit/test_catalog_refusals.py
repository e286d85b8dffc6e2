"""What the loader refuses, and that it says where: file, table, field.

What belongs here: one file. What does not: files side by side (``test_catalog_directories``), and a table that is not
what its policy says (``tests/postgres/test_catalog_contract.py``).
"""

from __future__ import annotations

import pytest
from sound_policy import changed, problems

ORDERS_KEY = "key: [id, at]"
MONTHLY = 'partition: {range: at, every: month, name: "{table}_y{year}m{month}"}'
REFUSED: list[tuple[str, str, str]] = [
    # unknown keys
    ("owner: shop team", "owner: shop team\nownr: x", "shop.yaml: ownr: unknown field; did you mean 'owner'?"),
    ("    time: at", "    time: at\n    tiem: at", "shop.yaml: orders.tiem: unknown field; did you mean 'time'?"),
    (
        "{type: text, personal: email}",
        "{typ: text, type: text}",
        "shop.yaml: customers.columns.email.typ: unknown field",
    ),
    ("every: month", "evry: month", "shop.yaml: orders.partition.evry: unknown field; did you mean 'every'?"),
    ("  erasure: delete", "  erasure: delete\n  erazure: x", "shop.yaml: defaults.erazure: unknown field"),
    ("mode: partition", "mode: partition, curser: at", "shop.yaml: orders.ingest.curser: unknown field"),
    # missing and malformed
    ("owner: shop team\n", "", "shop.yaml: owner: missing"),
    ("    description: people\n", "", "shop.yaml: customers.description: missing"),
    ("description: people", "description: ''", "shop.yaml: customers.description: String should have at least 1 char"),
    ("  retention: lifetime\n", "", "shop.yaml: customers.retention: missing"),
    ("2024-01-01", "soon", "shop.yaml: history_starts: Input should be a valid date"),
    ("2024-01-01", "2024-01-02", "shop.yaml: history_starts: name the first day of a month"),
    ("key: [id]\n", "key: id\n", "shop.yaml: customers.key: write a list, [..., ...] (given 'id')"),
    ("retention: 2 years", "retention: 2 yrs", "shop.yaml: orders.retention.age: '2 yrs' is no age: write a whole"),
    ("retention: 2 years", "retention: 2", "shop.yaml: orders.retention: write a mapping, {field: value}, or an age"),
    ("  retention: lifetime", "  retention: 5", "shop.yaml: defaults.retention: write a mapping"),
    ("hot: 30 days", "hot: 30", "shop.yaml: orders.tiers.hot: '30' is no age"),
    ("hot: 30 days", "hot: -1 days", "shop.yaml: orders.tiers.hot: '-1 days' is no age"),
    ("hot: 30 days", "hot: 2000 years", "shop.yaml: orders.tiers.hot: 2000 years is longer than 1000 years"),
    ("erasure: delete", "erasure: exempt", "shop.yaml: defaults.erasure: exempt needs a written reason"),
    ("erasure: delete", "erasure: forget", "shop.yaml: defaults.erasure.action: Input should be 'delete',"),
    ("personal: email", "personal: mail", "shop.yaml: customers.columns.email.personal: Input should be 'name',"),
    ("{type: text, personal: email}", "text", "shop.yaml: customers.columns.email: write a mapping"),
    ("email: {type: text", "e mail: {type: text", "shop.yaml: customers.columns.e mail: 'e mail' is no column name"),
    ("email: {type: text", "no: {type: text", "in quotes: YAML reads a bare yes, no"),
    ("{type: text, personal: email}", "{type: '', personal: email}", "customers.columns.email.type: names no type"),
    ("  orders:", "  Orders:", "shop.yaml: Orders: 'Orders' is no lower-case SQL identifier"),
    ("  orders:", f"  {'o' * 48}:", "is longer than 47 characters"),
    ("system: shop", "system: Shop", "shop.yaml: system: 'Shop' is no lower-case SQL identifier"),
    ("description: people", "description: people\n    source: a.b.c", "customers.source: 'a.b.c' has more parts"),
    ("description: people", "description: people\n    source: 'a.'", "customers.source: 'a.' is no qualified name"),
    ("between: [0, 100]", "betwen: [0, 100]", "shop.yaml: orders.quality.total.betwen: unknown field"),
    ("between: [0, 100]", "severity: warn", "shop.yaml: orders.quality.total: an empty rule"),
    ("between: [0, 100]", "within: 1 day", "shop.yaml: orders.quality.total: 'within' and 'of' go together"),
    ("{email: email}", "{}", "shop.yaml: person.identifiers: Dictionary should have at least 1 item"),
    ("tables:", "tables: []\nx:", "shop.yaml: tables: write a mapping"),
    ("defaults:\n  retention: lifetime\n  erasure: delete", "defaults: [a]", "shop.yaml: defaults: write a mapping"),
    ("retention: 2 years", "retention: {until: lifetime, age: 2 years}", "retention until 'lifetime' has no age"),
    ("retention: 2 years", "retention: {until: law}", "orders.retention: retention by law names its basis"),
    ("retention: 2 years", "retention: {until: age}", "orders.retention: retention until 'age' needs an age"),
    # one line on a wrong partitioning
    (
        MONTHLY,
        "partition: month",
        "shop.yaml: orders.partition: a partitioning is a mapping with exactly one of range,",
    ),
    (
        MONTHLY,
        "partition: {range: at, hash: id}",
        "shop.yaml: orders.partition: a partitioning is a mapping with exactly",
    ),
    (MONTHLY, "partition: {hash: at}", "shop.yaml: orders.partition.modulus: missing"),
    (
        'name: "{table}_y{year}m{month}"',
        'name: "{table}_{yer}"',
        "orders.partition.name: '{table}_{yer}': unknown place",
    ),
    ('name: "{table}_y{year}m{month}"', 'name: "{table}_{"', "orders.partition.name: '{table}_{' is no name pattern"),
    ('name: "{table}_y{year}m{month}"', 'name: "{year}{month:04d}"', "'{year}{month:04d}' is no name pattern"),
    ('name: "{table}_y{year}m{month}"', 'name: "{table}_{year}"', "orders.partition.name: '{table}_{year}' gives two"),
    ("every: month", "every: day", "one per day needs {year}{month}{day}"),
    (MONTHLY, 'partition: {hash: at, modulus: 4, name: "{table}"}', "'{table}' gives every partition the same name"),
    (MONTHLY, 'partition: {hash: at, modulus: 4, name: "{table}{remainder}", grow_to: 6}', "grow_to: not a multiple"),
    ("every: month", "every: month, drift: ignore", "orders.partition.drift: "),
    # columns that are not declared
    (ORDERS_KEY, "key: [id, at, x]", "shop.yaml: orders.key: no column 'x' is declared under columns"),
    (ORDERS_KEY, "key: [id, at, id]", "shop.yaml: orders.key: a column is named twice"),
    ("subjects: [id]", "subjects: [x]", "shop.yaml: customers.subjects: no column 'x' is declared"),
    ("subjects: [id]", "subjects: [id, id]", "shop.yaml: customers.subjects: the way by 'id' is named twice"),
    ("time: at", "time: x", "shop.yaml: orders.time: no column 'x' is declared"),
    ("      total: {between", "      x: {not_null: true}\n      total: {between", "orders.quality: no column 'x'"),
    ("between: [0, 100]", "not_before: x", "shop.yaml: orders.quality.total.not_before: no column 'x'"),
    ("between: [0, 100]", "between: [3, 2]", "shop.yaml: orders.quality.total.between: 3 is more than 2"),
    ("between: [0, 100]", "among: []", "shop.yaml: orders.quality.total.among: names no value"),
    ("customers.id}", "customers.x}", "shop.yaml: orders.quality.customer.references: no such column 'customers.x'"),
    (
        "{type: text, personal: free_text}",
        "{type: text, bucket: '{x}-docs'}",
        "columns.note.bucket: '{x}-docs': no column",
    ),
    ("createdAt:", "EMAIL:", "customers.columns: 'email' and 'EMAIL' differ in case only"),
    # ingestion
    (f"{ORDERS_KEY}\n", "key: []\n", "shop.yaml: orders.key: mode partition needs a key"),
    ("mode: partition", "mode: incremental", "shop.yaml: orders.ingest.cursor: mode incremental needs a cursor"),
    (
        "mode: partition",
        "mode: partition, cursor: at",
        "shop.yaml: orders.ingest.cursor: mode partition uses no cursor",
    ),
    (
        "mode: partition",
        "mode: incremental, cursor: note",
        "orders.ingest.cursor: column 'note' is text, which does not",
    ),
    ("    time: at\n", "", "shop.yaml: orders.time: mode partition needs the table's event time"),
    ("at: {type: timestamptz}", "at: {type: time}", "orders.time: column 'at' is time without time zone, not a date"),
    ("at: {type: timestamptz}", "at: {type: daterange}", "orders.time: column 'at' is daterange, not a date"),
    ("at: {type: timestamptz}", "at: {type: 'date[]'}", "orders.time: column 'at' is date[], not a date"),
    # life cycle
    (
        MONTHLY,
        MONTHLY.replace("at", "id"),
        "shop.yaml: orders.partition.range: 'id' is not the table's time column 'at'",
    ),
    ("warm: 6 months", "warm: 30 days", "shop.yaml: orders.tiers.warm: 30 days is not later than hot: 30 days"),
    ("hot: 30 days, warm: 6 months", "hot: 12 months, warm: 1 year", "orders.tiers.warm: 1 year is not later than hot"),
    ("hot: 30 days, warm: 6 months, cold", "cold", "shop.yaml: orders.tiers.cold: say after which age"),
    ("hot: 30 days", "hot: 0 days", "shop.yaml: orders.tiers.hot: no row can leave at the age of 0 days"),
    ("retention: 2 years", "retention: 3 months", "orders.tiers.warm: 6 months is past the retention of 3 months"),
    ("retention: 2 years", "retention: 0 days", "shop.yaml: orders.retention: 0 days would delete every row"),
    (
        "    subjects: [id]\n",
        "    subjects: [id]\n    retention: 1 year\n",
        "customers.time: retention by age is counted",
    ),
    ("    subjects: [id]\n", "    subjects: [id]\n    tiers: {hot: 1 day}\n", "customers.time: tiers are counted"),
    # persons and erasure
    ("{table: customers,", "{table: people,", "shop.yaml: person.table: no table 'people'"),
    ("key: id, identifiers", "key: x, identifiers", "shop.yaml: person.key: customers has no column 'x'"),
    ("{email: email}}", "{mail: email}}", "shop.yaml: person.identifiers: customers has no column 'mail'"),
    ("{email: email}}", "{email: email}, region: x}", "shop.yaml: person.region: customers has no column 'x'"),
    ("{email: email}}", "{email: email}, since: x}", "shop.yaml: person.since: customers has no column 'x'"),
    (
        "person: {table: customers, key: id, identifiers: {email: email}}\n",
        "",
        "orders.subjects: the system declares no",
    ),
    ("customer -> customers]", "customer -> people]", "orders.subjects: customer -> people: no such table"),
    ("customer -> customers]", "customer -> customers.x]", "customer -> customers.x: no such column"),
    ("customer -> customers]", "customer -> orders]", "customer -> orders: its key has 2 columns; name one"),
    ("customer -> customers]", "customer -> orders.id]", "the way goes in a circle and reaches no person"),
    ("[customer -> customers]", "[{column: customer, to: id}]", "'to' names a column of a table; name the table"),
    (
        "    subjects: [id]\n",
        "    erasure: {action: exempt, reason: x}\n",
        "customer -> customers: that table leads to no",
    ),
    ("    subjects: [id]\n", "", "shop.yaml: customers.subjects: erasure 'delete' needs a way to the person"),
    (
        "retention: 2 years",
        "retention: 2 years\n    erasure: no_person",
        "orders.erasure: 'no_person' contradicts subj",
    ),
    (
        "retention: 2 years",
        "retention: 2 years\n    erasure: no_person",
        "contradicts the personal column(s) customer, note",
    ),
    ("    subjects: [id]\n", "    erasure: no_person\n", "customers.erasure: 'no_person' contradicts person.table"),
    (
        "retention: 2 years",
        "retention: {until: law, basis: tax}",
        "orders.erasure: 'delete' contradicts a retention by",
    ),
    ("retention: 2 years", "retention: undecided", "shop.yaml: orders.reviewed: retention not decided yet"),
    ("personal: free_text", "personal: unreviewed", "orders.reviewed: columns.note.personal not decided yet"),
    ("retention: 2 years", "erasure: undecided\n    retention: 2 years", "orders.reviewed: erasure not decided yet"),
    (
        "description: people",
        "description: people\n    source: public.orders",
        "tables: public.orders is declared twice",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED, ids=[f"{new[:40]!r}" for _, new, _ in REFUSED])
def test_refused_with_file_table_and_field(old: str, new: str, said: str) -> None:
    found = problems(changed(old, new))
    assert any(said in line for line in found), found
    assert all(line.startswith("shop.yaml: ") and "\n" not in line for line in found)


def test_redaction_needs_something_to_redact() -> None:
    text = changed("retention: 2 years", "retention: 2 years\n    erasure: redact")
    text = text.replace(", personal: person_id}\n      note", "}\n      note").replace(", personal: free_text", "")
    assert problems(text) == [
        "shop.yaml: orders.erasure: 'redact' changes the personal columns, and no column is marked personal"
    ]


def test_all_problems_are_told_at_once() -> None:
    text = changed("owner: shop team\n", "").replace("time: at", "tiem: at").replace("every: month", "every: moon")
    assert {line.split(": ")[1] for line in problems(text)} == {"owner", "orders.tiem", "orders.partition.every"}


def test_what_is_wrong_in_the_defaults_is_told_once() -> None:
    assert problems(changed("  retention: lifetime", "  retention: 1 yr")) == [
        "shop.yaml: defaults.retention.age: '1 yr' is no age: write a whole number and a unit,"
        " for example '30 days' or '2 years' (given '1 yr')"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty, or not a mapping"),
        ("- a", "empty, or not a mapping"),
        ("a: [", "not readable as YAML"),
        ("a: 1\na: 2", "key 'a' stands twice"),
        ("tables: {a: {columns: {x: {type: int, type: text}}}}", "key 'type' stands twice"),
        ("? [a]\n: b", "a key is plain text"),
        ("a: !!python/object:os.system {}", "not readable as YAML"),
        ("a: \x00", "not readable as YAML"),
        ("tables: {1: {}}", "1: write text"),
    ],
)
def test_what_is_no_catalog_file(text: str, said: str) -> None:
    assert any(line.startswith("shop.yaml: ") and said in line for line in problems(text)), problems(text)
