"""How a domain error ends a Dagster step: a transient one is retried, any other stops at once with its advice."""

from __future__ import annotations

import dagster as dg

from warehouse.errors import DrivetrainError

#: With the pauses below, eight minutes at least: another load of the same table can take that long.
MAX_RETRIES = 5
FIRST_PAUSE_SECONDS = 15.0


def failed(error: DrivetrainError, attempt: int) -> Exception:
    """What to raise for ``error``.

    Args:
        error: what ended the step.
        attempt: how often the step was retried before; each pause is twice as long as the one before.

    Returns:
        ``RetryRequested`` for a transient error, else a ``Failure`` that no retry policy repeats.
    """
    if error.transient:
        return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=FIRST_PAUSE_SECONDS * 2**attempt)
    return dg.Failure(
        description=str(error),
        metadata={"kind": type(error).__name__, "what to do": error.hint or "see the message"},
        allow_retries=False,
    )
