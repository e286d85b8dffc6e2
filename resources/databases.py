"""Dagster's handles on the databases: they hold no secret and open nothing until a step asks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import dagster as dg
from pydantic import PrivateAttr

from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.ingest import SourceSnapshot, open_snapshot
from warehouse.ingest.capture import captured_tables
from warehouse.postgres.sessions import Dsn


class Warehouse(dg.ConfigurableResource[object]):
    """The warehouse. Its address is read from the environment when used, so that no run config or page shows it."""

    def dsn(self) -> Dsn:
        """Where the warehouse is."""
        return Settings.load().warehouse()


class SourceSnapshots(dg.ConfigurableResource[object]):
    """One exported snapshot per system, shared by all steps of a run.

    The in-process executor keeps resources for the whole run. A snapshot is opened at the first table of its system,
    and given back by ``release`` when the reading is over: an open snapshot holds back the source's vacuum.
    """

    _stack: ExitStack = PrivateAttr()
    _open: dict[str, SourceSnapshot] = PrivateAttr()
    _may_write: bool = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[SourceSnapshots]:  # noqa: ARG002
        """Start without snapshots; close what is open at the end of the run."""
        self._open, self._may_write = {}, False
        with ExitStack() as self._stack:
            yield self

    def of(self, system: str) -> SourceSnapshot:
        """The run's snapshot of a system."""
        if not self._may_write:
            open_warehouse(Settings.load())
            self._may_write = True
        if system not in self._open:
            settings = Settings.load()
            # What was captured since is known of a primary's snapshot only.
            captured = captured_tables(settings.catalog().systems[system])
            replica = None if captured else settings.replica(system)
            self._open[system] = self._stack.enter_context(open_snapshot(settings.primary(system), replica))
        return self._open[system]

    def forget(self, system: str) -> None:
        """Drop a system's snapshot after its server went away, so that a retry takes a new one."""
        self._open.pop(system, None)

    def release(self) -> None:
        """Close all snapshots: nothing more will be read."""
        self._open.clear()
        self._stack.close()
