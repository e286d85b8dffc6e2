"""The code location as the project ships it, loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from mart_runs import fresh_database

from demo.servers import Servers
from resources.dbt import ensure_manifest
from resources.settings import Settings
from warehouse.catalog import Catalog, load_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own, so that nothing of this machine's is touched."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def manifest(home: Path) -> Path:
    return ensure_manifest(Settings({"DRIVETRAIN_HOME": str(home)}))


@pytest.fixture(scope="session")
def definitions(catalog: Catalog, manifest: Path, home: Path) -> dg.Definitions:
    with pytest.MonkeyPatch.context() as patch:
        # The module builds its own definitions when it is imported.
        patch.setenv("DRIVETRAIN_HOME", str(home))
        from pipelines.definitions import build_definitions
    return build_definitions(catalog, manifest)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def new_database(servers: Servers) -> Iterator[Callable[[str], str]]:
    """Make a fresh database on the named server; all are dropped at the end of the test."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(fresh_database(servers, server))
