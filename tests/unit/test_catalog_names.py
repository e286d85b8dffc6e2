"""Qualified names of tables: written, read back, and refused.

What does not belong here: names of partitions (``test_catalog_model``), and names that are refused by the place where
they stand (``test_catalog_refusals``).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sound_policy import changed

from warehouse.catalog.base import join_name, split_name
from warehouse.catalog.loader import parse_system


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
