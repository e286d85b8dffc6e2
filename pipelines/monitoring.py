"""What is known of the platform as Prometheus metrics: readings in, metric families out.

Names follow Prometheus' rules: base units, ``_total`` for what only grows, moments as Unix time. Labels are names of
the catalog, laws, tiers, states and partitions: never a value of a row.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipelines.proofs import Proof
from resources.monitoring import Readings
from warehouse.catalog.model import Law
from warehouse.state.requests import RequestKind, State
from warehouse.tiering.plan import Kind

#: Every kind of step, so that a series does not vanish with the last of its kind.
_STEPS: tuple[Kind, ...] = ("go on", "drop", "leave", "join", "cool", "keep", "wait")


def families(found: Readings, proofs: Mapping[str, Proof] | None) -> Iterator[Metric]:
    """All metrics; ``proofs`` is None where Dagster's storage does not answer."""
    yield _gauge("monitor_timestamp_seconds", "When these figures were read.", (), [((), found.at.timestamp())])
    yield _gauge("monitor_failures", "What could not be read.", (), [((), len(found.failures))])
    yield _gauge("warehouse_up", "Whether the warehouse answers.", (), [((), found.warehouse_up)])
    yield _gauge("dagster_up", "Whether Dagster's storage answers.", (), [((), proofs is not None)])
    yield _gauge(
        "source_up", "Whether a system's operational database answers.", ("system",), _by_system(found.source_up)
    )
    yield _gauge(
        "replica_up", "Whether a system's declared replica answers.", ("system",), _by_system(found.replica_up)
    )
    yield _gauge(
        "replication_lag_seconds",
        "How far the replica is behind; 0 when it has replayed all that it received and is connected.",
        ("system",),
        _by_system(found.replication_lag),
    )
    yield from _ingestion(found)
    yield _gauge(
        "partition_size_bytes",
        "Size of a partition, with indexes and TOAST.",
        ("system", "table", "where", "partition"),
        [((p.target.system, p.target.table, p.target.where, p.partition), p.bytes) for p in found.partitions],
    )
    yield from _tiers(found)
    yield from _moves(found)
    yield from _captures(found)
    yield from _requests(found)
    yield from _proofs(proofs or {})


def _ingestion(found: Readings) -> Iterator[Metric]:
    tables = [((system, each.table), each) for system, every in found.freshness.items() for each in every]
    labels = ("system", "table")
    yield _gauge(
        "ingest_agreed_timestamp_seconds",
        "The source's moment when a raw table was last found equal to it; none for one that never was.",
        labels,
        [(key, each.as_of.timestamp()) for key, each in tables if each.as_of],
    )
    yield _gauge(
        "ingest_differs",
        "Whether a part of a raw table differed from its source when they were last compared.",
        labels,
        [(key, each.differs) for key, each in tables],
    )
    yield _gauge("raw_rows", "Rows of a raw table, in all tiers.", labels, [(key, each.rows) for key, each in tables])


def _tiers(found: Readings) -> Iterator[Metric]:
    shelves = [
        ((each.system, each.table, shelf), held) for each in found.maps for shelf, held in each.stock.shelves.items()
    ]
    labels = ("system", "table", "tier")
    for name, said, value in (
        ("bytes", "Size of what a tier has of a table, with indexes", lambda held: held.bytes),
        ("rows", "Rows that a tier has of a table (hot: estimated)", lambda held: held.rows),
        ("months", "Months of which a tier has rows of a table", lambda held: len(held.months)),
    ):
        yield _gauge(
            f"tier_{name}",
            f"{said}; *_kept is what moved on and is not dropped yet.",
            labels,
            [(key, value(held)) for key, held in shelves],
        )
    steps = [
        ((each.system, each.table, step.replace(" ", "_")), sum(step == one.kind for one in each.steps))
        for each in found.maps
        if each.failure is None
        for step in _STEPS
    ]
    yield _gauge(
        "tier_planned_steps",
        "What the next run would do to months of a table (wait: due, and something stands against it).",
        ("system", "table", "step"),
        steps,
    )
    yield _gauge(
        "tier_lag_seconds",
        "For how long the month that is most overdue should have left a tier; 0 when none is due.",
        ("system", "table", "from_tier"),
        [
            ((each.system, each.table, tier), lag.total_seconds())
            for each in found.maps
            for tier, lag in each.lag.items()
        ],
    )


def _moves(found: Readings) -> Iterator[Metric]:
    labels = ("system", "table", "from_tier")
    tallies = [((each.system, each.table, each.from_tier), each) for each in found.tallies]
    yield _gauge(
        "tier_moves",
        "Moves of the ledger by the state that they are in.",
        (*labels, "state"),
        [((*key, state), count) for key, each in tallies for state, count in each.states.items()],
    )
    yield _counter(
        "tier_transitions",
        "Moves that were flipped, dropped or undone, and attempts that failed.",
        (*labels, "outcome"),
        [((*key, outcome), count) for key, each in tallies for outcome, count in each.outcomes.items()],
    )
    yield _counter(
        "tier_moved_rows", "Rows that moved down a tier.", labels, [(key, each.rows) for key, each in tallies]
    )
    yield _counter(
        "lake_written_bytes",
        "Bytes of the lake's files that were written and read back.",
        ("system", "table"),
        [(key[:2], each.bytes) for key, each in tallies if each.from_tier == "warm"],
    )
    yield _gauge(
        "tier_last_success_timestamp_seconds",
        "When a move of a table was last flipped or dropped.",
        labels,
        [(key, each.last.timestamp()) for key, each in tallies if each.last],
    )


def _captures(found: Readings) -> Iterator[Metric]:
    states = [((each.system,), each) for each in found.captures if each.failure is None]
    for name, said, value in (
        ("retained_bytes", "Log that a source keeps for change capture", lambda each: each.retained or 0),
        ("budget_bytes", "Log that it may keep for it", lambda each: each.budget),
        ("unread_bytes", "Log that was not read yet", lambda each: each.behind),
        (
            "tables_to_compare",
            "Captured tables that do not follow before they were compared with their source",
            lambda each: sum(p is None or p.compare is not None for p in each.tables.values()),
        ),
    ):
        yield _gauge(f"capture_{name}", f"{said}.", ("system",), [(key, value(each)) for key, each in states])
    read = [(key, each.read_at.timestamp()) for key, each in states if each.read_at]
    yield _gauge("capture_read_timestamp_seconds", "When a log was last read to its end.", ("system",), read)


def _requests(found: Readings) -> Iterator[Metric]:
    if found.requests is None:
        return
    states = Counter(each.request.state for each in found.requests)
    said = "Requests of persons by the state that they are in."
    yield _gauge("requests", said, ("state",), [((state,), states[state]) for state in get_args(State)])
    # Every kind and law, so that a series does not vanish with the last of its kind.
    waiting = {
        (kind, law): [
            each for each in found.requests if each.open and (each.request.kind, each.request.law) == (kind, law)
        ]
        for kind in get_args(RequestKind)
        for law in get_args(Law)
    }
    labels = ("kind", "law")
    yield _gauge(
        "requests_open", "Requests that are to be answered.", labels, [(key, len(of)) for key, of in waiting.items()]
    )
    yield _gauge(
        "requests_overdue",
        "Requests that should have been answered by now.",
        labels,
        [(key, sum(each.overdue(found.at) for each in of)) for key, of in waiting.items()],
    )
    yield _gauge(
        "requests_next_due_timestamp_seconds",
        "By when the next open request is to be answered; none where none is open.",
        labels,
        [(key, min(each.request.due_at for each in of).timestamp()) for key, of in waiting.items() if of],
    )


def _proofs(proofs: Mapping[str, Proof]) -> Iterator[Metric]:
    passed = [((system,), proof.passed) for system, proof in proofs.items()]
    yield _gauge("proof_passed", "Whether every row was accounted for at the last check.", ("system",), passed)
    last = [((system,), proof.at) for system, proof in proofs.items()]
    yield _gauge("proof_timestamp_seconds", "When that was last checked in Dagster.", ("system",), last)
    yield _gauge(
        "proof_last_success_timestamp_seconds",
        "When every row was last accounted for.",
        ("system",),
        [((system,), proof.succeeded_at) for system, proof in proofs.items() if proof.succeeded_at],
    )


Sample = tuple[tuple[str, ...], float]


def _gauge(name: str, said: str, labels: Iterable[str], samples: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(f"drivetrain_{name}", said, labels=tuple(labels))
    for values, value in samples:
        family.add_metric(values, float(value))
    return family


def _counter(name: str, said: str, labels: Iterable[str], samples: Iterable[Sample]) -> Metric:
    """What only grows; the exposition adds ``_total``."""
    family = CounterMetricFamily(f"drivetrain_{name}", said, labels=tuple(labels))
    for values, value in samples:
        family.add_metric(values, float(value))
    return family


def _by_system(values: Mapping[str, float]) -> list[Sample]:
    return [((system,), value) for system, value in values.items()]


class Readers(Collector):
    """Reads when it is asked, but not more often than every so often: all who scrape meanwhile get the same."""

    def __init__(self, read: Callable[[dt.datetime], list[Metric]], every: dt.timedelta) -> None:
        self._read, self._every = read, every
        self._lock = threading.Lock()
        self._at: dt.datetime | None = None
        self._known: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering it reads nothing."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The metrics, read anew if they are too old."""
        with self._lock:
            now = dt.datetime.now(dt.UTC)
            if self._at is None or now - self._at >= self._every:
                self._known = self._read(now)
                self._at = now
            return self._known
