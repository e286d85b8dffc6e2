"""Who did not erase, and looks: what a request asks of the verifier, and what it is told.

What does not belong here: looking (``warehouse.proof.absence``): nothing here shares code with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from warehouse.erasure.sealed import Kept


@dataclass(frozen=True)
class Mention:
    """Rows of others that may mean the person: somebody has to read them. Their keys, and no text of theirs."""

    store: str
    place: str
    column: str
    rows: int
    keys: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Verdict:
    """What the verifier found.

    Attributes:
        verifier: the database role that looked.
        checks: what was looked at: words, how many, and how many of it are left.
        left: what should be gone, by store and place.
        unseen: what could not be looked at, and why: nothing is proven while there is any.
        mentions: for somebody to read.
    """

    verifier: str
    started_at: dt.datetime
    finished_at: dt.datetime
    checks: tuple[tuple[str, int, int], ...]
    left: Mapping[tuple[str, str], int]
    unseen: tuple[str, ...]
    mentions: tuple[Mention, ...]

    @property
    def clean(self) -> bool:
        """Whether the persons are nowhere, and everything was looked at."""
        return not self.left and not self.unseen


class Witness(Protocol):
    """Another role, and other code."""

    def known(self, system: str, persons: Set[str]) -> Sequence[tuple[str, str]]:
        """Kind and text of what persons are known by, while they are there."""
        ...

    def look(self, kept: Mapping[str, Kept], *, deep: bool = False, tell: Callable[[str], None]) -> Verdict:
        """Look for the persons in every store."""
        ...
