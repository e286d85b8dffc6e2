"""What was proven of each system, and when: in Dagster, whose check of a system's tiers says so every night.

What `drivetrain prove` proves is noted there as well, so that monitoring and the UI hear of either.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from resources.instance import enter_instance
from resources.proof import provable_tables
from resources.settings import Settings
from resources.tiering import tiered_tables
from warehouse.catalog import Catalog
from warehouse.postgres.sessions import connect
from warehouse.proof.conservation import TableProof

if TYPE_CHECKING:
    from dagster import AssetCheckKey, DagsterInstance


@dataclass(frozen=True)
class Proof:
    """The check of a system's tiers, ``every_row_accounted_for``, when it was last made.

    Attributes:
        passed: what it said.
        at: when.
        succeeded_at: when it last passed.
    """

    passed: bool
    at: float
    succeeded_at: float | None


@contextmanager
def dagster_instance(settings: Settings) -> Generator[DagsterInstance]:
    """Dagster's instance, with its storage.

    Raises:
        DrivetrainError: the storage does not answer.
    """
    with connect(settings.dagster()):  # Dagster would answer with a traceback
        enter_instance(settings)
    import dagster as dg  # not at the top: it takes seconds

    with dg.DagsterInstance.get() as instance:
        yield instance


def read_proofs(instance: DagsterInstance, systems: Iterable[str]) -> dict[str, Proof]:
    """The newest of each system that has one."""
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

    history = instance.event_log_storage.get_asset_check_execution_history
    found: dict[str, Proof] = {}
    for system in systems:
        key = _key(system)
        done, passed = (
            [each.event.timestamp for each in history(key, limit=1, status=status) if each.event]
            for status in ({Status.SUCCEEDED, Status.FAILED}, {Status.SUCCEEDED})
        )
        if done:
            found[system] = Proof(done == passed, done[0], passed[0] if passed else None)
    return found


def whole_systems(catalog: Catalog, proofs: Iterable[TableProof]) -> dict[str, list[TableProof]]:
    """Proofs of the systems of which all that is kept by month was proven: the others are not proven as systems."""
    systems = {system.system for system, _ in tiered_tables(catalog)}
    found = {name: list(of) for name, of in groupby(proofs, key=lambda proof: proof.system) if name in systems}
    return {
        name: of
        for name, of in found.items()
        if {proof.table for proof in of} == {table for _, table in provable_tables(catalog, [name])}
    }


def note_proofs(instance: DagsterInstance, proofs: dict[str, list[TableProof]]) -> None:
    """Note what was proven of whole systems, as the nightly check does."""
    import dagster as dg

    from assets.tiers import accounted

    for system, of in proofs.items():
        check, key = accounted(of), _key(system)
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=check.passed,
                metadata=check.metadata,
                severity=check.severity,
            )
        )


def _key(system: str) -> AssetCheckKey:
    import dagster as dg

    from assets import keys
    from assets.tiers import ACCOUNTED

    return dg.AssetCheckKey(keys.tiers(system), ACCOUNTED)
