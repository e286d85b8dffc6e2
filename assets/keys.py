"""Every AssetKey is made here, and nowhere else."""

from __future__ import annotations

import dagster as dg


def raw(system: str, table: str) -> dg.AssetKey:
    """An ingested table; equals the key that dagster-dbt gives to the dbt source of the same name."""
    return dg.AssetKey([f"raw_{system}", table])


def model(schema: str, name: str) -> dg.AssetKey:
    """A dbt model, under the schema it is built in."""
    return dg.AssetKey([schema, name])
