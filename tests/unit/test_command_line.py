"""The command line's manners: help, exit codes, and mistakes that end in a sentence and not in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVETRAIN = str(Path(sys.executable).with_name("drivetrain"))


def drivetrain(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DRIVETRAIN_")}
    return subprocess.run(
        [DRIVETRAIN, *arguments],
        env={**environment, "DRIVETRAIN_HOME": str(home), "COLUMNS": "200", **settings},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "command",
    [(), ("demo",), ("servers",), ("servers", "up"), ("catalog",), ("catalog", "check"), ("catalog", "draft"),
     ("catalog", "show"), ("ingest",), ("build",), ("refresh",), ("status",), ("ui",)],
)  # fmt: skip
def test_every_command_explains_itself(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = drivetrain(tmp_path, *command, "--help")
    assert done.returncode == 0
    assert "Usage: drivetrain" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "said"),
    [
        (("nonsense",), {}, 2, "No such command"),
        (("demo", "--scale", "much"), {}, 2, "--scale"),
        (("ingest", "nowhere"), {}, 2, "no system 'nowhere'"),
        (("ingest", "shop.nothing"), {}, 2, "no table 'nothing'"),
        (("refresh", "weekly"), {}, 2, "There are: hourly, six_hourly, daily"),
        (("refresh", "hourly", "--at", "soon"), {}, 2, "--at"),
        (("status",), {}, 2, "DRIVETRAIN_WAREHOUSE_DSN is not set"),
        (("ingest", "shop"), {}, 2, "DRIVETRAIN_SHOP_DSN is not set"),
        (("catalog", "check"), {"DRIVETRAIN_CATALOG": "/nowhere"}, 2, "DRIVETRAIN_CATALOG"),
        (("demo",), {"DRIVETRAIN_SHOP_DSN": "postgresql://u:s3cret@127.0.0.1:1/x"}, 2, "DRIVETRAIN_SHOP_DSN"),
        (
            ("catalog", "draft", "postgresql://u:s3cret@127.0.0.1:1/x", "--system", "mine"),
            {},
            3,
            "no answer from u@127.0.0.1:1/x",
        ),
        (
            ("status",),
            {
                "DRIVETRAIN_WAREHOUSE_DSN": "postgresql://u:s3cret@127.0.0.1:1/w",
                "DRIVETRAIN_DAGSTER_DSN": "postgresql://u:s3cret@127.0.0.1:1/d",
                **{
                    f"DRIVETRAIN_{system}_DSN": "postgresql://u:s3cret@127.0.0.1:1/x"
                    for system in ("BIKENODE", "THROTTLECOVE", "LOGISTICS", "CARDDB", "SHOP")
                },
            },
            3,
            "DRIVETRAIN_WAREHOUSE_DSN: no answer",
        ),
    ],
)
def test_a_mistake_ends_in_a_sentence_and_a_code(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], code: int, said: str
) -> None:
    done = drivetrain(tmp_path, *arguments, **settings)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [], "a mistake leaves nothing behind"


def test_the_catalog_is_checked_without_a_database(tmp_path: Path) -> None:
    done = drivetrain(tmp_path, "catalog", "check", "--offline")
    assert done.returncode == 0
    assert "56 tables of 5 systems" in done.stdout


def test_a_broken_policy_is_named_by_file_table_and_field(tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "system: mine\ntitle: t\ndescription: d\nowner: o\nhistory_starts: 2025-01-01\ntables:\n"
        "  things: {description: d, key: [id], retention: lifetime, erasure: delete, colour: red,\n"
        "    columns: {id: {type: bigint}}}\n"
    )
    done = drivetrain(tmp_path, "catalog", "check", "--offline", DRIVETRAIN_CATALOG=str(folder))
    assert done.returncode == 2
    assert "mine.yaml: things.colour: unknown field" in done.stderr
