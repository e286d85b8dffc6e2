"""What a column of a source reaches, in a project of a few models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assets.reach import reach, read_lineage


def model(name: str, *parents: str, contract: bool = False) -> dict[str, Any]:
    schema = "marts" if contract else "staging"
    return {
        "name": name, "alias": name, "schema": schema, "depends_on": {"nodes": list(parents)},
        "config": {"contract": {"enforced": contract}},
    }  # fmt: skip


MANIFEST = {
    "sources": {
        "source.p.shop.orders": {"schema": "raw_shop", "identifier": "orders"},
        "source.p.shop.items": {"schema": "raw_shop", "identifier": "items"},
    },
    "nodes": {
        "model.p.fct": model("fct", "model.p.stg", contract=True),
        "model.p.stg": model("stg", "source.p.shop.orders"),
        "model.p.other": model("other", "source.p.shop.items"),
        "test.p.t": {"name": "t"},
    },
    "exposures": {"exposure.p.board": {"name": "board"}},
    "child_map": {
        "source.p.shop.orders": ["model.p.stg"], "model.p.stg": ["test.p.t", "model.p.fct"],
        "model.p.fct": ["exposure.p.board"], "source.p.shop.items": ["model.p.other"],
    },
}  # fmt: skip
MADE_FROM = {
    "model.p.stg": {"total": [["raw_shop", "orders", "total"]], "id": [["raw_shop", "orders", "id"]]},
    "model.p.fct": {"revenue": [["staging", "stg", "total"]], "orders": []},
}


def test_a_column_reaches_what_is_made_from_it() -> None:
    found = reach(MANIFEST, MADE_FROM, "raw_shop", "orders", "total")
    assert found.columns == ("staging.stg.total", "marts.fct.revenue")  # though the mart is named first
    assert (found.models, found.contracts, found.exposures) == (("fct", "stg"), ("fct",), ("board",))


def test_a_column_of_which_nothing_is_made_reaches_the_models_still() -> None:
    found = reach(MANIFEST, MADE_FROM, "raw_shop", "orders", "note")
    assert (found.columns, found.models) == ((), ("fct", "stg"))


def test_a_table_reaches_its_models() -> None:
    assert reach(MANIFEST, MADE_FROM, "raw_shop", "items").models == ("other",)
    assert reach(MANIFEST, MADE_FROM, "raw_shop", "unknown").models == ()


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"digest": "x"}'])
def test_before_the_first_build_nothing_is_known(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "lineage.json"
    if text is not None:
        file.write_text(text)
    assert read_lineage(file) == {}
    file.write_text(json.dumps({"digest": "x", "models": MADE_FROM}))
    assert read_lineage(file) == MADE_FROM
