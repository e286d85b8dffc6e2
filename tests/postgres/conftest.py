"""Fixtures of several modules that need the whole warehouse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from analysts import Warehouse, modelled_warehouse

from demo.servers import Servers


@pytest.fixture(scope="session")
def modelled(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Five generated systems, ingested and built once; for tests that leave it as they found it."""
    with modelled_warehouse(servers, tmp_path_factory.mktemp("dbt")) as warehouse:
        assert warehouse.built.code == 0, warehouse.built.output
        yield warehouse
