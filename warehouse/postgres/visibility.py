"""Which transactions a snapshot has seen, told without the server.

A transaction whose commit is in the log may be invisible still: it waits for a standby, say. Position and visibility
are two orders, and what is read from the log is joined with a snapshot by the latter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """Which transactions a snapshot of the source has seen: what ``pg_current_snapshot`` says.

    Attributes:
        upper: the first that had not begun.
        running: before it, those that had not ended.
    """

    upper: int
    running: frozenset[int]

    @classmethod
    def of(cls, text: str) -> Seen:
        """Of ``xmin:xmax:xip,...``."""
        _, upper, running = text.split(":")
        return cls(int(upper), frozenset(int(each) for each in running.split(",") if each))

    def has(self, xid: int) -> bool:
        """Whether a committed transaction was seen.

        Args:
            xid: its lower 32 bits, as the log has them: within 2^31 of the snapshot.
        """
        full = (self.upper & ~0xFFFFFFFF) | xid
        if full - self.upper > 1 << 31:
            full -= 1 << 32
        elif self.upper - full > 1 << 31:
            full += 1 << 32
        return full < self.upper and full not in self.running

    def covers(self, other: Seen) -> bool:
        """Whether all that another snapshot has seen was seen."""
        return other.upper <= self.upper and all(xid in other.running for xid in self.running if xid < other.upper)
