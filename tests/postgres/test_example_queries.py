"""The example queries of ``dbt_project/analyses``, run as an analyst on a built warehouse."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from analysts import Warehouse
from mart_runs import PROJECT

EXAMPLES = sorted(file.stem for file in (PROJECT / "analyses").glob("*.sql"))
#: Generated rows of a small scale have none of these.
MAY_BE_EMPTY = {"most_collected_cards_example"}


@pytest.fixture(scope="module")
def compiled(modelled: Warehouse) -> Path:
    run = modelled.dbt("compile", "--select", "resource_type:analysis")
    assert run.code == 0, run.output
    return modelled.artifacts / "target" / "compiled" / "drivetrain" / "analyses"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_analyst_can_run_the_example(modelled: Warehouse, compiled: Path, example: str) -> None:
    query = (compiled / f"{example}.sql").read_text()
    with psycopg.connect(modelled.analyst, autocommit=True) as connection:
        rows = connection.execute(query.encode()).fetchall()
    assert rows or example in MAY_BE_EMPTY


GUIDE = (PROJECT.parent / "docs" / "analysts.md").read_text(encoding="utf-8")
IN_GUIDE = re.findall(r"^=> (.*?;)$", GUIDE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("query", IN_GUIDE, ids=lambda query: query.split("masked.")[-1].split()[0])
def test_an_analyst_can_run_what_the_guide_shows(modelled: Warehouse, query: str) -> None:
    with psycopg.connect(modelled.analyst, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
    assert cursor.description is not None
    shown = GUIDE[GUIDE.index(query) + len(query) :].lstrip("\n").split("\n")[0]
    assert [column.name for column in cursor.description] == [name.strip() for name in shown.split("|")]


def test_the_guide_has_examples() -> None:
    assert len(IN_GUIDE) > 15
