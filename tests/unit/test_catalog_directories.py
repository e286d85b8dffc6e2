"""The files of one directory, or of several, are one catalog, or an error that names them.

What does not belong here: what a single file says (``test_catalog_refusals``, ``test_catalog_model``).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sound_policy import SOUND

from warehouse.catalog import load_catalog
from warehouse.catalog.loader import SOURCES
from warehouse.errors import CatalogError


def test_the_files_of_a_directory_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SOUND)
    assert list(load_catalog(tmp_path).systems) == ["shop"]
    (tmp_path / "other.yaml").write_text(SOUND)
    (tmp_path / "third.yml").write_bytes(b"\xff")
    (tmp_path / "fourth.yaml").write_text("{}")
    with pytest.raises(CatalogError) as caught:
        load_catalog(tmp_path)
    assert [line.split(":")[0] for line in caught.value.problems if "missing" not in line] == [
        "other.yaml",
        "third.yml",
    ]
    assert "fourth.yaml: system: missing" in caught.value.problems


def test_several_directories_are_one_catalog(tmp_path: Path) -> None:
    """A team's own system beside those of the project."""
    (tmp_path / "mine.yaml").write_text(SOUND.replace("system: shop", "system: mine"))
    assert list(load_catalog(SOURCES, tmp_path).systems) == [*load_catalog().systems, "mine"]
    assert list(load_catalog(tmp_path, tmp_path).systems) == ["mine"]


def test_a_system_in_two_directories_is_an_error_that_names_both_files(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SOUND)
    with pytest.raises(CatalogError) as refused:
        load_catalog(SOURCES, tmp_path)
    assert refused.value.problems == [
        f"{tmp_path / 'shop.yaml'}: system 'shop' has another file already: {SOURCES / 'shop.yaml'}"
    ]


def test_an_empty_directory_among_several_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no catalog file"):
        load_catalog(SOURCES, tmp_path)


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no catalog file"):
        load_catalog(tmp_path)


def test_the_projects_own_catalog_loads() -> None:
    assert sorted(load_catalog().systems) == sorted(path.stem for path in SOURCES.glob("*.yaml"))
    assert set(load_catalog().systems) == {"bikenode", "throttlecove", "logistics", "carddb", "shop"}
