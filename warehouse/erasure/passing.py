"""What every step of one pass over a table shares: whose rows, what is noted, and who is told.

What does not belong here: the stores themselves (``warm``, ``kept``, ``cold``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from psycopg import sql

from warehouse.erasure.marking import Marking
from warehouse.postgres.fingerprints import EMPTY, Fingerprint, fingerprints, total
from warehouse.postgres.sessions import Connection
from warehouse.state.content import amend_content, read_content
from warehouse.state.erased import Pass, Tier
from warehouse.state.raw_store import RawTable
from warehouse.state.tiered import Tiered


@dataclass(frozen=True)
class Found:
    """Rows about the persons that one tier has of a month.

    Attributes:
        tier: warm, cold, kept (in the warehouse, of what went into the lake) or left (at the source).
        month: None: the table is not kept by month.
        rows: exactly.
        files, bytes: of the lake that would be written anew.
    """

    tier: Tier
    month: dt.date | None
    rows: int
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Passing:
    """One pass over one table. The session holds its ingestion lock.

    Attributes:
        warehouse: the session that keeps the ledger.
        table: which.
        raw: the same, as its writers have it.
        marking: which rows, and what becomes of them.
        run: what it is noted as.
        permitted: is called in each transaction that erases; what it raises undoes that (a hold that is new).
    """

    warehouse: Connection
    table: Tiered
    raw: RawTable
    marking: Marking
    run: Pass
    permitted: Callable[[], None]

    def tell(
        self, relation: sql.Composable, condition: sql.Composable, made: sql.Composable | None, chunk: str
    ) -> None:
        """Let models know what goes, and what comes in its place; and the ledger of contents what there is now.

        Args:
            relation: that has the rows that go; a query without a name.
            condition: which.
            made: what becomes of those that stay, as a relation.
            chunk: whose they are.
        """
        self.raw.feed.note_deleted(relation, condition)
        if made is not None:
            self.raw.feed.note_added(made)
        known = read_content(self.warehouse, self.table.system.system, self.table.name).get(chunk)
        if known is None:
            return
        gone = self._fingerprint(sql.SQL("{} AS went").format(relation), condition)
        became = self._fingerprint(made, sql.SQL("true")) if made is not None else EMPTY
        digest = int(known.held.digest) - int(gone.digest) + int(became.digest)
        held = Fingerprint(known.held.rows - gone.rows + became.rows, str(digest))
        amend_content(self.warehouse, self.table.system.system, self.table.name, chunk, held)

    def _fingerprint(self, relation: sql.Composable, condition: sql.Composable) -> Fingerprint:
        return total(fingerprints(self.warehouse, relation, self.raw.carriage.names, where=condition))
