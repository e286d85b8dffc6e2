"""The documentation site, made on a built warehouse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from analysts import Warehouse

from resources.dbt_docs import write_docs
from resources.settings import Settings


def test_the_site_is_one_file_that_tells_what_is_personal(
    modelled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings({"DRIVETRAIN_HOME": str(tmp_path), "DRIVETRAIN_WAREHOUSE_DSN": modelled.platform})
    site, examples = write_docs(settings)
    page = site.read_text(encoding="utf-8")
    assert site.is_relative_to(tmp_path)
    assert "INLINE DATA" not in page.replace('MANIFEST.JSON INLINE DATA":', "")
    assert "[PII: person_id] The rider (riders.id). [masked: person_id, pseudonym of the person]" in page
    assert "from masked.dim_rider" in (examples / "dim_rider_example.sql").read_text()
    assert "Names nobody" in page
    nodes = json.loads((site.parent / "catalog.json").read_text())["nodes"]
    marts = {name: node for name, node in nodes.items() if node["metadata"]["schema"] == "marts"}
    assert len(marts) > 25
    assert [name for name in marts if not name.startswith("model.drivetrain.")] == []
