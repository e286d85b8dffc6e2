"""The documentation site, made on a built warehouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from analysts import Warehouse

from resources.dbt_docs import write_docs
from resources.settings import Settings


def test_the_site_is_one_file_that_tells_what_is_personal(
    modelled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings({"DRIVETRAIN_HOME": str(tmp_path), "DRIVETRAIN_WAREHOUSE_DSN": modelled.platform})
    site = write_docs(settings)
    page = site.read_text(encoding="utf-8")
    assert site.is_relative_to(tmp_path)
    assert "INLINE DATA" not in page.replace('MANIFEST.JSON INLINE DATA":', "")
    assert "[PII: person_id; analysts see: pseudonym of the person]" in page
    assert "marts.rider_leaderboard" in page or "rider_leaderboard" in page
    assert "Names nobody" in page
