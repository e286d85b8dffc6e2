"""What a benchmark is, and what it results in. Pure: no process, no server, no clock.

What does not belong here: how anything is timed (``processes``) or shown (``report``).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.stage import Stage

#: Fewer rounds say little about a machine that does other things too.
FEWEST_ROUNDS = 5

#: The two series that every benchmark has; all others are peers.
OURS, LIMIT = "ours", "limit"


class BenchmarkError(Exception):
    """A benchmark cannot be run as asked, or what it timed did not do the work."""


class NotHere(BenchmarkError):
    """What a benchmark needs is not on this machine: a run of all benchmarks does without it."""


@dataclass(frozen=True)
class Sample:
    """One timing: seconds, or whatever the benchmark's unit is; and the peak memory of the processes timed, in MB (None
    where it is not known).
    """

    seconds: float
    peak_memory_mb: float | None = None


#: Does a piece of work once. One piece can give several series (a copy, and the same copy with its keys).
Candidate = Callable[[], Mapping[str, Sample]]


@dataclass(frozen=True)
class Prepared:
    """What is ready to be timed.

    Attributes:
        candidates: in the order of their turns; the keys name the work in progress messages.
        notes: what a reader of the numbers must know; may grow while candidates run.
    """

    candidates: Mapping[str, Candidate]
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Benchmark:
    """A named measurement.

    Attributes:
        name: on the command line, and of the file of its result.
        ours: what of the platform is timed.
        limit: what that is held against.
        prepare: makes everything ready, untimed.
        unit: of its samples.
    """

    name: str
    ours: str
    limit: str
    prepare: Callable[[Stage], Prepared]
    unit: str = "seconds"


@dataclass(frozen=True)
class Result:
    """Medians of one benchmark, and the circumstances.

    Attributes:
        peers: median of every other series.
        ratio_to_limit: limit / ours; 1 is the limit reached.
        peak_memory_mb: the highest of our rounds, all processes of ours together.
    """

    name: str
    ours: float
    limit: float
    peers: Mapping[str, float]
    peak_memory_mb: float | None
    scale: float
    rounds: int
    unit: str = "seconds"
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])
    memory_mb: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: Sequence[str] = ()

    @property
    def ratio_to_limit(self) -> float:
        return self.limit / self.ours

    def document(self, **circumstances: Any) -> dict[str, Any]:
        """The JSON document: the keys agreed upon first, then what else is known."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "limit": round(self.limit, 4),
            "peers": {name: round(value, 4) for name, value in self.peers.items()},
            "ratio_to_limit": round(self.ratio_to_limit, 4),
            "peak_memory_mb": None if self.peak_memory_mb is None else round(self.peak_memory_mb, 1),
            "scale": self.scale,
            "rounds": self.rounds,
            "samples": {name: [round(value, 4) for value in values] for name, values in self.samples.items()},
            "memory_mb": {name: round(value, 1) for name, value in self.memory_mb.items()},
            "notes": list(self.notes),
            **circumstances,
        }


def take_turns(
    candidates: Mapping[str, Candidate], rounds: int, tell: Callable[[str], None] = lambda _: None
) -> dict[str, list[Sample]]:
    """Run every candidate once per round, in order (A B C A B C …), and collect the samples of each series.

    Whatever else the machine does meets all candidates alike.
    """
    if rounds < 1:
        raise BenchmarkError("A benchmark needs at least one round.")
    series: dict[str, list[Sample]] = {}
    for number in range(1, rounds + 1):
        for name, candidate in candidates.items():
            tell(f"round {number} of {rounds}: {name}")
            for measured, sample in candidate().items():
                series.setdefault(measured, []).append(sample)
    return series


def summarise(
    name: str,
    series: Mapping[str, Sequence[Sample]],
    *,
    scale: float,
    rounds: int,
    notes: Sequence[str],
    unit: str = "seconds",
) -> Result:
    """Medians of all series.

    Raises:
        BenchmarkError: ours or the limit was not measured, or a series lacks a round.
    """
    for needed in (OURS, LIMIT):
        if needed not in series:
            raise BenchmarkError(f"{name}: nothing was measured for {needed!r}.")
    short = [each for each, samples in series.items() if len(samples) != rounds]
    if short:
        raise BenchmarkError(f"{name}: {', '.join(short)} not measured in every round.")
    medians = {each: statistics.median(sample.seconds for sample in samples) for each, samples in series.items()}
    memory = {
        each: max(known)
        for each, samples in series.items()
        if (known := [sample.peak_memory_mb for sample in samples if sample.peak_memory_mb is not None])
    }
    return Result(
        name=name,
        ours=medians[OURS],
        limit=medians[LIMIT],
        peers={each: median for each, median in medians.items() if each not in (OURS, LIMIT)},
        peak_memory_mb=memory.get(OURS),
        scale=scale,
        rounds=rounds,
        unit=unit,
        samples={each: [sample.seconds for sample in samples] for each, samples in series.items()},
        memory_mb=memory,
        notes=list(notes),
    )


def check_rounds(rounds: int, *, summary: bool) -> None:
    """Refuse a summary of too few rounds.

    Raises:
        BenchmarkError: fewer than ``FEWEST_ROUNDS`` for a summary, or none at all.
    """
    if rounds < 1:
        raise BenchmarkError("A benchmark needs at least one round.")
    if summary and rounds < FEWEST_ROUNDS:
        raise BenchmarkError(
            f"A summary states medians of at least {FEWEST_ROUNDS} rounds; {rounds} were asked for. "
            "Ask for more, or leave --summary out."
        )
