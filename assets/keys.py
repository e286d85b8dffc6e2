"""Every AssetKey and group name is made here, and nowhere else."""

from __future__ import annotations

from typing import Literal

import dagster as dg

#: Schemas and key prefixes of ingested tables begin so.
RAW = "raw_"


def raw(system: str, table: str) -> dg.AssetKey:
    """An ingested table; equals the key that dagster-dbt gives to the dbt source of the same name."""
    return dg.AssetKey([f"{RAW}{system}", table])


def is_raw(key: dg.AssetKey) -> bool:
    """Whether it is an ingested table."""
    return key.path[0].startswith(RAW)


def model(schema: str, name: str) -> dg.AssetKey:
    """A dbt model, under the schema it is built in."""
    return dg.AssetKey([schema, name])


def group(system: str, layer: Literal["raw", "staging", "marts"]) -> str:
    """Group of a system's assets: the graph reads from its raw tables over staging to its marts."""
    return f"{system}_{layer}"


def partitions(system: str) -> dg.AssetKey:
    """The partitions of a system, as something that is kept up to date."""
    return dg.AssetKey(["partitions", system])


def tiers(system: str) -> dg.AssetKey:
    """A system's months on their way down the tiers."""
    return dg.AssetKey(["tiers", system])


def retention(system: str) -> dg.AssetKey:
    """A system's rows that go at an age."""
    return dg.AssetKey(["retention", system])


def capture(system: str) -> dg.AssetKey:
    """What a system's log says changed."""
    return dg.AssetKey(["capture", system])


#: Group of what is about requests of persons.
REQUESTS = "requests_of_persons"


def requests() -> dg.AssetKey:
    """Requests of persons, and how each stands."""
    return dg.AssetKey(["erasure", "requests"])


def copies() -> dg.AssetKey:
    """Copies of persons' data, which are kept for some days."""
    return dg.AssetKey(["retention", "copies_for_persons"])
