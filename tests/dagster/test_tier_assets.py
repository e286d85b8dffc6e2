"""The asset of a system's tiers on real servers: what it moves, what its check says, and when its run fails."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ingesting import PARTITIONED, Bench
from tiering import TIERS, environment, tier
from typer.testing import CliRunner

from assets import keys
from assets.tiers import ACCOUNTED, tier_asset
from pipelines.cli import app, prove
from pipelines.proofs import read_proofs

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> Run:
    """A system with a table of three months of 2024, ingested once; materialises the asset of its tiers."""
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    tier(bench, TIERS)
    bench.ingest("facts")
    for name, value in environment(bench, tmp_path).items():
        monkeypatch.setenv(name, value)

    def materialise(**config: Any) -> dg.ExecuteInProcessResult:
        node = keys.tiers(bench.name).to_python_identifier()
        return dg.materialize(
            [tier_asset(bench.system)],
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {node: {"config": config}}} if config else None,
        )

    return materialise


def check(result: dg.ExecuteInProcessResult) -> tuple[bool, str]:
    (found,) = [each for each in result.get_asset_check_evaluations() if each.check_name == ACCOUNTED]
    return found.passed, str(found.metadata["which"].value)


def metadata(bench: Bench, result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (made,) = result.asset_materializations_for_node(keys.tiers(bench.name).to_python_identifier())
    return {name: value.value for name, value in made.metadata.items()}


def test_months_move_down_night_by_night(bench: Bench, run: Run) -> None:
    dry = run(dry_run=True)
    assert dry.success
    assert metadata(bench, dry)["done"] == "Nothing was moved."
    assert "| facts | 2024-01 | hot → warm |" in metadata(bench, dry)["left"]
    one = run(months=["2024-02"])
    assert "| facts | 2024-02 | hot → warm | 116 | done |" in metadata(bench, one)["done"]
    assert metadata(bench, one)["moved"] == 1
    for _ in range(6):
        last = run()
        assert last.success
        assert check(last) == (True, "none")
    shown = metadata(bench, last)
    assert (shown["lake_rows"], shown["warehouse_rows"], shown["moved"]) == (360, 0, 0)
    assert shown["left"] == "Nothing is due."
    assert "| cold | 2024-01 … 2024-03 | 360 |" in shown["map"]
    assert shown["cold_bytes"] > 0
    assert shown["tonight"] == "Tonight 0 months move."
    assert bench.source("SELECT count(*) FROM facts") == [(0,)]


def test_a_row_that_is_gone_is_named(bench: Bench, run: Run, instance: dg.DagsterInstance) -> None:
    before = time.time()
    assert read_proofs(instance, [bench.name]) == {}
    run()
    bench.warehouse("DELETE FROM {raw}.facts WHERE id = 3")
    passed, which = check(run(dry_run=True))
    assert not passed
    proof = read_proofs(instance, [bench.name, "never"])[bench.name]
    assert not proof.passed
    assert proof.succeeded_at is not None
    assert before < proof.succeeded_at < proof.at < time.time()
    assert which == "facts 2024-01: lost: the warehouse has 123 rows of 124"


def test_a_proof_on_the_command_line_is_noted_as_the_check_s(
    bench: Bench, run: Run, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "dagster_instance", lambda _: nullcontext(instance))
    before = time.time()
    assert CliRunner().invoke(app, ["prove", bench.name]).exit_code == 0
    first = read_proofs(instance, [bench.name])[bench.name]
    assert first.passed
    assert before < first.at == first.succeeded_at
    bench.warehouse("DELETE FROM {raw}.facts WHERE id = 3")
    assert CliRunner().invoke(app, ["prove"]).exit_code == 1
    second = read_proofs(instance, [bench.name])[bench.name]
    assert not second.passed
    assert first.at == second.succeeded_at < second.at


def test_what_cannot_be_moved_fails_the_run(bench: Bench, run: Run) -> None:
    bench.source("CREATE TABLE notes (fact bigint, at timestamptz)")
    bench.warehouse("DROP TABLE {raw}.facts")
    result = run()
    assert not result.success
    assert "is not in the warehouse" in str(result.all_events)


def test_a_month_that_is_none_is_refused(bench: Bench, run: Run) -> None:
    result = run(months=["January"])
    assert not result.success
    assert "'January' is no month" in str(result.all_events)


def test_the_map_is_a_picture_tables_and_numbers(bench: Bench, run: Run) -> None:
    bench.source("ANALYZE facts")
    shown = metadata(bench, run(dry_run=True))
    picture, _, tables = shown["map"].partition(")\n\n")
    kind, _, encoded = picture.partition(";base64,")
    assert kind == "![Bytes per tier](data:image/png"
    assert base64.b64decode(encoded).startswith(b"\x89PNG")
    assert "| facts | hot | 2024-01 … 2024-03 | 360 |" in tables
    assert "|  | warm | 2024-01 … 2024-03 | 360 |" in tables
    assert "| facts | hot → warm | 2024-01 … 2024-03 | 3 | 360 |" in tables
    assert shown["tonight"].startswith("Tonight 3 months move. ")
    assert (shown["kept_bytes"], shown["cold_bytes"]) == (0, 0)
    assert min(shown["hot_bytes"], shown["warm_bytes"], shown["frees_at_source_bytes"], shown["lag_days"]) > 0
