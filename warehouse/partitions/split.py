"""Split a filled partition into pieces while it is read and written: copy, mirror, prove, swap.

Everything that is under way lies beside the partition, named by ``naming.split_mark``: the pieces, a trigger that
mirrors each change into them within the writer's own transaction, and a table that says how far the copying has come.
So a split can be resumed from any point by anybody, also in a database restored from a dump of its middle, and undone
until the swap.

1. begin (one transaction): pieces with indexes, foreign keys and surroundings of the partition; the mirror.
2. copy: rows in order of the key, in batches that hold their rows' locks for some tens of milliseconds.
3. prove: one snapshot in which the pieces are together what the partition is; differences are mended, judged anew.
4. swap (one transaction, the parent locked for milliseconds): detach the partition, attach the pieces.
5. settle: the pieces get their names, what was split is dropped.

What does not belong here: which partition is to be split into what.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import errors, sql

from warehouse.errors import Busy, DrivetrainError
from warehouse.partitions import mirror, successor, swap
from warehouse.partitions.apply import Patience
from warehouse.partitions.holders import holders
from warehouse.partitions.pieces import Successor
from warehouse.partitions.reading import read_surroundings
from warehouse.partitions.splitting import Splitting, in_place, under_way, write_down
from warehouse.postgres.locks import attempt, wait_at_most
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection

#: Seconds that a batch of copied rows may take, about: as long as a writer of one of them waits.
BATCH_SECONDS = 0.05
LARGEST = 20_000
#: How often differences are mended before a split gives up. They come from writers of REPEATABLE READ only.
MENDINGS = 5


@dataclass
class Progress:
    """What a split did, for a person.

    Attributes:
        rows: copied in this run.
        mended: rows that differed when the pieces were compared, and were mended.
        longest_batch: seconds that the slowest batch held its rows' locks.
        swap_seconds: that the parent was locked.
        attempts: of the statements that wait for locks.
    """

    rows: int = 0
    mended: int = 0
    longest_batch: float = 0.0
    swap_seconds: float = 0.0
    attempts: int = 0


def split(
    connection: Connection,
    splitting: Splitting,
    patience: Patience | None = None,
    tell: Callable[[str], None] | None = None,
) -> Progress:
    """Split a partition, or go on with a split that was begun.

    Args:
        connection: a canonical session in autocommit, of a member of the table's owner, that sees all rows.
        splitting: what is split into what. If a split of the partition was begun, its own pieces hold.
        patience: with other sessions' locks.
        tell: is told of each step.

    Raises:
        Busy: a lock was not to be had; what was done stays, and the next run goes on.
        DrivetrainError: the table has no key, or the pieces cannot be made equal.
    """
    patience, tell, progress = patience or Patience(), tell or _silent, Progress()
    _take_time(connection)
    name = f"{splitting.schema}.{splitting.partition}"
    known = under_way(connection, splitting.schema, splitting.table)
    begun = next((each for each in known if each.partition == splitting.partition), None)
    if begun is None or not in_place(connection, begun):
        splitting = begun or splitting
        columns = mirror.read_columns(connection, splitting.schema, splitting.partition, splitting.key_column)
        reasons = mirror.obstacles(connection, splitting, columns)
        if reasons:
            raise DrivetrainError(
                f"{name} cannot be copied while it is written to: {'; '.join(reasons)}",
                hint="Mend this, and run it again." if begun is None else "Mend this and run it again, or abandon it.",
            )
        if begun is not None:
            _refuse_altered(connection, splitting, columns)
        tell(f"{name}: {'going on' if begun else 'making its successors'}")
        again = partial(patiently, connection, splitting, patience, progress)
        if splitting.successor is not None:
            successor.make(connection, splitting, columns, again, begun is not None)
        elif begun is None:
            again(partial(_begin, connection, splitting, columns))
        _copy(connection, splitting, columns, patience, progress, tell)
        tell(f"{name}: comparing")
        _prove(connection, splitting, columns, patience, progress)
        tell(f"{name}: swapping")
        again(partial(_swap, connection, splitting, columns, patience, progress))
    splitting = begun or splitting
    tell(f"{name}: clearing up")
    if splitting.successor is not None:
        patiently(connection, splitting, patience, progress, partial(successor.settle, connection, splitting))
    else:
        for number, _ in enumerate(splitting.pieces):
            patiently(connection, splitting, patience, progress, partial(swap.settle, connection, splitting, number))
    patiently(connection, splitting, patience, progress, partial(swap.clear, connection, splitting))
    return progress


def _refuse_altered(connection: Connection, splitting: Splitting, columns: mirror.Columns) -> None:
    """Before hours of copying, not after them."""
    made = mirror.read_columns(connection, splitting.schema, f"{splitting.mark}_0", splitting.key_column)
    if set(made.stored) != set(columns.stored):
        altered = True
    else:
        altered = splitting.successor is not None and not successor.unaltered(connection, splitting)
    if altered:
        raise DrivetrainError(
            f"{splitting.schema}.{splitting.partition} was altered since its split or conversion began",
            hint="Abandon it (--abandon) and begin again: what is made beside it is like the table was then.",
        )


def _take_time(connection: Connection) -> None:
    """Comparing holds nobody up and takes as long as it takes, whatever the role's timeouts; locks have their own."""
    limits = ["statement_timeout", "idle_in_transaction_session_timeout"]
    if connection.info.server_version >= 170000:
        limits.append("transaction_timeout")
    for limit in limits:
        connection.execute("SELECT set_config(%s, '0', false)", (limit,))


def _silent(_: str) -> None:
    pass


def _begin(connection: Connection, splitting: Splitting, columns: mirror.Columns) -> None:
    owner = read_surroundings(connection, splitting.whole.as_string(connection)).owner
    write_down(connection, splitting, owner)
    mirror.make_pieces(connection, splitting)
    mirror.set_up(connection, splitting, columns, owner)


def abandon(connection: Connection, splitting: Splitting, patience: Patience | None = None) -> bool:
    """Undo a split that was begun; what it splits is as it was. False: there was none, or it is in place already."""
    if not is_there(connection, splitting.state) or in_place(connection, splitting):
        return False
    patiently(connection, splitting, patience or Patience(), Progress(), partial(swap.remove, connection, splitting))
    return True


def patiently(
    connection: Connection, splitting: Splitting, patience: Patience, progress: Progress, work: Callable[[], object]
) -> None:
    """Do work in one transaction under a short lock timeout, and again after a pause while it gets no lock.

    Raises:
        Busy: not in all the attempts.
    """

    def counted() -> None:
        progress.attempts += 1
        work()

    try:
        attempt(
            connection,
            counted,
            lock_timeout=patience.lock_timeout,
            attempts=patience.attempts,
            pause=patience.pause,
            sleep=patience.sleep,
        )
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        by = holders(connection, splitting.schema, splitting.table, attaching=True)
        raise _no_lock(splitting, patience, error, by) from error


def _no_lock(splitting: Splitting, patience: Patience, error: psycopg.Error, by: str = "") -> Busy:
    held = f", held by {by}" if by else ""
    return Busy(
        f"{splitting.schema}.{splitting.partition}: no lock in {patience.attempts} attempts: "
        f"{error.diag.message_primary}{held}",
        hint="What was done stays: run it again when that transaction (pg_stat_activity) has ended, or --abandon it.",
    )


def _copy(
    connection: Connection,
    splitting: Splitting,
    columns: mirror.Columns,
    patience: Patience,
    progress: Progress,
    tell: Callable[[str], None],
) -> None:
    """Copy what was there before the mirror, from where the last run stopped."""
    size, told, failed = 500, 0, 0
    while True:
        began = time.monotonic()
        try:
            with connection.transaction():
                wait_at_most(connection, patience.lock_timeout)
                rows = mirror.copy_batch(connection, splitting, columns, size)
        except errors.SerializationFailure:  # a row moved to another partition while it was about to be locked
            continue
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            # A row that is waited for holds up the writers of the others: so, fewer of them, at last only itself.
            failed, size = failed + 1, max(1, size // 8)
            if failed == patience.attempts:
                raise _no_lock(splitting, patience, error) from error
            patience.sleep(patience.pause * random.uniform(0.5, 1.5))  # noqa: S311
            continue
        took, failed = time.monotonic() - began, 0
        progress.rows += rows
        progress.longest_batch = max(progress.longest_batch, took)
        if rows < size:
            return
        size = max(1, min(LARGEST, int(size * min(2.0, BATCH_SECONDS / max(took, 0.001)))))
        if progress.rows - told >= 100_000:
            told = progress.rows
            tell(f"{splitting.partition}: {progress.rows:,} rows copied")


def _prove(
    connection: Connection,
    splitting: Splitting,
    columns: mirror.Columns,
    patience: Patience,
    progress: Progress,
) -> None:
    """The pieces are the partition, in one snapshot; and each holds only rows of its own, which a constraint proves.

    Whoever has an older snapshot than a copied row does not see it in its piece: such a transaction's mirror would miss
    it after the comparison, and its reads after the swap. So those that are open are waited for first.

    Raises:
        Busy: one of them does not end.
        DrivetrainError: they differ however often they are mended.
    """
    for _ in range(MENDINGS):
        _outlive(connection, patience, mirror.snapshots(connection))
        if mirror.equal(connection, splitting, columns):
            break
        for number, _ in enumerate(splitting.pieces):
            patiently(
                connection,
                splitting,
                patience,
                progress,
                partial(_mend, connection, splitting, columns, number, progress),
            )
    else:
        _outlive(connection, patience, mirror.snapshots(connection))
        if not mirror.equal(connection, splitting, columns):
            raise DrivetrainError(
                f"{splitting.schema}.{splitting.partition}: the pieces still differ from it after {MENDINGS} mendings",
                hint=f"Is its trigger {splitting.mark} enabled? Nothing was swapped: run it again, or abandon it.",
            )
    for number, piece in enumerate(splitting.pieces):
        if not isinstance(piece, Successor):
            patiently(connection, splitting, patience, progress, partial(mirror.bind, connection, splitting, number))
            connection.execute(
                sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                    splitting.beside(number), sql.Identifier(f"{splitting.mark}_bound")
                )
            )
        connection.execute(sql.SQL("ANALYZE {}").format(splitting.beside(number)))


def _mend(
    connection: Connection, splitting: Splitting, columns: mirror.Columns, number: int, progress: Progress
) -> None:
    progress.mended += mirror.mend(connection, splitting, columns, number)


def _outlive(connection: Connection, patience: Patience, older: set[str]) -> None:
    """Wait until transactions have ended."""
    for _ in range(patience.attempts):
        older &= mirror.snapshots(connection)
        if not older:
            return
        patience.sleep(patience.pause)
    raise Busy(
        f"{len(older)} transaction(s) began before the copying ended, and are still open",
        hint="What was done stays; run it again when they have ended (pg_stat_activity, backend_xmin).",
    )


def _swap(
    connection: Connection, splitting: Splitting, columns: mirror.Columns, patience: Patience, progress: Progress
) -> None:
    """The pieces take the partition's place. The mirror must be at work by then, or the proof is worth nothing.

    Raises:
        DrivetrainError: the mirror is gone or disabled.
    """
    swap.lock(connection, splitting, patience)
    began = time.monotonic()
    if not swap.at_work(connection, splitting):
        raise DrivetrainError(
            f"{splitting.schema}.{splitting.partition}: its mirror was disabled or dropped meanwhile",
            hint="Abandon the split and begin again: changes may be missing in the pieces.",
        )
    if splitting.successor is not None:
        successor.take_place(connection, splitting, columns)
    else:
        swap.attach(connection, splitting, columns)
    progress.swap_seconds = time.monotonic() - began
