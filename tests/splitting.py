"""What tests of splits share: a hash of two partitions that doubles, and what the table has.

What does not belong here: what only one module needs.
"""

from __future__ import annotations

from typing import Any

from partitioned import Place

from warehouse.partitions.apply import Patience
from warehouse.partitions.pieces import halves
from warehouse.partitions.split import Progress, split
from warehouse.partitions.splitting import Splitting
from warehouse.postgres.sessions import connect

QUICK = Patience(lock_timeout=100, attempts=50, pause=0.01)
ROWS = 4000


def doubling(remainder: int = 0, modulus: int = 2) -> Splitting:
    """One remainder of the ledger's becomes two."""
    pieces = halves("ledger", "{table}_p{remainder}", modulus, remainder, modulus * 2)
    return Splitting("public", "ledger", f"ledger_p{remainder}", "rider", tuple(pieces))


def content(place: Place) -> tuple[Any, ...]:
    """Number of rows, of keys, and what is in them."""
    (row,) = place.rows("SELECT count(*), count(DISTINCT id), sum(amount), sum(hashtext(ledger::text)) FROM ledger")
    return row


def run(place: Place, splitting: Splitting, patience: Patience = QUICK) -> Progress:
    """Split, and put in place."""
    with connect(place.dsn, see_all_rows=True) as connection:
        return split(connection, splitting, patience)
