"""How a domain error ends a Dagster step: a transient one is retried, any other stops at once with its advice."""

from __future__ import annotations

import dagster as dg

from warehouse.errors import DrivetrainError

MAX_RETRIES = 3
FIRST_PAUSE_SECONDS = 5.0


def failed(error: DrivetrainError) -> Exception:
    """What to raise for ``error``.

    Returns:
        ``RetryRequested`` for a transient error, else a ``Failure`` that no retry policy repeats.
    """
    if error.transient:
        return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=FIRST_PAUSE_SECONDS)
    return dg.Failure(
        description=str(error),
        metadata={"kind": type(error).__name__, "what to do": error.hint or "see the message"},
        allow_retries=False,
    )
