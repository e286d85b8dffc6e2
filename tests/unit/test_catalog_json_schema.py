"""The JSON Schema for editors: the committed file is current, and it judges as the loader does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from warehouse.catalog.json_schema import SCHEMA, catalog_json_schema, rendered
from warehouse.catalog.loader import SOURCES


def as_an_editor_reads_it(text: str) -> Any:
    """YAML as JSON knows it: a date is text."""
    loader = type("Dateless", (yaml.SafeLoader,), {})
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return yaml.load(text, Loader=loader)


VALIDATOR = jsonschema.Draft202012Validator(
    catalog_json_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
SOUND = """
system: shop
title: shop
description: a shop
owner: us
history_starts: 2024-01-01
person: {table: customers, key: id, identifiers: {email: email}}
defaults: {retention: 2 years, erasure: delete}
tables:
  customers:
    description: people
    key: [id]
    subjects: [id, order_id -> orders, {column: id}]
    tiers: {hot: 30 days, cold: {buckets: 8}}
    partition: {hash: id, modulus: 4, name: "{table}_{remainder}"}
    columns: {id: {type: bigint}}
"""


def test_the_committed_file_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == rendered(), "write json_schema.rendered() to json_schema.SCHEMA"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(catalog_json_schema())


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_source_validates(path: Path) -> None:
    VALIDATOR.validate(as_an_editor_reads_it(path.read_text(encoding="utf-8")))


def test_short_forms_and_defaults_validate() -> None:
    VALIDATOR.validate(as_an_editor_reads_it(SOUND))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner: us\n", ""),
        ("owner: us", "owner: us\nownr: us"),
        ("2024-01-01", "soon"),
        ("2 years", "2 yrs"),
        ("retention: 2 years, ", ""),
        ("erasure: delete}", "erasre: delete}"),
        ("erasure: delete", "erasure: exempt"),
        ("  customers:", "  Customers:"),
        ("    description: people\n", ""),
        ("{type: bigint}", "{typ: bigint}"),
        ("hot: 30 days", "hot: 30"),
        ("hash: id, ", ""),
        ("modulus: 4", "modulus: 1"),
        ("modulus: 4, ", "modulus: 4, range: at, "),
    ],
)
def test_mistakes_do_not_validate(old: str, new: str) -> None:
    assert old in SOUND
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(as_an_editor_reads_it(SOUND.replace(old, new, 1)))


def test_without_defaults_each_table_says_all() -> None:
    said = SOUND.replace("defaults: {retention: 2 years, erasure: delete}\n", "")
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(as_an_editor_reads_it(said))
    VALIDATOR.validate(
        as_an_editor_reads_it(
            said.replace("    key: [id]", "    retention: lifetime\n    erasure: undecided\n    key: [id]")
        )
    )
