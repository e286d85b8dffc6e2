"""``kill -9`` of an ingesting process: at every step of a load, and at random moments.

Each leaves the state before an action or after it, with a ledger that tells which, and the next run goes on from there.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import yaml
from ingesting import Bench, backends_of

ROOT = Path(__file__).parents[2]
MODES = ["full", "incremental", "partition"]

#: ``module:attribute`` of the calls around which the process may end; ``-`` before, ``+`` after.
STEPS = [
    "-warehouse.state.raw_store:RawTable.ensure", "+warehouse.state.raw_store:RawTable.ensure",
    "+warehouse.state.raw_store:RawTable.begin_child", "+warehouse.state.raw_store:RawTable.receive",
    "+warehouse.ingest.apply:_Load._prove", "+warehouse.state.raw_store:RawTable.finish_child",
    "+warehouse.ingest.apply:_Load._advance_watermark", "+warehouse.ingest.apply:record_load",
    "-warehouse.ingest.apply:_Load.conclude", "+warehouse.ingest.apply:record_reconciliation",
    "+warehouse.ingest.apply:_Load.conclude",
]  # fmt: skip

SCRIPT = """
import importlib, os, signal, sys
from warehouse.catalog.loader import parse_system
from warehouse.ingest import ingest_table, open_snapshot
from warehouse.postgres.sessions import Dsn

step, times, primary, target, table, document = sys.argv[1:7]
if step:
    module, _, path = step[1:].partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    original, left = getattr(owner, name), [int(times)]

    def die():
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(*arguments, **named):
        if step[0] == "-":
            die()
        result = original(*arguments, **named)
        if step[0] == "+":
            die()
        return result

    setattr(owner, name, around)
system = parse_system(document, "killed.yaml")
print("ready", flush=True)
with open_snapshot(Dsn(primary)) as snapshot:
    ingest_table(snapshot, Dsn(target), system, table)
"""


def start(bench: Bench, step: str = "", times: int = 1) -> subprocess.Popen[str]:
    """A process that ingests the table, and ends itself at the step if one is given."""
    document = yaml.safe_dump(bench.system.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    arguments = [step, str(times), bench.pair.primary.text, bench.pair.target.text, "t", document]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def make(bench: Bench, mode: str) -> None:
    bench.source("CREATE TABLE t (id int, v int, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    bench.source("INSERT INTO t SELECT i, 0, '2024-01-20+00'::timestamptz + i * interval '1 hour'"
                 " FROM generate_series(1, 1500) i")  # fmt: skip
    cursor = {"cursor": "v"} if mode == "incremental" else {}
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})


def change(bench: Bench, version: int) -> None:
    bench.source(f"UPDATE t SET v = {version}; DELETE FROM t WHERE id % 100 = {version}")


def settled(bench: Bench) -> None:
    """The backends of the killed process are gone, and with them what they held."""
    deadline = time.monotonic() + 20
    while backends_of(bench, "drivetrain ingest"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_each_step(bench: Bench, mode: str) -> None:
    make(bench, mode)
    bench.ingest("t")
    steps = [step for step in STEPS if mode != "incremental" or "_child" not in step]  # a merge swaps no child
    for version, step in enumerate(steps, start=1):
        times = 2 if mode == "partition" and step.endswith("record_load") else 1  # in its second month
        before = len(bench.loads("t"))
        change(bench, version)
        process = start(bench, step, times)
        _, said = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, (step, said)
        settled(bench)
        assert not bench.leftovers()
        found = bench.warehouse("SELECT DISTINCT tableoid::regclass::text, v FROM {raw}.t ORDER BY 1")
        assert {v for _, v in found} <= {version - 1, version}
        # One load in the ledger for each child that has the new rows, no more and no less.
        loads = len(bench.loads("t")) - before
        assert loads == sum(1 for _, v in found if v == version), (step, found, bench.loads("t")[before:])
        if mode == "incremental":
            assert bench.watermark("t") == ("v", str(found[0][1]))
        bench.ingest("t")
        bench.assert_equal("t")
        assert not bench.leftovers()


@pytest.mark.parametrize("mode", MODES)
def test_killed_before_anything_was_there(bench: Bench, mode: str) -> None:
    make(bench, mode)
    for step in ("-warehouse.state.raw_store:RawTable.ensure", "+warehouse.state.raw_store:RawTable.receive"):
        process = start(bench, step)
        _, said = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, said
        settled(bench)
        assert (bench.loads("t"), bench.watermark("t"), bench.leftovers()) == ([], None, [])
    bench.ingest("t")
    assert bench.assert_equal("t") == 1500


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_random_moments(bench: Bench, mode: str) -> None:
    make(bench, mode)
    bench.ingest("t")
    chance = random.Random(f"moments {mode}")
    for version in range(1, 4):
        change(bench, version)
        process = start(bench)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.35))
        process.kill()
        process.communicate(timeout=60)
        settled(bench)
        assert not bench.leftovers()
        found = bench.warehouse("SELECT DISTINCT tableoid::regclass::text, v FROM {raw}.t ORDER BY 1")
        assert len(found) == len({child for child, _ in found}), found
        if mode == "incremental":
            assert bench.watermark("t") == ("v", str(found[0][1]))
    bench.ingest("t")
    bench.assert_equal("t")
    assert bench.ingest("t").loads == ()
