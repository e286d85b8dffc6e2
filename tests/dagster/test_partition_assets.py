"""The asset of a system's partitions on real servers: what it makes, what its checks say, and when its run fails."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml
from ingesting import PARTITIONED, Bench
from psycopg import conninfo
from rich.console import Console
from typer.testing import CliRunner

from assets import keys
from assets.partitions import CHECKS, partition_asset
from warehouse.catalog.periods import period_start, shifted
from warehouse.partitions.apply import Patience

Run = Callable[[], dg.ExecuteInProcessResult]


@pytest.fixture
def run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> Run:
    """A system with a table by month, ingested once; materialises the asset of its partitions."""
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    bench.monthly("facts", partition={"range": "at", "name": "{table}_y{year}m{month}"})
    bench.ingest("facts")
    document = bench.system.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    (tmp_path / f"{bench.name}.yaml").write_text(yaml.safe_dump(document))
    admin = conninfo.make_conninfo(bench.admin.info.dsn, password=bench.admin.info.password)
    for name, value in {
        "HOME": str(tmp_path),
        "CATALOG": str(tmp_path),
        "WAREHOUSE_DSN": bench.pair.target.text,
        "DAGSTER_DSN": bench.pair.target.text,
        f"{bench.name.upper()}_DSN": bench.pair.primary.text,
        f"{bench.name.upper()}_MAINTENANCE_DSN": admin,
    }.items():
        monkeypatch.setenv(f"DRIVETRAIN_{name}", value)

    def materialise() -> dg.ExecuteInProcessResult:
        return dg.materialize([partition_asset(bench.system)], instance=instance, raise_on_error=False)

    return materialise


def months_due() -> int:
    """From April 2024, which the table lacks, to three months ahead."""
    today = dt.datetime.now(dt.UTC).date()
    return (today.year - 2024) * 12 + today.month - 3 + 3


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def metadata(bench: Bench, result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (made,) = result.asset_materializations_for_node(keys.partitions(bench.name).to_python_identifier())
    return {name: value.value for name, value in made.metadata.items()}


def test_partitions_are_made_in_source_and_warehouse_and_a_second_run_finds_nothing(bench: Bench, run: Run) -> None:
    bench.source("ANALYZE facts_y2024m01")
    counted = bench.source("SELECT count(*) FROM facts_y2024m01")[0][0]
    first = run()
    assert first.success
    assert checks(first) == dict.fromkeys(CHECKS, True)
    shown = metadata(bench, first)
    assert (shown["made"], shown["not_done"]) == (2 * months_due(), 0)
    assert shown["partitions"] == 2 * (3 + months_due())
    assert "| facts | warehouse |" in shown["tables"] and "premake" in shown["done"]
    assert (shown["source_rows"], shown["warehouse_rows"]) == (counted, 360), "each by itself"
    assert shown["source_bytes"] > 0 and shown["warehouse_bytes"] > 0
    second = run()
    assert (second.success, metadata(bench, second)["made"]) == (True, 0)
    assert metadata(bench, second)["done"] == "Nothing is due."
    # What was made ahead takes what comes.
    bench.source("INSERT INTO facts VALUES (1000, now(), 'now')")
    bench.ingest("facts")
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts") == [(361,)]
    assert bench.rows("facts", of="source") == bench.rows("facts", of="warehouse")


def test_rows_in_a_default_partition_are_told_of_before_they_hurt(bench: Bench, run: Run) -> None:
    bench.source("CREATE TABLE rest PARTITION OF facts DEFAULT")
    bench.source("INSERT INTO facts VALUES (1000, '2024-05-05+00', 'stray')")
    result = run()
    assert result.success, "a warning"
    assert checks(result) == {**dict.fromkeys(CHECKS, True), "ahead": False, "nothing_in_default": False}
    shown = metadata(bench, result)
    assert "default partition holds rows of 2024-05-01" in shown["to_know"]
    assert (shown["not_done"], shown["refused"], shown["notes"]) == (0, 1, 1)
    assert metadata(bench, run())["done"] == "Nothing is due; 1 refused, 1 note."


def test_an_empty_endless_partition_shortens_what_is_kept_ahead(bench: Bench, run: Run) -> None:
    """It takes the place of the last partition that is due; the others are made, so there is no hurry yet."""
    today = dt.datetime.now(dt.UTC).date()
    third = shifted("month", period_start("month", today), 3)
    bench.source(f"CREATE TABLE endless PARTITION OF facts FOR VALUES FROM ('{third}+00') TO (MAXVALUE)")
    result = run()
    assert result.success, "a warning"
    assert checks(result) == {**dict.fromkeys(CHECKS, True), "ahead": False}
    (ahead,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "ahead"]
    said = f"reaches {third}, and should reach {shifted('month', third, 1)}: `drivetrain partitions plan"
    assert said in str(ahead.metadata["which"].value)
    bench.source("DROP TABLE endless")
    assert checks(run()) == dict.fromkeys(CHECKS, True)


def test_a_table_near_its_end_fails_the_run_while_there_is_time(bench: Bench, run: Run) -> None:
    bench.source("CREATE TABLE rest PARTITION OF facts DEFAULT")
    bench.source("INSERT INTO facts VALUES (1000, now() + interval '32 days', 'from the future')")
    result = run()
    assert not result.success
    assert checks(result)["not_near_the_end"] is False
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    described = failure.step_failure_data.user_failure_data
    assert described is not None
    assert f"{bench.name}.facts (source) reaches" in str(described.description)
    assert f"run `drivetrain partitions apply {bench.name}.facts`" in str(described.description)
    assert "docs/runbooks/partitions.md" in str(described.description)
    assert Path("docs/runbooks/partitions.md").is_file()


def test_drift_that_is_only_reported_shows_in_the_check(bench: Bench, run: Run) -> None:
    assert run().success
    bench.source("ALTER TABLE facts ENABLE ROW LEVEL SECURITY")
    path = Path(os.environ["DRIVETRAIN_CATALOG"]) / f"{bench.name}.yaml"
    document = yaml.safe_load(path.read_text())
    document["tables"]["facts"]["partition"]["drift"] = "report"
    path.write_text(yaml.safe_dump(document))
    result = run()
    assert result.success, "a warning"
    assert checks(result) == {**dict.fromkeys(CHECKS, True), "like_their_parents": False}
    assert "drift: report" in metadata(bench, result)["to_know"]
    del document["tables"]["facts"]["partition"]["drift"]
    path.write_text(yaml.safe_dump(document))
    assert checks(run()) == dict.fromkeys(CHECKS, True)


def test_the_command_line_plans_applies_and_tells(bench: Bench, run: Run) -> None:
    from pipelines.cli import app

    def ask(*arguments: str) -> tuple[int, Any]:
        result = CliRunner().invoke(app, ["partitions", *arguments, "--json"])
        return result.exit_code, json.loads(result.stdout)

    code, planned = ask("plan", f"{bench.name}.facts", "--where", "source")
    assert code == 0
    creations = [action for action in planned["actions"] if action["kind"] == "create"]
    assert len(creations) == months_due()
    assert creations[0]["statements"][-1]["lock"] == "SHARE UPDATE EXCLUSIVE on facts"
    code, applied = ask("apply")
    assert code == 0
    assert sum(len(table["done"]) for table in applied["tables"]) >= 2 * months_due()
    assert ask("plan") == (0, {"actions": [], "failures": []})
    code, status = ask("status")
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(days=85)
    assert [dt.datetime.fromisoformat(table["reaches"]) > ahead for table in status["tables"]] == [True, True]


def test_the_command_line_says_first_what_is_due_and_hides_no_note(
    bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.cli import app

    def ask(*arguments: str) -> list[str]:
        shown = io.StringIO()
        monkeypatch.setattr("pipelines.cli.partitions.console", Console(file=shown, width=200))
        CliRunner().invoke(app, ["partitions", *arguments])
        return [line.rstrip() for line in shown.getvalue().splitlines()]

    months = months_due()
    assert ask("plan")[0] == f"{2 * months} partitions to make, 2 tables to analyse."
    assert ask("apply")[0] == f"{2 * months + 2} actions done on 2 tables."
    assert ask("plan") == ["Nothing is due."]
    status = ask("status")
    assert len(status) == 3, "the header, and nothing to look for elsewhere"

    bench.source("CREATE TABLE rest PARTITION OF facts DEFAULT")
    told = ask("plan")
    assert told[0] == "Nothing is due; 1 note."
    assert told[1].startswith(f"note: {bench.name}.rest (source): an empty default partition")
    status = ask("status")
    assert status[1].endswith("1 note") and status[-1] == "What is due, and why: drivetrain partitions plan"

    bench.source("DROP TABLE facts_y2024m05")
    bench.source("INSERT INTO facts VALUES (1000, '2024-05-05+00', 'stray')")
    told = ask("plan")
    assert told[0] == "Nothing is due; 1 refused, 1 note."
    assert told[1].startswith(f"refused: {bench.name}.facts_y2024m05 (source): the default partition holds rows")
    assert ask("apply")[0] == "0 actions done on 2 tables; 1 refused, 1 note."
    assert any(line.endswith("1 refused, 1 note") for line in ask("status"))

    bench.source("DROP TABLE facts_y2024m06")
    with psycopg.connect(bench.pair.source_admin) as other:
        other.execute(f"LOCK TABLE {bench.name}.rest IN ACCESS SHARE MODE".encode())
        monkeypatch.setattr("warehouse.partitions.apply.Patience", partial(Patience, attempts=1))
        told = ask("apply", f"{bench.name}.facts", "--where", "source")
        held = f"canceling statement due to lock timeout; held by pid {other.info.backend_pid} ("
    assert told[0] == "0 actions done on 1 table; 1 not done, 1 refused, 1 note."
    assert told[1].startswith(f"  not done {bench.name}.facts: facts_y2024m06: {held}"), "in one line"

    answer = json.loads(CliRunner().invoke(app, ["partitions", "status", "--json"]).stdout)
    (source,) = [table for table in answer["tables"] if table["where"] == "source"]
    assert (source["declared"]["range"], source["declared"]["every"]) == ("at", "month")
    assert [note["partition"] for note in source["notes"]] == ["rest"]
    answer = json.loads(CliRunner().invoke(app, ["partitions", "apply", "--json"]).stdout)
    assert [table["target"]["declared"]["range"] for table in answer["tables"]] == ["at", "at"]


def test_a_database_that_is_away_keeps_no_other_from_its_partitions(
    bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two systems the first is away, in its source only."""
    from pipelines.cli import app

    away = f"a{bench.name}"
    folder = Path(os.environ["DRIVETRAIN_CATALOG"])
    document = yaml.safe_load((folder / f"{bench.name}.yaml").read_text())
    (folder / f"{away}.yaml").write_text(yaml.safe_dump({**document, "system": away}))
    monkeypatch.setenv(f"DRIVETRAIN_{away.upper()}_DSN", bench.pair.primary.text)
    monkeypatch.setenv(f"DRIVETRAIN_{away.upper()}_MAINTENANCE_DSN", "postgresql://nobody:x@127.0.0.1:1/nowhere")

    for command in ("plan", "status", "apply"):
        result = CliRunner().invoke(app, ["partitions", command, "--json"])
        answer = json.loads(result.stdout)
        (failure,) = answer["failures"]
        assert (result.exit_code, failure["system"], failure["where"], failure["table"]) == (1, away, "source", "")
        assert "no answer from nobody@127.0.0.1:1/nowhere" in failure["error"] and "server up" in failure["hint"]
    assert sum(len(table["done"]) for table in answer["tables"]) >= 2 * months_due(), "the other system's were made"
    for command in ("plan", "status", "apply"):
        shown = io.StringIO()
        monkeypatch.setattr("pipelines.cli.partitions.console", Console(file=shown))
        assert CliRunner().invoke(app, ["partitions", command]).exit_code == 1
        assert f"failed {away} (source): DRIVETRAIN_" in shown.getvalue()
        assert "Is the server up" in shown.getvalue() and "Nothing is due" not in shown.getvalue()

    # In one system: its warehouse is maintained though its source is away, and the run fails.
    bench.warehouse("DROP TABLE {raw}.facts_y2024m06 CASCADE")
    monkeypatch.setenv(f"DRIVETRAIN_{bench.name.upper()}_MAINTENANCE_DSN", "not a connection string")
    assert not run().success
    assert bench.warehouse("SELECT to_regclass('{raw}.facts_y2024m06') IS NOT NULL") == [(True,)]


def test_a_table_that_cannot_be_read_keeps_no_other_from_its_partitions(bench: Bench, run: Run) -> None:
    """The first of two: its default partition lies on a server that does not answer."""
    from pipelines.cli import app

    path = Path(os.environ["DRIVETRAIN_CATALOG"]) / f"{bench.name}.yaml"
    document = yaml.safe_load(path.read_text())
    document["tables"] = {"afar": document["tables"]["facts"], **document["tables"]}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    bench.source("CREATE EXTENSION postgres_fdw")
    bench.source("CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1')")
    bench.source("CREATE USER MAPPING FOR PUBLIC SERVER away")
    bench.source("CREATE TABLE afar (LIKE facts) PARTITION BY RANGE (at)")
    bench.source("CREATE FOREIGN TABLE rest PARTITION OF afar DEFAULT SERVER away")
    try:
        result = CliRunner().invoke(app, ["partitions", "apply", "--where", "source", "--json"])
    finally:
        bench.source("DROP EXTENSION postgres_fdw CASCADE")
    answer = json.loads(result.stdout)
    assert (result.exit_code, [failure["table"] for failure in answer["failures"]]) == (1, ["afar"])
    assert "could not connect to server" in answer["failures"][0]["error"]
    assert [len(table["done"]) > months_due() for table in answer["tables"]] == [True]


def test_wrong_arguments_are_refused_in_words(bench: Bench, run: Run) -> None:
    from pipelines.cli import app
    from warehouse.errors import ConfigurationError

    for arguments, said in (
        (["plan", "nowhere"], "no system 'nowhere'"),
        (["plan", f"{bench.name}.nothing"], "partitions no table 'nothing'"),
        (["plan", "--where", "lake"], "--where 'lake'"),
        (["rehash", "facts", "--to", "8"], "'facts' is no table"),
        (["rehash", f"{bench.name}.facts", "--to", "8"], "is not partitioned by hash"),
    ):
        error = CliRunner().invoke(app, ["partitions", *arguments]).exception
        assert said in str(error), arguments
        assert getattr(error, "hint", ""), arguments
    assert isinstance(CliRunner().invoke(app, ["partitions", "plan", "nowhere"]).exception, ConfigurationError)


def test_converting_by_the_command_line(bench: Bench, run: Run) -> None:
    from pipelines.cli import app

    bench.source("CREATE TABLE rest PARTITION OF facts DEFAULT")
    bench.source("INSERT INTO facts VALUES (1000, '2024-05-05+00', 'stray')")
    table = f"{bench.name}.facts"
    plan = ["partitions", "convert", table, "--at", "2024-06-01", "--plan", "--json"]
    (action,) = json.loads(CliRunner().invoke(app, plan).stdout)["actions"]
    assert [piece["name"] for piece in action["pieces"]][:2] == ["facts_y2024m05", "facts_y2024m06"]
    done = CliRunner().invoke(app, ["partitions", "convert", table, "--at", "2024-06-01", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["splits"][0]["rows"] == 1
    assert bench.source("SELECT tableoid::regclass::text FROM facts WHERE id = 1000")[0][0].endswith("facts_y2024m05")
    assert json.loads(CliRunner().invoke(app, plan).stdout) == {"actions": []}


def test_a_plain_table_is_converted_by_the_command_line(bench: Bench, run: Run) -> None:
    """Plan, begin, undo, do it, and find nothing left to do; the rows are the same to whoever reads the table."""
    from pipelines.cli import app

    table = f"{bench.name}.facts"
    bench.source("CREATE TABLE whole (LIKE facts INCLUDING ALL)")
    bench.source("INSERT INTO whole SELECT * FROM facts")
    bench.source("DROP TABLE facts")
    bench.source("ALTER TABLE whole RENAME TO facts")
    rows = bench.source("SELECT f::text FROM facts AS f ORDER BY id, at")
    convert = ["partitions", "convert", table, "--at", "2024-06-01"]
    (action,) = json.loads(CliRunner().invoke(app, [*convert, "--plan", "--json"]).stdout)["actions"]
    assert action["pieces"][0]["parts"], action
    assert [step["lock"].split(" on ")[0] for step in action["steps"]][4] == "ACCESS EXCLUSIVE"
    assert json.loads(CliRunner().invoke(app, [*convert, "--abandon", "--json"]).stdout) == {
        "undone": [],
        "in_place": [],
    }
    done = CliRunner().invoke(app, [*convert, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["splits"][0]["rows"] == len(rows)
    assert bench.source("SELECT f::text FROM facts AS f ORDER BY id, at") == rows
    assert bench.source("SELECT pg_get_partkeydef('facts'::regclass)") == [("RANGE (at)",)]
    assert json.loads(CliRunner().invoke(app, [*convert, "--plan", "--json"]).stdout) == {"actions": []}
