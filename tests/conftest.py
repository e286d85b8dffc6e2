"""Fixtures that tests of several folders share: real servers, databases of their own on them, the real data's folder.

What does not belong here: tables or rows of any one test.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ingesting import Bench, Databases, bench_on, databases
from psycopg import conninfo, sql
from xdist.scheduler import LoadFileScheduling

from demo.servers import Servers

#: Public data beside the project; see docs/real-data.md.
REAL_DATA = Path(os.environ.get("DRIVETRAIN_REAL_DATA") or Path(__file__).parents[2] / "shared" / "real")
NOT_RUN = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the real data its tests are left out, and the summary says so; where CI is true they fail."""
    if REAL_DATA.is_dir() or os.environ.get("CI") == "true":
        return
    left_out = [item for item in items if item.get_closest_marker("real_data")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash[NOT_RUN] = len(left_out)
        if hasattr(config, "workeroutput"):  # one of several processes: the one that writes the summary is told
            config.workeroutput["not_run"] = len(left_out)


class OneWarehouse(LoadFileScheduling):
    """A file's tests stay together; and those of all files that read the one modelled warehouse, which is made once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        uses = "modelled: Warehouse" in (Path(self.config.rootpath) / file).read_text(encoding="utf-8")
        return "the modelled warehouse" if uses else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneWarehouse:
    """How tests are dealt out to processes."""
    return OneWarehouse(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Each process collects all tests, so what one of them left out, all did."""
    node.config.stash[NOT_RUN] = getattr(node, "workeroutput", {}).get("not_run", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many tests were not run for want of data."""
    if count := config.stash.get(NOT_RUN, 0):
        terminalreporter.write_line(
            f"NOT RUN: {count} tests on real data: no folder {REAL_DATA} (set DRIVETRAIN_REAL_DATA)", yellow=True
        )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data. Mark a test that uses it with ``real_data``."""
    if not REAL_DATA.is_dir():
        pytest.fail(f"The real data's folder {REAL_DATA} is missing: set DRIVETRAIN_REAL_DATA")
    return REAL_DATA


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The three embedded servers, running until the session ends."""
    # Not pytest's own folder, which another account cannot enter.
    with tempfile.TemporaryDirectory(prefix="drivetrain-tests-") as folder:
        Path(folder).chmod(0o755)
        embedded = Servers(Path(folder) / "home", settings={"fsync": "off"})
        try:
            with embedded.running():
                yield embedded
        finally:
            embedded.destroy()


@pytest.fixture
def empty_database(servers: Servers) -> Iterator[str]:
    """Connection string, as superuser, of a fresh database on the operational server; dropped afterwards."""
    admin = servers.server("operational").dsn("postgres")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield conninfo.make_conninfo(admin, dbname=name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def pair(servers: Servers) -> Iterator[Databases]:
    """A source and a migrated warehouse that tests of ingestion share, each within schemas of its own."""
    with databases(servers) as shared:
        yield shared


@pytest.fixture
def bench(pair: Databases) -> Iterator[Bench]:
    """A system of one's own: its schema in the source, its raw schema in the warehouse."""
    with bench_on(pair) as system:
        yield system
