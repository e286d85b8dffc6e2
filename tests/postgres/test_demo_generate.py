"""The runner: one transaction, one record of what was done, and plain refusals.

What does not belong here: what any application's rows look like.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from demo import generate
from demo.generate import change, fill, filled
from warehouse.errors import DemoError

TODAY = dt.date(2026, 3, 31)
HERE = Path(__file__).parents[2]


def relations(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('public')::oid"
        ).fetchone()
    assert row is not None
    return row[0]


def test_a_killed_fill_leaves_nothing_and_the_next_completes(empty_database: str) -> None:
    code = (
        "import datetime, sys; from demo.generate import fill; fill(sys.argv[1], 'logistics', seed=1, scale=1.0,"
        " today=datetime.date(2026, 3, 31), progress=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code, empty_database], stdout=subprocess.PIPE, cwd=HERE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"data_after_real" in line:
                break
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    with psycopg.connect(empty_database, autocommit=True) as connection:
        ours = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'drivetrain demo' AND datname = current_database()"
        )
        while connection.execute(ours).fetchone() != (0,):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert relations(empty_database) == 0
    assert filled(empty_database) is None
    rows = fill(empty_database, "logistics", seed=1, scale=0.01, today=TODAY)
    assert rows["orders"] > 200


def test_the_same_again_does_nothing_and_other_parameters_are_refused(empty_database: str) -> None:
    told: list[str] = []
    first = fill(empty_database, "carddb", seed=1, scale=0.01, today=TODAY)
    started = time.monotonic()
    assert fill(empty_database, "carddb", seed=1, scale=0.01, today=TODAY, progress=told.append) == first
    assert time.monotonic() - started < 1
    assert told == ["carddb: already filled"]
    for other in ({"seed": 2}, {"scale": 0.02}, {"today": dt.date(2026, 4, 1)}):
        parameters = {"seed": 1, "scale": 0.01, "today": TODAY, **other}
        with pytest.raises(DemoError, match=r"carddb, seed 1, scale 0\.01, today 2026-03-31.*\n.*--replace"):
            fill(empty_database, "carddb", **parameters)
    with pytest.raises(DemoError, match="is filled with"):
        fill(empty_database, "shop", seed=1, scale=0.01, today=TODAY)
    told_by_comment = filled(empty_database)
    assert told_by_comment is not None
    assert (told_by_comment.system, told_by_comment.seed, told_by_comment.real) == ("carddb", 1, None)
    assert told_by_comment.rows == first


def test_replace_drops_what_was_there(empty_database: str) -> None:
    fill(empty_database, "carddb", seed=1, scale=0.01, today=TODAY)
    rows = fill(empty_database, "shop", seed=2, scale=0.01, today=TODAY, replace=True)
    assert "orders" in rows
    assert "cards" not in rows
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('public.cards')").fetchone() == (None,)
        assert connection.execute("SELECT has_schema_privilege('drivetrain_reader', 'public', 'USAGE')").fetchone() == (
            True,
        )


def test_a_database_of_somebody_else_is_left_alone(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE theirs (id int)")
    for replace in (False, True):
        with pytest.raises(DemoError, match="'theirs' in public that the demonstration did not make"):
            fill(empty_database, "carddb", seed=1, scale=0.01, today=TODAY, replace=replace)
    assert relations(empty_database) == 1


def test_an_error_in_a_file_names_its_line_and_changes_nothing(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helpers.sql").write_text((HERE / "demo" / "helpers.sql").read_text())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "schema.sql").write_text("CREATE TABLE fine (id int);\n\nCREATE TABLE wrong (id nothing);\n")
    monkeypatch.setattr(generate, "HERE", tmp_path)
    with pytest.raises(DemoError, match=r"broken/schema\.sql:3: type \"nothing\" does not exist"):
        fill(empty_database, "broken", seed=1, scale=0.01, today=TODAY)
    assert relations(empty_database) == 0


def test_rounds_are_made_once_each(empty_database: str) -> None:
    with pytest.raises(DemoError, match="no demonstration data of carddb"):
        change(empty_database, "carddb", seed=1, round=1)
    fill(empty_database, "carddb", seed=1, scale=0.01, today=TODAY)
    assert change(empty_database, "carddb", seed=1, round=1)["price_observations"] > 0
    assert change(empty_database, "carddb", seed=1, round=1) == {}
    assert change(empty_database, "carddb", seed=1, round=2)["users"] >= 3
    after = filled(empty_database)
    assert after is not None
    assert after.changes == (1, 2)
    with pytest.raises(DemoError, match="Rounds count from 1"):
        change(empty_database, "carddb", seed=1, round=0)
    assert fill(empty_database, "carddb", seed=1, scale=0.01, today=TODAY)["users"] == 50


@pytest.mark.parametrize("scale", [0, -1, float("nan"), 1e9])
def test_a_senseless_scale_is_refused(scale: float) -> None:
    with pytest.raises(DemoError, match="makes no sense"):
        fill("postgresql://nowhere", "carddb", seed=1, scale=scale, today=TODAY)


def test_servers_that_do_not_answer_are_told_as_such() -> None:
    with pytest.raises(DemoError, match="does not answer"):
        fill("postgresql://127.0.0.1:1/nowhere", "carddb", seed=1, scale=1, today=TODAY)
