"""What the loader refuses, and that it says where: file, table, field."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from warehouse.catalog import load_catalog
from warehouse.catalog.age import Age, parse_age
from warehouse.catalog.base import join_name, split_name
from warehouse.catalog.loader import SOURCES, parse_system
from warehouse.catalog.model import System
from warehouse.catalog.partition import HashPartition, RangePartition
from warehouse.catalog.types import normalise_type, unqualified
from warehouse.errors import CatalogError

SOUND = """
system: shop
title: shop
description: a shop
owner: shop team
history_starts: 2024-01-01
person: {table: customers, key: id, identifiers: {email: email}}
defaults:
  retention: lifetime
  erasure: delete
tables:
  customers:
    description: people
    key: [id]
    subjects: [id]
    columns:
      id: {type: bigint, personal: person_id}
      email: {type: text, personal: email}
      createdAt: {type: timestamptz}
  orders:
    description: what they bought
    key: [id, at]
    subjects: [customer -> customers]
    time: at
    ingest: {mode: partition}
    partition: {range: at, every: month, name: "{table}_y{year}m{month}"}
    tiers: {hot: 30 days, warm: 6 months, cold: {buckets: 8}}
    retention: 2 years
    columns:
      id: {type: bigint}
      at: {type: timestamptz}
      customer: {type: bigint, personal: person_id}
      note: {type: text, personal: free_text}
      total: {type: "numeric(12,2)"}
    quality:
      total: {between: [0, 100]}
      customer: {references: customers.id}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        parse_system(text, "shop.yaml")
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert old in SOUND
    return SOUND.replace(old, new, 1)


def test_a_sound_policy_loads() -> None:
    system = parse_system(SOUND, "shop.yaml")
    assert system.tables["orders"].columns["at"].type == "timestamp with time zone"
    assert system.tables["customers"].retention.until == "lifetime"
    assert str(system.tables["orders"].retention.age) == "2 years"
    assert system.source_of("orders") == ("public", "orders")
    assert isinstance(system.tables["orders"].partition, RangePartition)


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
    (ORDERS_KEY, "key: [id]", "shop.yaml: orders.key: PostgreSQL has the partition column in every key"),
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


def test_a_self_reference_is_allowed_beside_a_real_way() -> None:
    text = changed("[customer -> customers]", "[customer -> customers, note -> orders.note]")
    assert len(parse_system(text, "shop.yaml").tables["orders"].subjects) == 2


def test_a_table_overrides_the_defaults() -> None:
    text = changed("    subjects: [id]\n", "    subjects: [id]\n    erasure: {action: exempt, reason: test}\n")
    assert parse_system(text, "shop.yaml").tables["customers"].erasure.reason == "test"


def test_the_files_of_a_directory_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SOUND)
    assert list(load_catalog(tmp_path).systems) == ["shop"]
    (tmp_path / "other.yaml").write_text(SOUND)
    (tmp_path / "third.yml").write_bytes(b"\xff")
    (tmp_path / "fourth.yaml").write_text("{}")
    with pytest.raises(CatalogError) as caught:
        load_catalog(tmp_path)
    assert [line.split(":")[0] for line in caught.value.problems if "missing" not in line] == [
        "other.yaml",
        "third.yml",
    ]
    assert "fourth.yaml: system: missing" in caught.value.problems


def test_several_directories_are_one_catalog(tmp_path: Path) -> None:
    """A team's own system beside those of the project."""
    (tmp_path / "mine.yaml").write_text(SOUND.replace("system: shop", "system: mine"))
    assert list(load_catalog(SOURCES, tmp_path).systems) == [*load_catalog().systems, "mine"]
    assert list(load_catalog(tmp_path, tmp_path).systems) == ["mine"]


def test_a_system_in_two_directories_is_an_error_that_names_both_files(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SOUND)
    with pytest.raises(CatalogError) as refused:
        load_catalog(SOURCES, tmp_path)
    assert refused.value.problems == [
        f"{tmp_path / 'shop.yaml'}: system 'shop' has another file already: {SOURCES / 'shop.yaml'}"
    ]


def test_an_empty_directory_among_several_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no catalog file"):
        load_catalog(SOURCES, tmp_path)


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no catalog file"):
        load_catalog(tmp_path)


def test_the_projects_own_catalog_loads() -> None:
    assert sorted(load_catalog().systems) == sorted(path.stem for path in SOURCES.glob("*.yaml"))
    assert set(load_catalog().systems) == {"bikenode", "throttlecove", "logistics", "carddb", "shop"}


def test_models_are_frozen() -> None:
    system = parse_system(SOUND, "shop.yaml")
    with pytest.raises(ValidationError):
        system.owner = "me"  # type: ignore[misc]


# --- names ------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_qualified_names_come_back(parts: list[str]) -> None:
    assert split_name(join_name(*parts)) == tuple(parts)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", 'a"b', '"a', '""', 'a."b"c', "a..b"])
def test_no_qualified_name(text: str) -> None:
    with pytest.raises(ValueError, match="no qualified name"):
        split_name(text)


def test_a_source_may_have_any_name() -> None:
    text = changed("description: people", 'description: people\n    source: \'"my.schema"."Order ""Items"\'')
    assert parse_system(text, "shop.yaml").source_of("customers") == ("my.schema", 'Order "Items')
    text = changed("description: people", "description: people\n    source: Customers")
    assert parse_system(text, "shop.yaml").source_of("customers") == ("public", "Customers")


@given(st.integers(2, 64), st.integers(0, 63))
def test_hash_partitions_are_named_by_the_pattern(modulus: int, remainder: int) -> None:
    policy = HashPartition(hash="id", modulus=modulus, name="{table}_p{remainder:02d}")
    assert policy.partition_name("ledger", remainder) == f"ledger_p{remainder:02d}"


# --- ages -------------------------------------------------------------------------------------------------------

UNITS = st.sampled_from(["minute", "hour", "day", "week", "month", "year"])
AGES = st.builds(lambda count, unit: Age(count=count, unit=unit), st.integers(0, 1000), UNITS)


@given(AGES)
def test_an_age_reads_back_as_it_is_written(age: Age) -> None:
    assert Age.model_validate(parse_age(str(age))) == age


@given(AGES, AGES)
def test_ages_are_ordered_by_length(one: Age, other: Age) -> None:
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(one, other) == compare(one.approximate_days, other.approximate_days)


@pytest.mark.parametrize(("one", "other"), [("12 months", "1 year"), ("60 minutes", "1 hour"), ("7 days", "1 week")])
def test_equal_lengths_in_other_units(one: str, other: str) -> None:
    first, second = (Age.model_validate(parse_age(text)) for text in (one, other))
    assert first <= second <= first
    assert not first < second
    assert not first > second


@pytest.mark.parametrize(
    "text", ["", "days", "1.5 days", "-1 day", "1 dayz", "1day", "1 day 2 hours", "٣ days", "1e3 days"]
)
def test_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="no age"):
        parse_age(text)


# --- types ------------------------------------------------------------------------------------------------------

SPELLED = {
    "timestamptz(3)[]": "timestamp(3) with time zone[]",
    "TIMESTAMP  (3)  WITH TIME ZONE": "timestamp(3) with time zone",
    "timestamp": "timestamp without time zone",
    "time(2)": "time(2) without time zone",
    "timetz": "time with time zone",
    "int": "integer",
    "INT8": "bigint",
    "int[3][]": "integer[]",
    "varchar(10)": "character varying(10)",
    "varchar": "character varying",
    "char": "character(1)",
    "character(3)": "character(3)",
    "bpchar": "bpchar",
    '"char"': '"char"',
    "bit": "bit(1)",
    "varbit(3)": "bit varying(3)",
    "decimal( 12, 2 )": "numeric(12,2)",
    "numeric(5,-2)": "numeric(5,-2)",
    "float8": "double precision",
    "bool": "boolean",
    "interval day to second(3)": "interval day to second(3)",
    'App."Order  Status"[]': 'app."Order  Status"[]',
    '"a.b"."c(x)"': '"a.b"."c(x)"',
}


@pytest.mark.parametrize(("given_", "expected"), SPELLED.items())
def test_types_are_spelled_as_the_database_does(given_: str, expected: str) -> None:
    assert normalise_type(given_) == expected


BASES = st.sampled_from(
    ["int", "timestamptz", "varchar", "bit", "char", "text", "mood", 'app."My ""Type"""', '"char"', "time"]
)


@given(
    BASES, st.sampled_from(["", "(3)"]), st.sampled_from(["", "[]", "[][]", " [3]"]), st.sampled_from(["", " ", "\t"])
)
def test_a_normalised_type_stays_as_it_is(base: str, arguments: str, array: str, blank: str) -> None:
    once = normalise_type(f"{blank}{base}{blank}{arguments}{array}{blank}")
    assert normalise_type(once) == once
    assert once.endswith("[]") == bool(array)
    if '"' not in base:
        assert normalise_type(f"{base}{arguments}{array}".upper()) == once


@given(st.text())
def test_any_text_is_a_type_or_refused(text: str) -> None:
    try:
        once = normalise_type(text)
    except ValueError:
        return
    assert normalise_type(once) == once


@pytest.mark.parametrize(
    ("text", "bare"),
    [("app.mood", "mood"), ("mood", "mood"), ('"a.b"."C.d"[]', '"C.d"[]'), ("app.geo(point,4)", "geo(point,4)"),
     ("timestamp(3) with time zone", "timestamp(3) with time zone"), ("numeric(12,2)", "numeric(12,2)")],
)  # fmt: skip
def test_unqualified(text: str, bare: str) -> None:
    assert unqualified(text) == bare


def test_the_policy_survives_its_own_dump() -> None:
    for path in SOURCES.glob("*.yaml"):
        system = parse_system(path.read_text(encoding="utf-8"), path.name)
        dumped: Any = yaml.safe_load(yaml.safe_dump(system.model_dump(mode="json", by_alias=True)))
        assert System.model_validate(dumped) == system
