"""The dbt project says what the catalog says, and its marts keep the rules of marts.

What belongs here: comparing files with files. What does not: anything that runs dbt or asks a database.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from warehouse.catalog.loader import load_catalog
from warehouse.catalog.render import render_dbt, rendered_files

PROJECT = Path(__file__).parents[2] / "dbt_project"
MARTS = sorted((PROJECT / "models/marts").rglob("*.sql"))
CADENCES = {"hourly", "six_hourly", "daily"}


def properties(model: Path) -> Any:
    """The YAML beside a model."""
    return yaml.safe_load(model.with_suffix(".yml").read_text())


def test_rendered_files_equal_the_catalog() -> None:
    rendered, committed = render_dbt(load_catalog()), rendered_files(PROJECT)
    hint = "run `drivetrain catalog render`"
    assert sorted(committed) == sorted(rendered), hint
    assert [path for path in rendered if committed[path] != rendered[path]] == [], hint


def test_no_source_or_staging_model_is_written_by_hand() -> None:
    staging = {file.relative_to(PROJECT).as_posix() for file in (PROJECT / "models/staging").rglob("*.*")}
    assert staging == set(rendered_files(PROJECT))
    elsewhere = [file for file in (PROJECT / "models").rglob("*.sql") if "staging" not in file.parts]
    # A model of sums reads a raw table's changes; everything else reads staging.
    assert not [file.name for file in elsewhere if re.search(r"(?<!signed\()\bsource\(", file.read_text())]


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.stem)
def test_a_mart_is_described_typed_tested_and_owned(mart: Path) -> None:
    content = properties(mart)
    (model,) = content["models"]
    config = re.match(r"\{\{ config\(\s*tags=\['(\w+)'\],\s*group='(\w+)'(?:\) \}\}\n|,\n)", mart.read_text())
    assert config is not None, "it begins with {{ config(tags=['<cadence>'], group='<system>' ...) }}"
    assert config[1] in CADENCES
    assert config[2] == mart.parent.name == model["config"]["meta"]["system"]
    assert model["name"] == mart.stem
    assert model["description"].strip()
    assert [item["type"] for item in model["constraints"]] == ["primary_key"]
    key = set(model["constraints"][0]["columns"])
    for column in model["columns"]:
        assert column["description"].strip(), column["name"]
        assert column["data_type"] != "numeric", f"{column['name']}: name precision and scale"
        if column["name"] in key:
            assert {"type": "not_null"} in column["constraints"], column["name"]
    assert content["unit_tests"], "every mart has a unit test"
    checked = any(c["type"] == "check" for column in model["columns"] for c in column.get("constraints", ()))
    assert checked or model.get("data_tests") or any(column.get("data_tests") for column in model["columns"])


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.stem)
def test_a_mart_says_which_columns_are_personal(mart: Path) -> None:
    """A column that carries the name of a personal column of the system's persons is marked as such."""
    (model,) = properties(mart)["models"]
    system = load_catalog().systems[mart.parent.name]
    marked = {column["name"]: column.get("config", {}).get("meta", {}).get("personal") for column in model["columns"]}
    person = model["config"]["meta"].get("person_column")
    if person is not None:
        assert marked[person] == "person_id"
        assert system.person is not None
        about = system.tables[system.person.table].personal
        for name, kind in marked.items():
            if name in about and name != person:
                assert kind == about[name], name
    else:
        assert not any(marked.values())
