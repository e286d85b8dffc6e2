"""What analysts rely on in every mart: descriptions with units, masks, small cells, an example query.

What belongs here: comparing files with files. What does not: anything that runs dbt or asks a database.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from warehouse.catalog.loader import load_catalog

PROJECT = Path(__file__).parents[2] / "dbt_project"
MARTS = sorted((PROJECT / "models/marts").rglob("*/*.yml"))
NUMBERS = re.compile(r"numeric|decimal|real|double|smallint|integer|bigint|int\b")
#: What a number is of: a unit, or that it counts, ranks or names something.
UNITS = re.compile(
    r"\b(km|km/h|m|metres?|seconds?|minutes?|hours?|days?|months?|years?|rupees|dollars|USD|currency|price|stars?|watts?"
    r"|W|0 to 1|per cent|number|numbered|how many|counts?|counted|places?|rank|of these|of them|orders|rides|rows"
    r"|ratings|samples|pieces|units|items|cards|copies|observations|times|revenue|amount)\b",
    re.IGNORECASE,
)
PERSONS = re.compile(r"^((new|active)_)?(riders|users|customers|collectors|members|authors)$")


def model(file: Path) -> Any:
    (found,) = yaml.safe_load(file.read_text())["models"]
    return found


def meta(column: Any) -> Any:
    return (column.get("config") or {}).get("meta") or {}


@pytest.mark.parametrize("file", MARTS, ids=lambda file: file.stem)
def test_every_column_has_a_description_and_every_number_a_unit(file: Path) -> None:
    silent = [column["name"] for column in model(file)["columns"] if len(column["description"].strip()) < 5]
    assert silent == []
    bare = [
        column["name"]
        for column in model(file)["columns"]
        if NUMBERS.match(column["data_type"])
        and not re.search(r"(^|_)id$", column["name"])
        and not UNITS.search(f"{column['name'].replace('_', ' ')} {column['description']}")
    ]
    assert bare == []


@pytest.mark.parametrize("file", MARTS, ids=lambda file: file.stem)
def test_figures_of_counted_persons_are_left_out_of_small_cells(file: Path) -> None:
    found = model(file)
    about = found["config"]["meta"]
    counting = {column["name"] for column in found["columns"] if PERSONS.match(column["name"])}
    assert set(about.get("small_cells", {})) == counting, "meta: small_cells: {<column that counts persons>: [figures]}"
    assert not (counting and about.get("person_column"))


@pytest.mark.parametrize("file", MARTS, ids=lambda file: file.stem)
def test_a_column_named_like_a_personal_one_is_personal(file: Path) -> None:
    """Where every table of the system that has a column of that name calls it personal."""
    found = model(file)
    kinds: dict[str, set[str | None]] = {}
    for table in load_catalog().systems[found["config"]["meta"]["system"]].tables.values():
        for name, column in table.columns.items():
            kinds.setdefault(name, set()).add(column.personal)
    unmarked = [
        column["name"]
        for column in found["columns"]
        if None not in kinds.get(column["name"], {None}) and meta(column).get("personal") not in kinds[column["name"]]
    ]
    assert unmarked == []


@pytest.mark.parametrize("file", MARTS, ids=lambda file: file.stem)
def test_a_row_that_leads_to_a_person_can_be_hidden(file: Path) -> None:
    """A column by which rows of a source table lead to a person is in `subjects`, where a mart has no person's id."""
    found = model(file)
    about = found["config"]["meta"]
    system = load_catalog().systems[about["system"]]
    ways = {
        f"{subject.column} -> {'.'.join(system.target_of(subject))}"
        for table in system.tables.values()
        for subject in table.subjects
    }
    told = set(about.get("subjects", ()))
    assert told <= ways, "subjects: as the catalog has them"
    if not any(meta(column).get("personal") == "person_id" for column in found["columns"]):
        leading = {way.partition(" -> ")[0] for way in ways - told} - {"id"}  # the last is everybody's own
        assert not leading & {column["name"] for column in found["columns"]}


def test_every_mart_has_an_example_query() -> None:
    # dbt's catalogue would give a mart's column types to an analysis of the same name.
    examples = {
        file.stem.removesuffix("_example"): file.read_text() for file in (PROJECT / "analyses").glob("*_example.sql")
    }
    assert len(examples) == len(list((PROJECT / "analyses").iterdir()))
    assert set(examples) == {file.stem for file in MARTS}
    assert [name for name, text in examples.items() if f"masked('{name}')" not in text] == []
    assert [name for name, text in examples.items() if not text.startswith("-- ")] == []


def test_exposures_name_marts_that_there_are() -> None:
    content = yaml.safe_load((PROJECT / "models/marts/_exposures.yml").read_text())
    named = {
        match
        for exposure in content["exposures"]
        for text in exposure["depends_on"]
        for match in re.findall(r"'(\w+)'", text)
    }
    assert named <= {file.stem for file in MARTS}


def test_a_position_beside_a_person_is_personal() -> None:
    exact = {
        (name, table, column)
        for name, system in load_catalog().systems.items()
        for table, policy in system.tables.items()
        if policy.subjects
        for column, declared in policy.columns.items()
        if column.split("_")[-1] in ("lat", "lon") and declared.personal is None
    }
    assert exact == set[tuple[str, str, str]]()
