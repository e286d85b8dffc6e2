"""The command: ``python -m benchmarks [names…]``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import (
    capturing,
    changed_rows,
    erasing_operational,
    full_load,
    hash_growth,
    nothing_new,
    plain_conversion,
    start_to_work,
)
from benchmarks.lake import erasing, export, leaving, ledger, portability, query, sizes
from benchmarks.marts import dashboards, hidden, hourly, refresh
from benchmarks.model import (
    FEWEST_ROUNDS,
    Benchmark,
    BenchmarkError,
    NotHere,
    Result,
    check_rounds,
    summarise,
    take_turns,
)
from benchmarks.peers import install
from benchmarks.report import SUMMARIES, Circumstances, save, show, summary
from benchmarks.stage import stage
from benchmarks.upkeep import fifty_due, nothing_due
from warehouse.errors import DrivetrainError

BENCHMARKS = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (
        full_load,
        capturing,
        changed_rows,
        nothing_new,
        start_to_work,
        refresh,
        dashboards,
        hidden,
        hourly,
        hash_growth,
        plain_conversion,
        nothing_due,
        fifty_due,
        export,
        sizes,
        leaving,
        query,
        ledger,
        erasing,
        erasing_operational,
        portability,
    )
}

console = Console(highlight=False)
progress = Console(stderr=True, highlight=False)


def measure(
    names: Annotated[list[str] | None, typer.Argument(help="Which benchmarks; all if left out.")] = None,
    scale: Annotated[
        float, typer.Option(help="Amount of generated data; 1.0 is about a million rows.", min=0.001)
    ] = 0.2,
    rounds: Annotated[int, typer.Option(help="How often each candidate has its turn.")] = FEWEST_ROUNDS,
    list_them: Annotated[bool, typer.Option("--list", help="Say what there is, and measure nothing.")] = False,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Measure other tools too, in an environment for this run; install pg_partman."),
    ] = False,
    write_summary: Annotated[
        bool,
        typer.Option("--summary", help=f"Write {SUMMARIES.name}/*.md too; asks for {FEWEST_ROUNDS} rounds at least."),
    ] = False,
) -> None:
    """Measure the platform against limits and peers, on servers of its own that leave nothing behind."""
    if list_them:
        for each in BENCHMARKS.values():
            console.print(f"[bold]{each.name}[/]: {each.ours}\n    against {each.limit}")
        return
    check_rounds(rounds, summary=write_summary)
    if unknown := [name for name in names or [] if name not in BENCHMARKS]:
        raise BenchmarkError(f"No benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}.")
    circumstances = Circumstances.now(_command(names or [], scale, rounds, peers, write_summary))
    results = _measure([BENCHMARKS[name] for name in names or BENCHMARKS], scale, rounds, peers, circumstances)
    show(console, results, circumstances)
    if write_summary:
        for benchmark, result in results:
            (SUMMARIES / f"{benchmark.name}.md").write_text(summary(benchmark, result, circumstances))
        console.print(f"wrote {len(results)} pages into {SUMMARIES}")


def _measure(
    wanted: list[Benchmark], scale: float, rounds: int, peers: bool, circumstances: Circumstances
) -> list[tuple[Benchmark, Result]]:
    started = time.monotonic()

    def tell(text: str) -> None:
        progress.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {text}")

    results: list[tuple[Benchmark, Result]] = []
    with tempfile.TemporaryDirectory(prefix="drivetrain-peers-") as folder:
        python = install(Path(folder), tell) if peers else None
        with stage(scale, python, tell) as standing:
            for benchmark in wanted:
                tell(f"[bold]{benchmark.name}[/]")
                try:
                    prepared = benchmark.prepare(standing)
                except NotHere as reason:
                    if len(wanted) < len(BENCHMARKS):  # it was named
                        raise
                    tell(f"left out: {reason}")
                    continue
                series = take_turns(prepared.candidates, rounds, tell)
                result = summarise(
                    benchmark.name, series, scale=scale, rounds=rounds, notes=prepared.notes, unit=benchmark.unit
                )
                tell(f"wrote {save(result, circumstances)}")
                results.append((benchmark, result))
    return results


def _command(names: list[str], scale: float, rounds: int, peers: bool, write_summary: bool) -> str:
    switches = [*(["--peers"] if peers else []), *(["--summary"] if write_summary else [])]
    return " ".join(["python -m benchmarks", *names, f"--scale {scale:g} --rounds {rounds}", *switches])


def main() -> None:
    """Run the command; a mistake gets a message, never a traceback."""
    try:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(measure)
        app(prog_name="python -m benchmarks")
    except (BenchmarkError, DrivetrainError) as error:
        progress.print(f"[bold red]error:[/] {error}")
        sys.exit(2)


if __name__ == "__main__":
    main()
