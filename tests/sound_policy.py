"""A sound policy of a shop, a way to change it, and what the loader then says is wrong.

What does not belong here: any change, and what is expected of it.
"""

from __future__ import annotations

import pytest

from warehouse.catalog.loader import parse_system
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
    """What the loader says of a policy that it refuses."""
    with pytest.raises(CatalogError) as caught:
        parse_system(text, "shop.yaml")
    return caught.value.problems


def changed(old: str, new: str) -> str:
    """The sound policy with one text in place of another."""
    assert old in SOUND
    return SOUND.replace(old, new, 1)
