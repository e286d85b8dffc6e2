"""What a policy's rules become, and which rows they are held of."""

from __future__ import annotations

import datetime as dt

import pytest

from warehouse.catalog import load_catalog
from warehouse.catalog.model import ColumnRule
from warehouse.quality.expectations import ACROSS_ROWS, WHOLE, Window, suite, window_of

START, RECENT = dt.date(2024, 1, 1), dt.date(2026, 10, 1)
CATALOG = load_catalog()
TABLES = [(system, name) for system in CATALOG.systems.values() for name in system.tables]


@pytest.mark.parametrize(("system", "name"), TABLES, ids=lambda value: getattr(value, "system", value))
def test_every_rule_of_every_policy_is_planned_once(system, name) -> None:
    said = sum(
        len(rule.model_dump(exclude_none=True, exclude={"severity", "of"}))
        for rule in system.tables[name].quality.values()
    )
    planned = suite(system, name)
    assert len(planned.expectations) == said
    assert len({expectation.name for expectation in planned.expectations}) == said
    for expectation in planned.expectations:
        assert expectation.severity == system.tables[name].quality[expectation.column].severity
        assert expectation.column in expectation.rule


def test_every_kind_of_rule_that_a_policy_can_have_is_planned() -> None:
    kinds = set(ColumnRule.model_fields) - {"severity", "of"}
    planned = {e.kind for system, name in TABLES for e in suite(system, name).expectations}
    assert planned == kinds, "a kind that no policy has is not tested by the catalog's own suites"


@pytest.mark.parametrize(("system", "name"), TABLES, ids=lambda value: getattr(value, "system", value))
def test_a_row_is_shown_by_its_key_and_by_nothing_personal_but_who(system, name) -> None:
    table = system.tables[name]
    for column in suite(system, name).shown:
        assert column in table.key
        assert table.columns[column].personal in (None, "person_id")


def test_a_run_of_the_current_months_looks_at_what_it_may_have_loaded() -> None:
    shop = CATALOG.systems["shop"]
    assert window_of(shop.tables["orders"], RECENT, START) == Window("created_at", RECENT), "kept by month: its time"
    assert window_of(shop.tables["payments"], RECENT, START) == Window("updated_at", RECENT), "its cursor"
    assert window_of(shop.tables["vendors"], RECENT, START) == WHOLE, "loaded whole"


def test_a_run_of_all_history_or_of_no_month_looks_at_whole_tables() -> None:
    orders = CATALOG.systems["shop"].tables["orders"]
    assert window_of(orders, START, START) == WHOLE == window_of(orders, None, START)


def test_rules_across_rows_are_left_to_whole_tables() -> None:
    shop = CATALOG.systems["shop"]
    whole = {e.kind for e in suite(shop, "order_items").expectations}
    recent = {e.kind for e in suite(shop, "order_items", Window("updated_at", RECENT)).expectations}
    assert whole & ACROSS_ROWS
    assert recent == whole - ACROSS_ROWS
