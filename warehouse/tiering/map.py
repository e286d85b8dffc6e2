"""Where a table's rows lie, what moves next and what that frees, and what it costs. Pure: no connection, no clock.

Shelves are not disjoint: what is hot has a copy in the warehouse since its ingestion, and what is kept lies a tier
further down as well. Their bytes add up, since each is paid for; their rows do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from warehouse.catalog.model import Table, Tiers
from warehouse.errors import DrivetrainError
from warehouse.state.rehydrations import Rehydration
from warehouse.tiering.plan import STEPS, Kind, Step, age_of, leaves_at

Tier: TypeAlias = Literal["hot", "warm", "cold"]
Shelf: TypeAlias = Literal["hot", "hot_kept", "warm", "warm_kept", "cold"]

#: Each shelf, the tier whose price it has, and what a person calls it.
SHELVES: Mapping[Shelf, tuple[Tier, str]] = {
    "hot": ("hot", "hot"),
    "hot_kept": ("hot", "hot, kept"),
    "warm": ("warm", "warm"),
    "warm_kept": ("warm", "warm, kept"),
    "cold": ("cold", "cold"),
}

#: Where a tier's bytes are, for a person.
PLACES: Mapping[Literal["hot", "warm"], str] = {"hot": "source", "warm": "warehouse"}

#: Steps of months that are due and have not moved.
_OVERDUE: tuple[Kind, ...] = ("go on", "leave", "cool", "wait")
_GB = Decimal(10) ** 9


@dataclass(frozen=True)
class Holding:
    """What lies on a shelf.

    Attributes:
        months: of which there are rows, in order; none where it is not kept by month.
    """

    rows: int = 0
    bytes: int = 0
    months: tuple[dt.date, ...] = ()

    def __add__(self, other: Holding) -> Holding:
        months = tuple(sorted({*self.months, *other.months}))
        return Holding(self.rows + other.rows, self.bytes + other.bytes, months)

    @property
    def span(self) -> str:
        """``2024-01 … 2024-12``; or '' without months."""
        if not self.months:
            return ""
        first, last = self.months[0], self.months[-1]
        return f"{first:%Y-%m}" if first == last else f"{first:%Y-%m} … {last:%Y-%m}"


@dataclass(frozen=True)
class Prices:
    """What a gigabyte (10^9 bytes) costs a month in each tier.

    Attributes:
        assumed: not all of them are the user's.
    """

    hot: Decimal
    warm: Decimal
    cold: Decimal
    currency: str
    assumed: bool = False

    def __str__(self) -> str:
        each = f"hot {self.hot}, warm {self.warm}, cold {self.cold} {self.currency} per GB and month"
        return f"{each} (assumed: set DRIVETRAIN_PRICE_...)" if self.assumed else each

    def cost(self, shelf: Shelf, size: int) -> Decimal:
        """Of so many bytes a month."""
        price: Decimal = getattr(self, SHELVES[shelf][0])
        return price * size / _GB


@dataclass(frozen=True)
class Stock:
    """What there is of a table, as far as it could be read.

    Attributes:
        shelves: those that could be looked at.
        kept: bytes of what each move keeps, by its id.
        settled: when a month last came further down, or may: what was kept until later counts from then.
        back: months of the lake that somebody brought back; their rows and bytes are counted in ``warm``.
    """

    shelves: Mapping[Shelf, Holding] = field(default_factory=dict[Shelf, Holding])
    kept: Mapping[int, int] = field(default_factory=dict[int, int])
    settled: Mapping[dt.date, dt.datetime] = field(default_factory=dict[dt.date, dt.datetime])
    back: tuple[Rehydration, ...] = ()


@dataclass(frozen=True)
class Coming:
    """What the next run does to some months of a table, or leaves undone, for one reason.

    Attributes:
        from_tier: whose bytes it frees: those of the source (hot) or of the warehouse (warm).
        what: months, rows and bytes (estimated). Those of a move are free when nothing is kept any longer.
        reason: why, or what stands against it.
    """

    kind: Kind
    from_tier: Literal["hot", "warm"]
    what: Holding
    reason: str

    @property
    def title(self) -> str:
        """What it is, for a person: ``hot → warm``, ``warm waits``."""
        aside: dict[Kind, str] = {"wait": "waits", "keep": "kept", "drop": "kept: drop", "go on": "goes on"}
        return f"{self.from_tier} {aside[self.kind]}" if self.kind in aside else STEPS[self.kind]


@dataclass(frozen=True)
class TableMap:
    """One table on the map.

    Attributes:
        policy: its ages, for a person.
        coming: what the next run does, and what waits.
        lag: for how long a month has been due to leave a tier and has not, at most; zero where none is due, missing
            where none ever leaves it or nobody can tell.
        failure: why not all of it could be read: then ``stock`` lacks shelves, and nothing is said of what comes.
    """

    system: str
    table: str
    policy: str
    stock: Stock
    steps: tuple[Step, ...] = ()
    coming: tuple[Coming, ...] = ()
    lag: Mapping[Literal["hot", "warm"], dt.timedelta] = field(
        default_factory=dict[Literal["hot", "warm"], dt.timedelta]
    )
    failure: DrivetrainError | None = None

    @property
    def name(self) -> str:
        """``bikenode.rides``."""
        return f"{self.system}.{self.table}"

    def cost(self, prices: Prices) -> Decimal:
        """Of all that is known of it, a month."""
        return sum((prices.cost(shelf, held.bytes) for shelf, held in self.stock.shelves.items()), Decimal())


def map_table(
    system: str,
    table: str,
    policy: Table,
    stock: Stock,
    steps: Sequence[Step],
    at: dt.datetime,
    *,
    failure: DrivetrainError | None = None,
    frozen: bool = False,
) -> TableMap:
    """A table's place on the map.

    Args:
        system, table: whose.
        policy: of the table.
        stock: what there is of it.
        steps: the plan.
        at: the moment that lag is counted up to.
        failure: what could not be read; the plan is then not known.
        frozen: a legal hold keeps all of it where it is, which is no lag.
    """
    known = failure is None
    late = [step for step in steps if not (frozen and step.kind == "wait")]
    return TableMap(
        system,
        table,
        ages(policy.tiers),
        stock,
        tuple(steps),
        tuple(_coming(steps, stock)),
        _lag(policy.tiers, late, stock, at) if known else {},
        failure,
    )


def ages(tiers: Tiers) -> str:
    """A policy in short: ``30 days / 1 year / lake``; a dash where a tier is skipped."""
    return f"{tiers.hot or '–'} / {tiers.warm or '–'} / {'lake' if tiers.cold else '–'}"


def total(maps: Iterable[TableMap]) -> dict[Shelf, Holding]:
    """What lies on each shelf, of all tables that could be read."""
    every = list(maps)
    return {
        shelf: sum((each.stock.shelves[shelf] for each in every if shelf in each.stock.shelves), Holding())
        for shelf in SHELVES
    }


def freed(maps: Iterable[TableMap], *, now: bool) -> dict[Literal["hot", "warm"], int]:
    """Bytes of each tier that the next run frees: at once (what was kept is dropped), or when the grace is over."""
    kinds: tuple[Kind, ...] = ("drop",) if now else ("go on", "leave", "join", "cool", "keep")
    found: dict[Literal["hot", "warm"], int] = {"hot": 0, "warm": 0}
    for each in maps:
        for coming in each.coming:
            if coming.kind in kinds:
                found[coming.from_tier] += coming.what.bytes
    return found


def moving(maps: Iterable[TableMap]) -> int:
    """How many months the next run moves, whole or in part; one of a table that moves twice counts twice."""
    kinds: tuple[Kind, ...] = ("go on", "leave", "join", "cool")
    return sum(len(coming.what.months) for each in maps for coming in each.coming if coming.kind in kinds)


def summary(maps: Sequence[TableMap]) -> str:
    """What the next run does, in a sentence or two."""
    months, now, later = moving(maps), freed(maps, now=True), freed(maps, now=False)
    said = [f"Tonight {months:,} {'month moves' if months == 1 else 'months move'}."]
    if any(now.values()):
        said.append(f"{_places(now)} of what was kept is dropped.")
    if any(later.values()):
        said.append(f"{_places(later)} will be free when nothing is kept any longer.")
    return " ".join(said)


def _places(sizes: Mapping[Literal["hot", "warm"], int]) -> str:
    at = {"hot": "at the source", "warm": "in the warehouse"}
    return " and ".join(f"{sized(size)} {at[tier]}" for tier, size in sizes.items() if size)


def sized(size: int) -> str:
    """Bytes as people say them: ``13.4 MB``; powers of ten."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size / 1000:,.0f} kB"


def _coming(steps: Sequence[Step], stock: Stock) -> list[Coming]:
    """Steps of the same kind and reason as one; what is kept by the day until which it is."""
    found: dict[tuple[Kind, Literal["hot", "warm"], str], list[Step]] = {}
    for step in steps:
        until = step.move.keep_until if step.move is not None else None
        reason = step.reason if until is None else f"kept until {until:%Y-%m-%d}"
        found.setdefault((step.kind, step.from_tier, reason), []).append(step)
    return [
        Coming(
            kind,
            from_tier,
            Holding(
                sum(step.rows for step in alike),
                sum(stock.kept.get(step.move.id, step.bytes) if step.move else step.bytes for step in alike),
                tuple(sorted({step.month for step in alike})),
            ),
            reason,
        )
        for (kind, from_tier, reason), alike in found.items()
    ]


def _lag(
    tiers: Tiers, steps: Sequence[Step], stock: Stock, at: dt.datetime
) -> dict[Literal["hot", "warm"], dt.timedelta]:
    """Late rows count for nothing: nobody knows when they came. They go with the next run."""
    lags = dict[Literal["hot", "warm"], dt.timedelta]()
    from_tier: Literal["hot", "warm"]
    for from_tier in ("hot", "warm"):
        age = age_of(tiers, from_tier)
        if age is None:
            continue
        since = [
            max(leaves_at(step.month, age), stock.settled.get(step.month, dt.datetime.min.replace(tzinfo=dt.UTC)))
            for step in steps
            if step.kind in _OVERDUE and step.from_tier == from_tier
        ]
        lags[from_tier] = max((at - due for due in since), default=dt.timedelta())
        lags[from_tier] = max(lags[from_tier], dt.timedelta())
    return lags
