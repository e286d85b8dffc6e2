"""Work that needs a strong lock on what others use: it is asked for briefly, and again after a pause, so that nobody
queues up behind a long wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from psycopg import errors

from warehouse.postgres.sessions import Connection


def wait_at_most(connection: Connection, milliseconds: int) -> None:
    """For any lock until the transaction ends; rows' locks too, so that in a deadlock this session yields, long before
    the server (deadlock_timeout) would choose a writer.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{milliseconds}ms",))


def attempt(
    connection: Connection,
    work: Callable[[], object],
    *,
    lock_timeout: int,
    attempts: int,
    pause: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Do work in one transaction (a savepoint, within one), and again after a jittered pause while it gets no lock.

    Args:
        connection: whose.
        work: may be begun several times; each time but the last was rolled back.
        lock_timeout: milliseconds that a lock is waited for.
        attempts: how often.
        pause: seconds between two, on average; each is drawn from half to one and a half of it.
        sleep: what waits.

    Raises:
        LockNotAvailable, DeadlockDetected: of the last attempt.
    """
    for left in reversed(range(attempts)):
        try:
            with connection.transaction():
                wait_at_most(connection, lock_timeout)
                work()
                connection.execute("SET LOCAL lock_timeout = DEFAULT")
            return
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if not left:
                raise
            sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
