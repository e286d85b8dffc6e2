"""``dashboards``: 200 vendors open their dashboard at once, again and again, as the analyst role.

A dashboard is the shop's row of ``shop_analytics`` and its last 120 days. The limit is the same clients asking the
server for nothing (``SELECT 1``, twice). Compared is the 95th percentile of a whole dashboard's time.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks import psql
from benchmarks.marts.refresh import ROWS, SHOPS, Warehouse
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.stage import Stage
from demo.servers.model import ANALYST

CLIENTS, SECONDS = 200, 10
_NOTHING = "SELECT 1;\nSELECT 1;\n"


def prepare(stage: Stage) -> Prepared:
    """Ready: marts over a history, and every shop's pages read once."""
    warehouse = Warehouse.made(stage, "the vendors' warehouse", int(ROWS * stage.scale), ("shop_analytics_daily",))
    dashboards = (Path(__file__).parent / "dashboards.sql").read_text()
    dsn = stage.servers.server("warehouse").dsn(warehouse.database, ANALYST)
    notes = [
        f"{CLIENTS} connections of the role analyst for {SECONDS} s a round, without a pause between dashboards;"
        f" {SHOPS:,} shops of {warehouse.rows:,} order items. pgbench shares the machine's cores.",
    ]

    def ours() -> dict[str, Sample]:
        times, rate = _pgbench(dsn, dashboards)
        return {
            OURS: Sample(statistics.quantiles(times, n=20)[-1]),
            "median dashboard": Sample(statistics.median(times)),
            "slowest dashboard": Sample(max(times)),
            "ours, seconds per 1,000 dashboards": Sample(1000 / rate),
        }

    def limit() -> dict[str, Sample]:
        times, _ = _pgbench(dsn, _NOTHING)
        return {LIMIT: Sample(statistics.quantiles(times, n=20)[-1])}

    _pgbench(dsn, dashboards)
    return Prepared({"dashboards": ours, "nothing": limit}, notes)


def _pgbench(dsn: str, script: str) -> tuple[list[float], float]:
    """Seconds of each transaction, and transactions per second.

    Raises:
        BenchmarkError: a transaction failed.
    """
    with tempfile.TemporaryDirectory(prefix="drivetrain-pgbench-") as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script)
        command = [
            str(Path(psql.program()).with_name("pgbench")), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2",
            "-T", str(SECONDS), "-D", f"shops={SHOPS}", "-l", "--log-prefix", f"{folder}/log", "-f", str(file),
        ]  # fmt: skip
        done = subprocess.run(command, env=psql.environment(dsn), capture_output=True, text=True, check=False)
        if done.returncode != 0 or not re.search(r"failed transactions: 0 ", done.stdout):
            raise BenchmarkError(f"dashboards failed: {done.stderr[-500:]} {done.stdout[-500:]}")
        rate = re.search(r"tps = ([\d.]+) \(without", done.stdout)
        assert rate is not None
        lines = (line for log in Path(folder).glob("log*") for line in log.read_text().splitlines())
        return [int(line.split()[2]) / 1e6 for line in lines], float(rate[1])


BENCHMARK = Benchmark(
    name="dashboards",
    ours=f"the 95th percentile of {CLIENTS} vendors' dashboards at once, as the analyst role",
    limit="the 95th percentile of the same clients asking for nothing (SELECT 1, twice)",
    prepare=prepare,
)
