"""Which relations the proof of absence takes for a system's, and in which of their columns persons are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resources.absence import models_of
from warehouse.proof.absence import Model


def node(kind: str, folders: list[str], name: str, columns: dict[str, str], **more: Any) -> dict[str, Any]:
    described = {column: {"config": {"meta": {"personal": personal}}} for column, personal in columns.items()}
    return {
        "resource_type": kind, "fqn": ["drivetrain", *folders, name], "schema": folders[0], "alias": name,
        "columns": described, "config": {"meta": {}}, "depends_on": {"nodes": []}, **more,
    }  # fmt: skip


def test_columns_of_persons_are_those_of_the_models_and_of_what_a_history_is_made_from(tmp_path: Path) -> None:
    manifest = {
        "staging": node("model", ["staging", "shop"], "stg", {"id": "person_id", "note": "free_text"}),
        "mart": node("model", ["marts", "x"], "mart", {}, config={"meta": {"system": "shop", "person_column": "who"}}),
        "history": node("snapshot", ["kept"], "snap", {}, depends_on={"nodes": ["staging"]}),
        "nobodys": node("model", ["marts", "metrics"], "days", {}),
        "test": node("test", ["marts", "shop"], "checks", {}),
    }
    manifest["mart"]["columns"]["who"] = {}
    (tmp_path / "manifest.json").write_text(json.dumps({"nodes": manifest}))
    assert models_of(tmp_path / "manifest.json", {"shop"}) == {
        ("staging", "stg"): Model("shop", frozenset({"id"}), frozenset({"note"})),
        ("marts", "mart"): Model("shop", frozenset({"who"})),
        ("kept", "snap"): Model("shop", frozenset({"id"}), frozenset({"note"})),
    }
