"""What a sound policy becomes when it is loaded.

What does not belong here: what is refused (``test_catalog_refusals``), and how names, ages and types are spelled.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sound_policy import SOUND, changed

from warehouse.catalog.loader import SOURCES, parse_system
from warehouse.catalog.model import System
from warehouse.catalog.partition import HashPartition, RangePartition


def test_a_sound_policy_loads() -> None:
    system = parse_system(SOUND, "shop.yaml")
    assert system.tables["orders"].columns["at"].type == "timestamp with time zone"
    assert system.tables["customers"].retention.until == "lifetime"
    assert str(system.tables["orders"].retention.age) == "2 years"
    assert system.source_of("orders") == ("public", "orders")
    assert isinstance(system.tables["orders"].partition, RangePartition)


def test_a_plain_table_is_declared_as_what_it_will_be_under_the_key_that_it_has() -> None:
    system = parse_system(changed("key: [id, at]", "key: [id]"), "shop.yaml")
    assert system.tables["orders"].key == ("id",)


def test_a_self_reference_is_allowed_beside_a_real_way() -> None:
    text = changed("[customer -> customers]", "[customer -> customers, note -> orders.note]")
    assert len(parse_system(text, "shop.yaml").tables["orders"].subjects) == 2


def test_a_table_overrides_the_defaults() -> None:
    text = changed("    subjects: [id]\n", "    subjects: [id]\n    erasure: {action: exempt, reason: test}\n")
    assert parse_system(text, "shop.yaml").tables["customers"].erasure.reason == "test"


def test_models_are_frozen() -> None:
    system = parse_system(SOUND, "shop.yaml")
    with pytest.raises(ValidationError):
        system.owner = "me"  # type: ignore[misc]


@given(st.integers(2, 64), st.integers(0, 63))
def test_hash_partitions_are_named_by_the_pattern(modulus: int, remainder: int) -> None:
    policy = HashPartition(hash="id", modulus=modulus, name="{table}_p{remainder:02d}")
    assert policy.partition_name("ledger", remainder) == f"ledger_p{remainder:02d}"


def test_the_policy_survives_its_own_dump() -> None:
    for path in SOURCES.glob("*.yaml"):
        system = parse_system(path.read_text(encoding="utf-8"), path.name)
        dumped: Any = yaml.safe_load(yaml.safe_dump(system.model_dump(mode="json", by_alias=True)))
        assert System.model_validate(dumped) == system
