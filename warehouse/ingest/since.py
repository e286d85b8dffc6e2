"""Between two comparisons of all rows: only what moved past the watermark, by a table's policy (``ingest.compare``).

A load costs what changed, and not what there is. What it has read is held against the source, row for row; what it
cannot see (rows that were deleted, or changed without their cursor) is found by the next comparison. That of late rows
is what ``lookback`` is for.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

from warehouse.errors import ReconciliationFailed
from warehouse.ingest import sql as queries
from warehouse.ingest.sides import Sides
from warehouse.postgres.fingerprints import EMPTY, WHOLE, fingerprints
from warehouse.postgres.sessions import translated
from warehouse.state.content import WHOLE_CHUNK, agreed_as_of, amend_content, read_content
from warehouse.state.ledger import (
    LoadRecord,
    Origin,
    Reconciliation,
    read_watermark,
    record_load,
    record_reconciliation,
    write_watermark,
)
from warehouse.state.raw_changes import apply_staged


@dataclass(frozen=True)
class Since:
    """What a load past the watermark did.

    Attributes:
        load: None, if nothing had changed.
        reconciliation: of the rows that were read.
        rows: of the whole raw table.
        kept_out: rows of erased persons.
    """

    load: LoadRecord | None
    reconciliation: Reconciliation
    rows: int
    kept_out: int


def watermark_to_follow(sides: Sides, as_of: dt.datetime) -> str | None:
    """From where on rows are to be read; None: all of them are to be compared.

    Args:
        sides: the table.
        as_of: moment of the source's snapshot.
    """
    policy = sides.policy.ingest
    if policy.compare is None or policy.cursor is None or not sides.raw.children() or sides.raw.rekeyed():
        return None
    agreed = agreed_as_of(sides.target, sides.system.system, sides.name, WHOLE_CHUNK)
    if agreed is None or not agreed <= as_of < policy.compare.later(agreed):
        return None
    return read_watermark(sides.target, sides.system.system, sides.name, policy.cursor)


def load_since(sides: Sides, watermark: str, origin: Origin) -> Since:
    """Read rows past a watermark, prove them, and upsert them with the watermark, in one transaction.

    Raises:
        ReconciliationFailed: what arrived is not what the source has; nothing of it was kept.
    """
    started = time.monotonic()
    system, name, raw, target = sides.system.system, sides.name, sides.raw, sides.target
    cursor = sides.policy.ingest.cursor
    assert cursor is not None
    kind = next(column.type_name for column in raw.carriage.columns if column.name == cursor)
    condition = queries.since_cursor(cursor, kind)
    parameters = {"since": watermark, "lookback": str(sides.policy.ingest.lookback)}
    with translated(f"{sides.where} (source)"):
        there = fingerprints(
            sides.source, sides.source_table, raw.carriage.names, where=condition, parameters=parameters
        ).get(0, EMPTY)
        ((highest,),) = sides.source.execute(queries.highest(sides.source_table, cursor)).fetchall()
    with translated(f"{sides.where} (load)"), target.transaction():
        staged = raw.stage("since")
        query = queries.select_rows(sides.source_table, raw.carriage.names, condition)
        received = raw.receive(sides.source, query, staged, parameters, group=WHOLE)
        expected = there - received.kept_out.difference.get(0, EMPTY)
        arrived = fingerprints(target, staged, raw.carriage.names).get(0, EMPTY)
        if arrived != expected:
            raise ReconciliationFailed(
                f"{sides.where}: {arrived.rows} rows past the watermark arrived, and the source has {expected.rows}",
                hint="Nothing of this load was kept. Run again; if it stays, a value does not survive the journey.",
            )
        applied = apply_staged(raw, staged)
        if difference := applied.difference.get(WHOLE_CHUNK):
            held = read_content(target, system, name)[WHOLE_CHUNK].held + difference
            amend_content(target, system, name, WHOLE_CHUNK, held)
        load = None
        if applied.rows:
            seconds = time.monotonic() - started
            reason = f"rows past the watermark, {arrived.rows:,} read"
            load = LoadRecord("incremental", "delta", reason, applied.rows, received.bytes, seconds)
            record_load(target, system, name, load, origin)
        write_watermark(target, system, name, cursor, highest)
        reconciliation = Reconciliation("past the watermark", expected, arrived)
        record_reconciliation(target, system, name, reconciliation, origin)
        rows = read_content(target, system, name)[WHOLE_CHUNK].held.rows
    return Since(load, reconciliation, rows, received.kept_out.rows)
