"""Whether the warehouse was restored to before an erasure; and replaying the tombstones since.

What does not belong here: what is replayed, and how (``warehouse.erasure.replaying``).
"""

from __future__ import annotations

from collections.abc import Callable

from resources import erasure
from resources.settings import Settings
from warehouse.erasure import again, replaying
from warehouse.erasure.replaying import Outcome, Rebuild


def look(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """What a replay would do; nothing is changed."""
    return replaying.look(erasure.estate(settings), tell)


def replay(settings: Settings, rebuild: Rebuild, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Erase again who was erased since the backup that the warehouse was restored from, or go on with it."""
    return replaying.replay(erasure.estate(settings), rebuild=rebuild, tell=tell)


def erased_at_sources(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """How many erased persons operational databases have again, by system."""
    return again.look_at_sources(erasure.estate(settings), tell)
