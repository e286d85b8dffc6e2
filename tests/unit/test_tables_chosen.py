"""Which tables a run is about, and what is said of a name that is none of them."""

from __future__ import annotations

import pytest

from resources.proof import provable_tables
from resources.retention import aged_tables
from resources.tiering import tiered_tables
from warehouse.catalog import load_catalog
from warehouse.errors import ConfigurationError

CATALOG = load_catalog()


def test_tables_are_chosen_by_system_or_by_name() -> None:
    every = [f"{system.system}.{name}" for system, name in tiered_tables(CATALOG)]
    assert "bikenode.rides" in every
    assert "shop.vendors" not in every
    some = [f"{system.system}.{name}" for system, name in tiered_tables(CATALOG, ["logistics", "bikenode.rides"])]
    assert some == [name for name in every if name.startswith("logistics.") or name == "bikenode.rides"]


@pytest.mark.parametrize("choose", [tiered_tables, aged_tables, provable_tables])
def test_a_policy_that_does_not_fit_is_told_from_a_table_that_is_not_there(choose: object) -> None:
    assert callable(choose)
    for name, why in (("shop.vendors", "its policy says nothing of that"), ("shop.vendrs", "it is not in the catalog")):
        with pytest.raises(ConfigurationError, match=f"'{name}' is no table .*: {why}") as refused:
            choose(CATALOG, [name])
        assert refused.value.hint.startswith("Those are: ")
