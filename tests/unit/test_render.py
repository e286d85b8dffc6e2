"""What the catalog makes of the dbt project: by example, on systems of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import Catalog
from warehouse.catalog.render import quoted, render_dbt, rendered_files, write_dbt
from warehouse.errors import CatalogError

DELI = """
system: deli
title: Deli
description: A shop around the corner.
owner: counter team
laws: [gdpr]
history_starts: 2026-01-01
person: {table: guests, key: id, identifiers: {email: email}}
tables:
  guests:
    description: One row per guest, {{ said }} "loosely".
    key: [id]
    subjects: [id]
    retention: lifetime
    erasure: delete
    columns:
      id: {type: bigint, description: "Key.", personal: person_id}
      email: {type: text, description: "Address: for mail # and more.", personal: email}
      password_hash: {type: text, personal: credential}
      order: {type: integer, description: "Place in the queue."}
      Since: {type: timestamptz}
  secrets:
    description: Nothing but credentials.
    key: []
    subjects: [token]
    retention: lifetime
    erasure: delete
    columns:
      token: {type: text, personal: credential}
  orders:
    description: What was ordered.
    key: [id]
    subjects: [guest_id]
    time: at
    retention: 2 years
    erasure: delete
    columns:
      id: {type: bigint}
      guest_id: {type: bigint, personal: person_id}
      at: {type: timestamptz}
"""


def catalog(*texts: str) -> Catalog:
    systems = [parse_system(text, "test.yaml") for text in texts]
    return Catalog(systems={system.system: system for system in systems})


@pytest.fixture
def files() -> dict[str, str]:
    return render_dbt(catalog(DELI))


def document(files: dict[str, str], name: str) -> Any:
    return yaml.safe_load(files[f"models/staging/deli/{name}"])


def test_the_files_of_a_system(files: dict[str, str]) -> None:
    assert sorted(files) == [
        "models/staging/deli/_deli__sources.yml",
        "models/staging/deli/stg_deli__guests.sql",
        "models/staging/deli/stg_deli__guests.yml",
        "models/staging/deli/stg_deli__orders.sql",
        "models/staging/deli/stg_deli__orders.yml",
    ]
    assert all("rendered by `drivetrain catalog render`" in text.splitlines()[0] for text in files.values())
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in files.values())


def test_a_staging_model_names_its_columns_and_leaves_credentials_out(files: dict[str, str]) -> None:
    assert files["models/staging/deli/stg_deli__guests.sql"].splitlines()[1:] == [
        "select",
        "    id,",
        "    email,",
        '    "order",',
        '    "Since"',
        "from {{ source('raw_deli', 'guests') }}",
    ]


def test_a_model_says_what_it_leaves_out_and_what_is_personal(files: dict[str, str]) -> None:
    (guests,) = document(files, "stg_deli__guests.yml")["models"]
    assert guests["description"].endswith("Left out here, as credentials: password_hash.")
    assert guests["columns"] == [
        {"name": "id", "description": "Key.", "config": {"meta": {"personal": "person_id"}}},
        {"name": "email", "description": "Address: for mail # and more.", "config": {"meta": {"personal": "email"}}},
        {"name": "order", "quote": True, "description": "Place in the queue."},
        {"name": "Since", "quote": True},
    ]


def test_descriptions_are_no_jinja(files: dict[str, str]) -> None:
    assert not any("{{" in text or "{%" in text for path, text in files.items() if path.endswith(".yml"))


def test_sources_are_every_raw_table_with_its_policy(files: dict[str, str]) -> None:
    sources = document(files, "_deli__sources.yml")
    assert sources["groups"] == [{"name": "deli", "owner": {"name": "counter team"}}]
    (source,) = sources["sources"]
    assert (source["name"], source["schema"]) == ("raw_deli", "raw_deli")
    assert [table["name"] for table in source["tables"]] == ["guests", "secrets", "orders"]
    assert source["tables"][2]["config"]["meta"] == {
        "key": ["id"],
        "erasure": "delete",
        "retention": "2 years",
        "time": "at",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [("id", "id"), ("name", "name"), ("select", '"select"'), ("Since", '"Since"'), ("größe", '"größe"')],
)
def test_columns_are_quoted_where_they_must_be(name: str, expected: str) -> None:
    assert quoted(name) == expected


def test_writing_twice_changes_nothing_and_removes_what_is_gone(tmp_path: Path) -> None:
    other = DELI.replace("system: deli", "system: cafe")
    own = tmp_path / "models/staging/deli/by_hand.sql"
    own.parent.mkdir(parents=True)
    own.write_text("select 1")
    assert len(write_dbt(catalog(DELI, other), tmp_path)) == 10
    assert write_dbt(catalog(DELI, other), tmp_path) == []
    edited = tmp_path / "models/staging/deli/stg_deli__orders.sql"
    edited.write_text(edited.read_text() + "-- by hand")
    removed = [path for path in rendered_files(tmp_path) if "/cafe/" in path]
    assert write_dbt(catalog(DELI), tmp_path) == sorted([*removed, "models/staging/deli/stg_deli__orders.sql"])
    assert rendered_files(tmp_path) == render_dbt(catalog(DELI))
    assert not (tmp_path / "models/staging/cafe").exists()
    assert own.read_text() == "select 1"


def test_a_model_name_that_is_too_long_is_refused() -> None:
    text = DELI.replace("system: deli", f"system: {'s' * 30}").replace("  orders:", f"  {'t' * 40}:")
    with pytest.raises(CatalogError, match="longer than 63"):
        render_dbt(catalog(text))


def test_two_tables_with_one_model_name_are_refused() -> None:
    first = DELI.replace("system: deli", "system: a").replace("  orders:", "  b__c:")
    second = DELI.replace("system: deli", "system: a__b").replace("  orders:", "  c:")
    with pytest.raises(CatalogError, match="both would have the staging model 'stg_a__b__c'"):
        render_dbt(catalog(first, second))
