"""From which columns a query's columns are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg

from assets.lineage import ColumnLineages, origins
from warehouse.catalog import load_catalog

PARENTS = {
    ("staging", "orders"): ["id", "rider_id", "fee", "at"],
    ("staging", "riders"): ["id", "name", "fee"],
}
QUERY = """
with
counted as (select rider_id, count(*) as orders, sum(fee) as fees from "warehouse"."staging"."orders" group by rider_id)
select riders.id, riders.name as who, coalesce(counted.fees, 0) + riders.fee as paid, counted.orders, now() as moment
from "warehouse"."staging"."riders" as riders
left join counted on riders.id = counted.rider_id
"""


def test_columns_are_followed_through_parts_renames_and_sums() -> None:
    assert origins(QUERY, ["id", "who", "paid", "moment"], PARENTS) == {
        "id": [("staging", "riders", "id")],
        "who": [("staging", "riders", "name")],
        "paid": [("staging", "orders", "fee"), ("staging", "riders", "fee")],
        "moment": [],
    }


def test_a_change_feed_is_its_relation_and_its_sign_no_column_of_it() -> None:
    query = "select rider_id, sum(sign * fee) as fees from warehouse.staging.orders__changes group by rider_id"
    assert origins(query, ["rider_id", "fees"], PARENTS) == {
        "rider_id": [("staging", "orders", "rider_id")],
        "fees": [("staging", "orders", "fee")],
    }


def node(tmp_path: Path, query: str) -> dict[str, Any]:
    path = tmp_path / "target" / "compiled" / "p" / "models" / "m.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(query)
    return {
        "unique_id": "model.p.m", "name": "m", "package_name": "p", "original_file_path": "models/m.sql",
        "columns": {"who": {}}, "depends_on": {"nodes": ["model.p.riders"]},
    }  # fmt: skip


def lineages(tmp_path: Path, digest: str) -> ColumnLineages:
    riders = {"schema": "staging", "alias": "riders", "columns": {"id": {}, "name": {}}}
    manifest = {"nodes": {"model.p.riders": riders}, "sources": {}}
    return ColumnLineages(manifest, load_catalog(), tmp_path / "lineage.json", digest)


def test_what_was_found_is_kept_until_the_project_changes(tmp_path: Path) -> None:
    model, none = node(tmp_path, "select name as who from staging.riders"), None
    first = lineages(tmp_path, "one")
    found = first.of(model, tmp_path / "target", none)["dagster/column_lineage"]  # type: ignore[arg-type]
    (dep,) = found.deps_by_column["who"]
    assert (dep.asset_key, dep.column_name) == (dg.AssetKey(["staging", "riders"]), "name")
    shown = first.of(model, tmp_path / "target", none)["columns made from"]  # type: ignore[arg-type]
    assert "| who | staging.riders.name |" in shown.value
    first.keep()
    node(tmp_path, "select id as who from staging.riders")
    for digest, expected in (("one", "name"), ("two", "id")):
        again = lineages(tmp_path, digest).of(model, tmp_path / "target", none)  # type: ignore[arg-type]
        assert [d.column_name for d in again["dagster/column_lineage"].deps_by_column["who"]] == [expected]


def test_sql_that_cannot_be_followed_and_a_broken_file_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "lineage.json").write_text(json.dumps(["no", "lineage"])[:-3])
    assert lineages(tmp_path, "one").of(node(tmp_path, "select from where"), tmp_path / "target", None) == {}  # type: ignore[arg-type]
