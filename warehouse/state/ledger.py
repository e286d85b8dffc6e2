"""What ingestion did and how far it came: watermarks, loads, reconciliations.

Every function writes on the caller's connection and commits nothing: a watermark stands if and only if the rows that it
speaks of do.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from warehouse.postgres.fingerprints import Fingerprint
from warehouse.postgres.sessions import Connection


@dataclass(frozen=True)
class Origin:
    """Where and when rows were read: a load's provenance."""

    snapshot: str
    as_of: dt.datetime
    replica: bool
    run_id: str | None = None


@dataclass(frozen=True)
class LoadRecord:
    """One write into a raw table."""

    mode: str
    chunk: str
    reason: str
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Reconciliation:
    """Source and warehouse compared under one snapshot of the source."""

    scope: str
    source: Fingerprint
    warehouse: Fingerprint

    @property
    def agrees(self) -> bool:
        """Same number of rows with the same content."""
        return self.source == self.warehouse


def read_watermark(connection: Connection, system: str, table: str, cursor_column: str) -> str | None:
    """Highest cursor value ingested so far; None at the beginning, or when the policy's cursor column changed."""
    row = connection.execute(
        "SELECT high_water FROM platform.watermark WHERE system = %s AND table_name = %s AND cursor_column = %s",
        (system, table, cursor_column),
    ).fetchone()
    return None if row is None else row[0]


def write_watermark(
    connection: Connection, system: str, table: str, cursor_column: str, high_water: str | None
) -> None:
    """Advance (or reset) a watermark within the caller's transaction."""
    connection.execute(
        "INSERT INTO platform.watermark AS w (system, table_name, cursor_column, high_water) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (system, table_name) DO UPDATE SET cursor_column = excluded.cursor_column,"
        " high_water = excluded.high_water, advanced_at = clock_timestamp()",
        (system, table, cursor_column, high_water),
    )


def is_outdated(connection: Connection, system: str, table: str, origin: Origin) -> bool:
    """Whether a newer snapshot of the table was reconciled in the last day (a wrong clock does not block for ever)."""
    row = connection.execute(
        "SELECT max(source_as_of) > %s FROM platform.reconciliation"
        " WHERE system = %s AND table_name = %s AND reconciled_at > clock_timestamp() - interval '1 day'",
        (origin.as_of, system, table),
    ).fetchone()
    return row is not None and row[0] is True


def read_agreed_scopes(connection: Connection, system: str, table: str) -> list[str]:
    """Of which parts of a table both sides were ever found equal, as the comparisons told."""
    rows = connection.execute(
        "SELECT DISTINCT scope FROM platform.reconciliation WHERE system = %s AND table_name = %s AND agrees",
        (system, table),
    )
    return [scope for (scope,) in rows]


def record_load(connection: Connection, system: str, table: str, load: LoadRecord, origin: Origin) -> None:
    """Note one write within the caller's transaction."""
    connection.execute(
        "INSERT INTO platform.load (run_id, system, table_name, mode, chunk, reason, rows_written, bytes_moved,"
        " seconds, source_snapshot) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            origin.run_id, system, table, load.mode, load.chunk, load.reason, load.rows, load.bytes, load.seconds,
            origin.snapshot,
        ),
    )  # fmt: skip


def record_reconciliation(
    connection: Connection, system: str, table: str, result: Reconciliation, origin: Origin
) -> None:
    """Note a comparison, agreeing or not."""
    connection.execute(
        "INSERT INTO platform.reconciliation (run_id, system, table_name, scope, source_snapshot, source_as_of,"
        " read_from_replica, source_rows, source_digest, warehouse_rows, warehouse_digest)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            origin.run_id, system, table, result.scope, origin.snapshot, origin.as_of, origin.replica,
            result.source.rows, result.source.digest, result.warehouse.rows, result.warehouse.digest,
        ),
    )  # fmt: skip
