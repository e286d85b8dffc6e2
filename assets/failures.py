"""How a domain error ends a Dagster step: a transient one is retried, any other stops at once with its advice."""

from __future__ import annotations

import dagster as dg

from warehouse.errors import Busy, DrivetrainError

#: Seconds before each retry of a table that somebody else holds: another load of it can take minutes.
BUSY_PAUSES: tuple[float, ...] = (15, 30, 60, 120, 240)
#: Seconds before each retry of anything else that may pass: a lost connection, a server that restarts. Who waits at a
#: terminal learns within the minute that a server is down.
OTHER_PAUSES: tuple[float, ...] = (5, 10, 20)


def failed(error: DrivetrainError, attempt: int) -> Exception:
    """What to raise for ``error``.

    Args:
        error: what ended the step.
        attempt: how often the step was retried before.

    Returns:
        ``RetryRequested`` for a transient error, else a ``Failure`` that no retry policy repeats.
    """
    if error.transient:
        pauses = BUSY_PAUSES if isinstance(error, Busy) else OTHER_PAUSES
        return dg.RetryRequested(max_retries=len(pauses), seconds_to_wait=pauses[min(attempt, len(pauses) - 1)])
    return dg.Failure(
        description=str(error),
        metadata={"kind": type(error).__name__, "what to do": error.hint or "see the message"},
        allow_retries=False,
    )
