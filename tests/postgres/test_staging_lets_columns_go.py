"""A staging view reads its policy's columns and no others, so that a column which left the policy can leave raw."""

from __future__ import annotations

import re

import pytest
from ingesting import Bench

from warehouse.catalog.model import Catalog
from warehouse.catalog.render import model_name, render_dbt
from warehouse.errors import CatalogMismatch


def build_staging(bench: Bench, table: str) -> None:
    """What dbt makes of the rendered model: the view, anew."""
    path = f"models/staging/{bench.name}/{model_name(bench.name, table)}.sql"
    query = render_dbt(Catalog(systems={bench.name: bench.system}))[path]
    query = re.sub(r"\{\{ source\('(\w+)', '(\w+)'\) \}\}", r"\1.\2", query)
    bench.warehouse(f"DROP VIEW IF EXISTS {{raw}}.staged; CREATE VIEW {{raw}}.staged AS {query}")


def test_render_build_ingest_drops_a_column_that_left_the_policy(bench: Bench) -> None:
    bench.source("CREATE TABLE t (id int PRIMARY KEY, kept text, phone text); INSERT INTO t VALUES (1, 'a', '123')")
    bench.declare("t", key=["id"])
    bench.ingest("t")
    build_staging(bench, "t")
    bench.declare("t", key=["id"], only=["id", "kept"])
    with pytest.raises(CatalogMismatch, match="depends on column phone") as refused:
        bench.ingest("t")
    assert "`drivetrain catalog render`, `drivetrain build`" in refused.value.hint
    build_staging(bench, "t")
    bench.ingest("t")
    assert bench.warehouse("SELECT * FROM {raw}.t") == [(1, "a")]
    assert bench.warehouse("SELECT * FROM {raw}.staged") == [(1, "a")]


def test_a_staging_view_does_not_hold_credentials_in_the_raw_table(bench: Bench) -> None:
    bench.source("CREATE TABLE c (id int PRIMARY KEY, secret text); INSERT INTO c VALUES (1, 'x')")
    bench.declare("c", key=["id"])
    bench.tables["c"]["columns"]["secret"]["personal"] = "credential"
    bench.tables["c"]["erasure"] = {"action": "exempt", "reason": "A test."}
    bench.ingest("c")
    build_staging(bench, "c")
    bench.declare("c", key=["id"], only=["id"])
    bench.ingest("c")
    assert bench.warehouse("SELECT * FROM {raw}.c") == [(1,)]
