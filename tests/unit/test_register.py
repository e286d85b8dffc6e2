"""The register says per table what its policy says, and finds tables by name, kind and erasure."""

from __future__ import annotations

import pytest

from warehouse.catalog.loader import load_catalog, parse_system
from warehouse.catalog.model import Catalog
from warehouse.catalog.register import ColumnEntry, Entry, register
from warehouse.errors import ConfigurationError

CATALOG = Catalog(
    systems={
        "deli": parse_system(
            """
system: deli
title: Deli
description: A shop around the corner.
owner: counter team
laws: [gdpr, ccpa]
history_starts: 2026-01-01
person: {table: guests, key: id, identifiers: {email: email}}
tables:
  guests:
    description: Who came.
    key: [id]
    subjects: [id]
    retention: lifetime
    erasure: delete
    reviewed: false
    columns:
      id: {type: bigint, personal: person_id}
      email: {type: text, description: "For mail.", personal: email}
      second_email: {type: text, personal: email}
      seats: {type: integer}
  bills:
    description: What was paid.
    key: [id]
    subjects: [guest_id, "host -> guests.id"]
    time: at
    retention: {until: law, basis: Tax law, age: 10 years}
    erasure: {action: pseudonymise, basis: Tax law}
    columns:
      id: {type: bigint}
      guest_id: {type: bigint, personal: person_id}
      host: {type: bigint, personal: person_id}
      at: {type: timestamptz}
  tables:
    description: Where they sat.
    key: [id]
    retention: lifetime
    erasure: no_person
    columns:
      id: {type: int}
""",
            "deli.yaml",
        )
    }
)


def test_an_entry_says_what_the_policy_says() -> None:
    guests, bills, tables = register(CATALOG)
    assert guests == Entry(
        system="deli",
        table="guests",
        description="Who came.",
        owner="counter team",
        laws=("gdpr", "ccpa"),
        subjects=("id",),
        personal={"person_id": ("id",), "email": ("email", "second_email")},
        retention="lifetime",
        retention_basis=None,
        erasure="delete",
        erasure_grounds=None,
        reviewed=False,
        columns=(
            ColumnEntry("id", "bigint", "person_id", ""),
            ColumnEntry("email", "text", "email", "For mail."),
            ColumnEntry("second_email", "text", "email", ""),
            ColumnEntry("seats", "integer", None, ""),
        ),
    )
    assert bills.subjects == ("guest_id", "host -> guests.id")
    assert (bills.retention, bills.retention_basis) == ("law, 10 years", "Tax law")
    assert (bills.erasure, bills.erasure_grounds, bills.reviewed) == ("pseudonymise", "Tax law", True)
    assert (tables.subjects, tables.personal) == ((), {})


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"name": "deli"}, ["guests", "bills", "tables"]),
        ({"name": "deli.bills"}, ["bills"]),
        ({"kind": "email"}, ["guests"]),
        ({"kind": "person_id", "erasure": "pseudonymise"}, ["bills"]),
        ({"erasure": "exempt"}, []),
        ({"name": "deli.bills", "kind": "email"}, []),
    ],
)
def test_tables_are_chosen(choice: dict[str, str], found: list[str]) -> None:
    assert [entry.table for entry in register(CATALOG, **choice)] == found


def test_of_one_kind_only_its_columns_are_shown() -> None:
    (guests,) = register(CATALOG, kind="email")
    assert guests.personal == {"email": ("email", "second_email")}
    assert [column.column for column in guests.columns] == ["email", "second_email"]


@pytest.mark.parametrize(
    ("choice", "hint"),
    [
        ({"name": "cafe"}, "There are: deli"),
        ({"name": "deli."}, "There are: guests, bills, tables"),
        ({"name": "deli.chairs"}, "There are: guests, bills, tables"),
        ({"kind": "shoe_size"}, "There are: name, username"),
        ({"erasure": "burn"}, "There are: delete, redact"),
    ],
)
def test_a_name_that_is_none_is_refused_with_those_that_are(choice: dict[str, str], hint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        register(CATALOG, **choice)
    assert refused.value.hint.startswith(hint)


def test_the_projects_register_has_every_table_once() -> None:
    catalog = load_catalog()
    named = [(entry.system, entry.table) for entry in register(catalog)]
    assert named == [(name, table) for name, system in catalog.systems.items() for table in system.tables]
