"""Benchmarks: turns, medians, refusals, the shape of what is written, and honest failure. No timing is asserted."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.model import (
    FEWEST_ROUNDS,
    BenchmarkError,
    Candidate,
    Result,
    Sample,
    check_rounds,
    summarise,
    take_turns,
)
from benchmarks.processes import Command, timed, together
from benchmarks.psql import environment
from benchmarks.report import Circumstances, save, summary

AGREED = {"name", "unit", "ours", "limit", "peers", "ratio_to_limit", "peak_memory_mb", "scale"}
IDLE = Circumstances(machine="2 cores", date="2026-11-21", command="python -m benchmarks --summary", load=0.1)
BUSY = Circumstances(machine="2 cores", date="2026-11-21", command="python -m benchmarks --summary", load=3.0)


def result(name: str = "full_load") -> Result:
    series = {
        "ours": [Sample(seconds, 50.0 + seconds) for seconds in (4.0, 2.0, 9.0, 2.0, 3.0)],
        "limit": [Sample(seconds) for seconds in (1.0, 1.5, 1.5, 8.0, 1.5)],
        "other": [Sample(6.0, 7.0)] * 5,
    }
    return summarise(name, series, scale=0.5, rounds=5, notes=["Said."])


def test_candidates_take_turns() -> None:
    order: list[str] = []

    def candidate(name: str) -> Candidate:
        def run() -> dict[str, Sample]:
            order.append(name)
            return {name: Sample(float(len(order))), f"{name} again": Sample(0.0)}

        return run

    series = take_turns({name: candidate(name) for name in "ABC"}, 2)
    assert order == ["A", "B", "C", "A", "B", "C"]
    assert [sample.seconds for sample in series["B"]] == [2.0, 5.0]
    assert len(series["C again"]) == 2


def test_medians_and_the_highest_memory() -> None:
    found = result()
    assert (found.ours, found.limit, found.peers) == (3.0, 1.5, {"other": 6.0})
    assert found.ratio_to_limit == 0.5
    assert found.peak_memory_mb == 59.0
    assert found.memory_mb == {"ours": 59.0, "other": 7.0}


@pytest.mark.parametrize("missing", ["ours", "limit"])
def test_ours_and_limit_must_both_be_measured(missing: str) -> None:
    series = {name: [Sample(1.0)] for name in ("ours", "limit") if name != missing}
    with pytest.raises(BenchmarkError, match=missing):
        summarise("x", series, scale=1, rounds=1, notes=[])


def test_a_series_that_lacks_a_round_is_refused() -> None:
    series = {"ours": [Sample(1.0)] * 2, "limit": [Sample(1.0)] * 2, "peer": [Sample(1.0)]}
    with pytest.raises(BenchmarkError, match="peer"):
        summarise("x", series, scale=1, rounds=2, notes=[])


def test_too_few_rounds() -> None:
    check_rounds(1, summary=False)
    check_rounds(FEWEST_ROUNDS, summary=True)
    with pytest.raises(BenchmarkError, match="at least 5 rounds"):
        check_rounds(FEWEST_ROUNDS - 1, summary=True)
    for summarised in (True, False):
        with pytest.raises(BenchmarkError):
            check_rounds(0, summary=summarised)
    with pytest.raises(BenchmarkError):
        take_turns({}, 0)


def test_the_json_has_what_was_agreed(tmp_path: Path) -> None:
    document = json.loads(save(result(), IDLE, tmp_path).read_text())
    assert list(document)[: len(AGREED)] == [
        "name", "unit", "ours", "limit", "peers", "ratio_to_limit", "peak_memory_mb", "scale",
    ]  # fmt: skip
    assert document["unit"] == "seconds"
    assert document["peers"] == {"other": 6.0}
    assert document["rounds"] == 5
    assert document["samples"]["ours"] == [4.0, 2.0, 9.0, 2.0, 3.0]
    assert {"machine", "date", "command"} <= set(document)


def test_a_summary_states_the_circumstances() -> None:
    benchmark = BENCHMARKS["full_load"]
    busy, idle = (summary(benchmark, result(), circumstances) for circumstances in (BUSY, IDLE))
    assert "shared with other work** (load average 3.0" in busy
    assert "shared with other work" not in idle
    assert "`python -m benchmarks --summary`" in idle
    assert "| **ours** | 3.00 | 2.00 to 9.00 | 0.50 | 59 |" in idle
    assert "- Said." in idle


def test_the_benchmarks_are_named_as_asked() -> None:
    assert list(BENCHMARKS) == [
        "full_load",
        "change_capture",
        "changed_rows",
        "nothing_new",
        "start_to_work",
        "mart_refresh",
        "dashboards",
        "hidden_rows",
        "hourly_refresh",
        "hash_growth",
        "plain_conversion",
        "partition_upkeep",
        "partition_creation",
        "lake_export",
        "lake_bytes",
        "hot_to_warm",
        "tier_query",
        "tier_ledger",
        "lake_erasure",
        "erasing_operational",
        "portability",
    ]


def test_samples_of_successive_work_add_up() -> None:
    assert together([Sample(1.0, 5.0), Sample(2.0, 3.0)]) == Sample(3.0, 5.0)
    assert together([Sample(1.0), Sample(2.0)]) == Sample(3.0, None)


def python(code: str, **more: Command) -> Command:
    return Command([sys.executable, "-c", code], {"PATH": os.environ["PATH"]}, **more)  # type: ignore[arg-type]


def test_processes_are_run_and_their_last_line_is_kept() -> None:
    run = timed([[python("print('first')")], [python("print('a'); print('last')")]])
    assert run.last_line == "last"
    assert run.seconds > 0


def test_a_process_writes_into_another() -> None:
    reader = python("import sys; print(sys.stdin.read().upper())")
    assert timed([[python("print('through')", output_to=reader)]]).last_line == "THROUGH"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
def test_memory_is_of_the_process_and_its_children() -> None:
    child = "x = b'x' * 60_000_000; import time; time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    peak = timed([[python(parent)]]).peak_memory_mb
    assert peak is not None
    assert peak > 60


def test_a_process_that_fails_ends_the_others() -> None:
    with pytest.raises(BenchmarkError, match=r"ended with 3: .*it went wrong"):
        timed(
            [
                [
                    python("import time; time.sleep(60)"),
                    python("import sys; print('it went wrong', file=sys.stderr); sys.exit(3)"),
                ]
            ]
        )


def test_passwords_reach_psql_by_the_environment_only() -> None:
    variables = environment("postgresql://me:secret@127.0.0.1:5432/db?sslmode=disable")
    command = Command(["psql"], variables)
    assert variables["PGPASSWORD"] == "secret"
    assert "secret" not in repr(command)
