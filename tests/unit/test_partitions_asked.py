"""Which tables ``system.table`` means on the command line, and what a mistake in it is answered with.

What does not belong here: what is then done to them (``test_partitions_plan``).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.partitions import Asked, source_table
from resources.settings import Settings
from warehouse.catalog.loader import load_catalog
from warehouse.errors import ConfigurationError


def test_a_split_names_only_what_the_source_partitions(tmp_path: Path) -> None:
    settings = Settings.load({"DRIVETRAIN_HOME": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="no table 'nope' of logistics at its source") as refused:
        source_table(settings, "logistics.nope")
    assert refused.value.hint == "It partitions: location_logs, wallet_ledger"
    with pytest.raises(ConfigurationError, match="duty_logs is not partitioned at its source"):
        source_table(settings, "logistics.duty_logs")


@pytest.mark.parametrize(
    ("where", "known"),
    [
        ("source", "group_messages, rides"),
        ("warehouse", "rides"),
        (None, "group_messages, rides"),
    ],
)
def test_maintenance_names_what_is_partitioned_where_it_was_asked_to_look(where: str | None, known: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Asked.parse(load_catalog(), ["throttlecove.nope"], where)
    assert refused.value.hint == f"It partitions: {known}"
