"""What tests of faults in the tiers share.

What does not belong here: the faults themselves.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import boto3
from ingesting import Bench

from warehouse.catalog.model import Catalog
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.reading.query import run_query


def s3_client(options: Mapping[str, str]) -> Any:
    """A client of the server that a store's options reach."""
    return boto3.client(
        "s3", endpoint_url=options["AWS_ENDPOINT_URL"], region_name=options["AWS_REGION"],
        aws_access_key_id=options["AWS_ACCESS_KEY_ID"], aws_secret_access_key=options["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


def bucket_of(options: Mapping[str, str]) -> Store:
    """A place in a bucket of its own."""
    name = f"lake-{uuid.uuid4().hex[:12]}"
    s3_client(options).create_bucket(Bucket=name)
    return Store(f"s3://{name}/tier", options)


def asked(bench: Bench, lake: Store, text: str) -> list[tuple[Any, ...]]:
    """The answer of ``drivetrain sql``; ``facts`` is the system's."""
    catalog = Catalog(systems={bench.name: bench.system})
    with connect(bench.pair.target, read_only=True) as connection:
        answer = run_query(connection, bench.pair.target, catalog, lake, text.replace("facts", f"{bench.name}.facts"))
        return [tuple(row.values()) for row in answer.rows.to_pylist()]


def wiped(bench: Bench) -> None:
    """``facts`` and all that is known of it are gone; the lake is the caller's."""
    bench.source("DROP TABLE facts")
    bench.warehouse("DROP SCHEMA {raw} CASCADE")
    for table in ("tier_event", "lake_file", "tier_move"):
        bench.warehouse(f"ALTER TABLE platform.{table} DISABLE TRIGGER USER; DELETE FROM platform.{table}")
    bench.warehouse("ALTER TABLE platform.tier_event ENABLE TRIGGER USER")
    bench.warehouse(f"DELETE FROM platform.raw_content WHERE system = '{bench.name}'")
