"""What the demo ends with, on marts as they are and where there are none."""

from __future__ import annotations

import psycopg
from mart_runs import fresh_database

from demo.servers import Servers
from pipelines.cli.highlights import HIGHLIGHTS, show_highlights
from pipelines.cli.output import console
from resources.settings import Settings


def shown(settings: Settings) -> str:
    with console.capture() as captured:
        show_highlights(settings)
    return captured.get()


def test_the_leaders_are_shown(servers: Servers) -> None:
    with fresh_database(servers, "warehouse") as dsn:
        settings = Settings({"DRIVETRAIN_WAREHOUSE_DSN": dsn})
        assert shown(settings) == ""
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA marts")
            connection.execute(
                "CREATE TABLE marts.rider_leaderboard AS SELECT i AS rider_id, 'Rider ' || i AS name, 'Pune' AS city,"
                " 1000.5 * (9 - i) AS total_earnings, i AS completed_orders, 4.5 AS avg_rating, i AS earnings_rank,"
                " i AS city_rank, 2 - i AS rank_movement FROM generate_series(1, 8) AS i"
            )
        found = shown(settings)
    assert HIGHLIGHTS[0].mart in found
    assert HIGHLIGHTS[1].mart not in found
    (first,) = [line for line in found.splitlines() if "Rider 1 " in line]
    assert first.split() == ["1", "+1", "Rider", "1", "Pune", "1", "8,004.00", "1", "4.5"]
    assert "Rider 6" not in found
