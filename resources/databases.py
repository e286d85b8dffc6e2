"""Dagster's handles on the databases: they hold no secret and open nothing until a step asks."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import dagster as dg
from pydantic import PrivateAttr

from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.catalog.model import System
from warehouse.ingest import SourceSnapshot, open_snapshot
from warehouse.ingest.burden import wait_for_relief
from warehouse.ingest.capture import captured_tables
from warehouse.postgres.sessions import Dsn


class Warehouse(dg.ConfigurableResource[object]):
    """The warehouse. Its address is read from the environment when used, so that no run config or page shows it."""

    def dsn(self) -> Dsn:
        """Where the warehouse is."""
        return Settings.load().warehouse()


@dataclass(frozen=True)
class _Opened:
    snapshot: SourceSnapshot
    holder: ExitStack
    since: float


class SourceSnapshots(dg.ConfigurableResource[object]):
    """One exported snapshot per system, shared by all steps of a run.

    The in-process executor keeps resources for the whole run. A snapshot is opened at the first table of its system,
    once the source has little enough to bear, and given back by ``release`` when the reading is over: an open snapshot
    holds back the source's vacuum. One that was open for as long as its policy allows is changed for a new one.
    """

    _open: dict[str, _Opened] = PrivateAttr()
    _may_write: bool = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[SourceSnapshots]:  # noqa: ARG002
        """Start without snapshots; close what is open at the end of the run."""
        self._open, self._may_write = {}, False
        try:
            yield self
        finally:
            self.release()

    def of(self, system: str) -> SourceSnapshot:
        """The run's snapshot of a system.

        Raises:
            Busy: the source has too much to bear already.
        """
        settings = Settings.load()
        if not self._may_write:
            open_warehouse(settings)
            self._may_write = True
        known = self._open.get(system)
        if known is not None and time.monotonic() - known.since >= (known.snapshot.bound_seconds or float("inf")):
            self.forget(system)
        if system not in self._open:
            self._open[system] = _opened(settings, settings.catalog().systems[system])
        return self._open[system].snapshot

    def forget(self, system: str) -> None:
        """Drop a system's snapshot after its server went away, so that a retry takes a new one."""
        if (known := self._open.pop(system, None)) is not None:
            known.holder.close()

    def release(self) -> None:
        """Close all snapshots: nothing more will be read."""
        for system in list(self._open):
            self.forget(system)


def _opened(settings: Settings, system: System) -> _Opened:
    primary = settings.primary(system.system)
    wait_for_relief(primary, system.reading)
    # What was captured since is known of a primary's snapshot only.
    replica = None if captured_tables(system) else settings.replica(system.system)
    holder = ExitStack()
    return _Opened(holder.enter_context(open_snapshot(primary, replica, system.reading)), holder, time.monotonic())
