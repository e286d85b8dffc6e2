"""``docs/erasure-coverage.md`` says what the catalog says: of every table and column, and of nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from warehouse.catalog.coverage import FILE, fate, render_coverage
from warehouse.catalog.loader import load_catalog

DOCUMENT = Path(__file__).parents[2] / FILE
CATALOG = load_catalog()


def test_the_committed_document_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render_coverage(CATALOG), "run `drivetrain catalog render`"


def test_every_table_and_column_is_in_it_once() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    tables = {f"{system}.{name}" for system, of in CATALOG.systems.items() for name in of.tables}
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(sections) == tables
    for name, section in sections.items():
        system, table = name.split(".")
        assert re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE) == list(
            CATALOG.systems[system].tables[table].columns
        )


def test_every_link_has_its_section() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    anchors = {heading.lower().replace(".", "") for heading in re.findall(r"^### (\S+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= anchors


def test_no_personal_column_stays_where_rows_are_emptied_but_somebody_elses() -> None:
    for system in CATALOG.systems.values():
        for name, table in system.tables.items():
            if table.erasure.action in ("redact", "pseudonymise"):
                for column in table.personal:
                    said = fate(system, table, column)
                    assert table.columns[column].whose == "others" or not said.startswith("stays"), f"{name}.{column}"
