"""The marts of rides: what they say of real tracks, and what they say after anything happened to rides and samples.

What belongs here: bikenode's and throttlecove's marts on real servers, against an independent computation and their
own recomputation. What does not: single definitions (dbt's unit tests), and how models follow changes at all.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from independent_rides import RIDE_MARTS
from independent_tracks import GPS_TABLES, Sample, gps_tracks, track, unlike
from mart_runs import DbtRun, expected_rows, fresh_database, mart_rows, plain_rows, run_dbt
from test_demo_bikenode_real import independent_reading

from demo.generate import change, fill
from demo.servers import Servers
from warehouse.catalog.loader import load_catalog
from warehouse.ingest import ingest_table, open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.quality.recomputation import recompute
from warehouse.state.migrate import migrate

pytestmark = pytest.mark.slow

TABLES = {
    "bikenode": ("bikes", "gps_points", "rides", "users"),
    "throttlecove": ("group_messages", "motorcycles", "posts", "rides", "users"),
}
MODELS = ("+fct_ride_gps", "+dim_bikenode_user", "+dim_motorcycle", *(f"+{mart}" for mart in RIDE_MARTS))

#: What devices, riders and moderators do to rides after they were first seen.
LATER = {
    "bikenode": """
        -- Samples that arrive late, out of order, twice, from another month, and from nowhere near;
        -- one ride in seven has none.
        INSERT INTO gps_points (ride_id, seq, recorded_at, user_id, lat, lon, elevation_m)
        SELECT ride_id, seq + 100, recorded_at + interval '2 seconds', user_id, lat + 0.00001, lon, 333.3
        FROM gps_points WHERE ride_id % 3 = 0 AND ride_id % 7 <> 1 AND seq % 4 = 1
        UNION ALL
        SELECT ride_id, seq + 200, recorded_at, user_id, lat + 1, lon, 9
        FROM gps_points WHERE ride_id % 3 = 1 AND ride_id % 7 <> 1 AND seq = 7
        UNION ALL
        SELECT ride_id, seq + 300, recorded_at - interval '35 days', user_id, lat, lon, 9
        FROM gps_points WHERE ride_id % 3 = 1 AND ride_id % 7 <> 1 AND seq = 9
            AND recorded_at > now() - interval '1 year'
        UNION ALL
        SELECT ride_id, seq + 400, recorded_at + interval '3 seconds', user_id, -lat, lon, 9
        FROM gps_points WHERE ride_id % 3 = 2 AND ride_id % 7 <> 1 AND seq IN (11, 60);
        -- A rider stands for a while, and a track breaks off elsewhere.
        UPDATE gps_points AS p SET lat = f.lat, lon = f.lon FROM gps_points AS f
        WHERE f.ride_id = p.ride_id AND f.seq = 20 AND p.seq BETWEEN 21 AND 23 AND p.ride_id % 2 = 0
            AND p.ride_id % 7 <> 1;
        UPDATE gps_points SET lon = lon + 20 WHERE seq BETWEEN 40 AND 60 AND ride_id % 5 = 0 AND ride_id % 7 <> 1;
        DELETE FROM gps_points WHERE ride_id = (SELECT min(ride_id) FROM gps_points);
        DELETE FROM gps_points WHERE seq > 1 AND ride_id = (SELECT max(ride_id) FROM gps_points WHERE seq > 50);
        -- The longest ride of all is gone, others turn private, are held back, or change month; one was in a lorry.
        DELETE FROM rides WHERE id = (SELECT id FROM rides ORDER BY distance_m DESC NULLS LAST LIMIT 1);
        UPDATE rides SET visibility = 'private' WHERE id % 11 = 0;
        UPDATE rides SET status = 'flagged' WHERE id % 13 = 0;
        UPDATE rides SET started_at = started_at - interval '30 days', ended_at = ended_at - interval '30 days'
        WHERE id % 17 = 0 AND started_at > now() - interval '1 year';
        UPDATE rides SET distance_m = 46.0 * moving_s WHERE id % 19 = 0 AND moving_s > 0;
        UPDATE rides SET max_speed_mps = 99 WHERE id % 23 = 0;
        UPDATE users SET region = 'apac', subscription_tier = 'team', updated_at = now() WHERE id % 5 = 0;
        UPDATE users SET home_city = 'Elsewhere', updated_at = now() WHERE id % 5 = 1;
    """,
    "throttlecove": """
        DELETE FROM rides WHERE id IN (SELECT DISTINCT ON (user_id) id FROM rides ORDER BY user_id, started_at DESC);
        UPDATE rides SET avg_speed_kmh = 400.1 WHERE id % 19 = 0;
        UPDATE rides SET started_at = started_at - interval '30 days', ended_at = ended_at - interval '30 days'
        WHERE id % 17 = 0 AND started_at > now() - interval '1 year';
        UPDATE rides SET user_id = 1 WHERE id % 23 = 0;
        UPDATE group_messages SET withdrawn_at = now(), body = NULL, updated_at = now() WHERE id % 7 = 0;
        DELETE FROM posts WHERE id % 9 = 0;
        UPDATE motorcycles SET model_year = 2001 WHERE id % 5 = 0;
        UPDATE motorcycles SET odometer = odometer + 1 WHERE id % 5 = 1;
    """,
}


@dataclass
class Warehouse:
    """Operational databases, and a warehouse with the marts of rides."""

    operational: Mapping[str, str]
    dsn: str
    artifacts: Path

    def ingest(self, tables: Mapping[str, Sequence[str]] = TABLES) -> None:
        catalog = load_catalog()
        for system, names in tables.items():
            with open_snapshot(Dsn(self.operational[system])) as snapshot:
                for table in names:
                    ingest_table(snapshot, Dsn(self.dsn), catalog.systems[system], table)

    def dbt(self, *arguments: str) -> DbtRun:
        done = run_dbt(self.dsn, self.artifacts, *arguments)
        assert done.code == 0, done.output
        return done

    def build(self) -> DbtRun:
        return self.dbt("build", "--exclude-resource-type", "unit_test", "--select", *MODELS)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, options="-c timezone=UTC") as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def differences(self) -> dict[str, Any]:
        """What of the marts is not as computed independently."""
        found: dict[str, Any] = {}
        with psycopg.connect(self.dsn) as target:
            for name, independent in RIDE_MARTS.items():
                with psycopg.connect(self.operational[independent.system]) as source:
                    expected, held = expected_rows(source, independent), mart_rows(target, name, independent.key)
                assert len(expected) > 5, "too few rows to prove anything"
                wrong = {key for key in expected.keys() | held.keys() if expected.get(key) != held.get(key)}
                found |= {f"{name} {key}": (held.get(key), expected.get(key)) for key in wrong}
            with psycopg.connect(self.operational["bikenode"]) as source:
                tracks = gps_tracks(lambda table: plain_rows(source, "public", table, GPS_TABLES[table]))
            rides = mart_rows(target, "fct_ride_gps", "ride_id")
        assert len(tracks) > 5
        found |= {f"fct_ride_gps {key}": "not in both" for key in tracks.keys() ^ rides.keys()}
        for key in tracks.keys() & rides.keys():
            if wrong_figures := unlike(rides[key], tracks[key]):
                found[f"fct_ride_gps {key}"] = wrong_figures
        return found

    def recomputed(self) -> dict[str, Any]:
        """The models that follow changes, beside what they are when made anew."""
        self.dbt("compile", "--select", *MODELS, "--vars", json.dumps({"whole": True}))
        nodes = json.loads((self.artifacts / "target" / "manifest.json").read_text())["nodes"].values()
        found: dict[str, Any] = {}
        with connect(Dsn(self.dsn)) as connection:
            for node in nodes:
                if node.get("config", {}).get("materialized") == "incremental" and node.get("compiled_code"):
                    (key,) = [c["columns"] for c in node["constraints"] if c["type"] == "primary_key"]
                    found[node["name"]] = recompute(
                        connection, f"{node['schema']}.{node['name']}", node["compiled_code"],
                        list(node["columns"]), key, node["config"].get("period"),
                    )  # fmt: skip
        return found


@contextmanager
def warehouse_of(servers: Servers, systems: Sequence[str], artifacts: Path) -> Iterator[Warehouse]:
    with ExitStack() as stack:
        operational = {system: stack.enter_context(fresh_database(servers, "operational")) for system in systems}
        dsn = stack.enter_context(fresh_database(servers, "warehouse"))
        with connect(Dsn(dsn)) as connection:
            migrate(connection)
        yield Warehouse(operational, dsn, artifacts)


@pytest.fixture(scope="module")
def rides(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Both systems up to now, ingested and built."""
    with warehouse_of(servers, list(TABLES), tmp_path_factory.mktemp("dbt")) as warehouse:
        for system, dsn in warehouse.operational.items():
            fill(dsn, system, seed=3, scale=0.05, today=dt.datetime.now(dt.UTC).date())
        warehouse.ingest()
        warehouse.build()
        yield warehouse


@pytest.fixture(scope="module")
def before(rides: Warehouse) -> dict[str, Any]:
    """What the marts were when first built, and which rows of them."""
    return {
        "differences": rides.differences(),
        "rows": set(rides.query("SELECT ride_id, xmin::text FROM marts.fct_ride_gps")),
        "users": rides.query("SELECT count(*) FROM marts.dim_bikenode_user WHERE user_id % 5 = 0"),
    }


@pytest.fixture(scope="module")
def later(rides: Warehouse, before: dict[str, Any]) -> Warehouse:
    """After a day of use, and worse."""
    assert before
    for system, dsn in rides.operational.items():
        change(dsn, system, seed=3, round=1)
        with psycopg.connect(dsn) as connection:
            connection.execute(LATER[system].encode())
    rides.ingest()
    rides.build()
    return rides


def test_the_first_build_says_what_the_rows_say(before: dict[str, Any]) -> None:
    assert before["differences"] == {}


def test_after_any_changes_they_say_what_the_rows_say(later: Warehouse) -> None:
    assert later.differences() == {}


def test_what_was_refreshed_equals_its_recomputation(later: Warehouse) -> None:
    found = later.recomputed()
    assert {name for name, comparison in found.items() if not comparison.agrees} == set()
    assert {name for name, comparison in found.items() if comparison.rows > 5} == set(found) >= {
        "fct_ride_gps", "int_bikenode_days", "int_bikenode_rider_bests", "int_bikenode_rider_months",
        "int_bikenode_rides_counted", "int_throttlecove_day_riders", "int_throttlecove_days",
        "int_throttlecove_rider_lasts", "int_throttlecove_rider_months", "int_throttlecove_rides",
    }  # fmt: skip


def test_rides_without_a_change_were_not_touched(later: Warehouse, before: dict[str, Any]) -> None:
    now = set(later.query("SELECT ride_id, xmin::text FROM marts.fct_ride_gps"))
    assert now & before["rows"], "every ride was made anew"
    assert now - before["rows"], "no ride was"


def test_bad_samples_and_rides_are_counted(later: Warehouse) -> None:
    (samples,) = later.query(
        "SELECT sum(misdated_left_out) > 0, sum(repeated_left_out) > 0, sum(outliers_left_out) > 0,"
        " sum(steps_left_out) > 0, sum(pauses) > 0, bool_or(samples = 1) FROM marts.fct_ride_gps"
    )
    assert samples == (True,) * 6
    assert later.query("SELECT sum(rides_left_out) > 0 FROM marts.bikenode_ride_stats") == [(True,)]
    assert later.query("SELECT sum(rides_left_out) > 0 FROM marts.user_ride_stats") == [(True,)]


def test_dimensions_keep_what_was(later: Warehouse, before: dict[str, Any]) -> None:
    changed = later.query(
        "SELECT user_id % 5, count(*), count(DISTINCT user_id), count(*) FILTER (WHERE is_current),"
        " count(*) FILTER (WHERE is_current AND (region, subscription_tier) = ('apac', 'team'))"
        " FROM marts.dim_bikenode_user WHERE user_id % 5 < 2 AND user_id <= 90 GROUP BY 1 ORDER BY 1"
    )
    (_, versions, users, current, moved), (_, _, other_users, other_current, _) = changed
    assert versions > 1.5 * users > users == current == moved, changed
    assert other_users == other_current > 0
    assert before["users"][0][0] >= users
    # Moments are half-open and leave no gap: each version ends where the next begins.
    gaps = """
        SELECT count(*) FROM (SELECT valid_to, lead(valid_from) OVER (PARTITION BY {0} ORDER BY version_number) AS next
                              FROM marts.{1}) AS v WHERE next IS NOT NULL AND next IS DISTINCT FROM valid_to
    """
    assert later.query(gaps.format("user_id", "dim_bikenode_user")) == [(0,)]
    machines = later.query(
        "SELECT motorcycle_id % 5 = 0, max(version_number), bool_and(model_year = 2001) FILTER (WHERE is_current)"
        " FROM marts.dim_motorcycle WHERE motorcycle_id % 5 < 2 GROUP BY 1 ORDER BY 1 DESC"
    )
    assert machines[0][1:] == (2, True)


def test_what_left_the_warehouse_stays_in_figures_and_what_expired_in_sums_alone(later: Warehouse) -> None:
    """Samples of a month are in the lake when its rides change; then the rides of a month reach their retention."""
    figures = "SELECT ride_id, distance_m, moving_s, samples FROM marts.fct_ride_gps ORDER BY 1"
    sums = "SELECT * FROM intermediate.int_bikenode_rider_months ORDER BY 1, 2"
    months = later.query(
        "SELECT platform.month_of(started_at), count(*), max(started_at) FROM marts.fct_ride_gps GROUP BY 1 ORDER BY 1"
    )
    first, second = months[0], months[1]
    assert first[1] and second[1]
    before = later.query(figures)
    later.query(f"DELETE FROM raw_bikenode.gps_points WHERE platform.month_of(recorded_at) = '{first[0]}'")
    later.query(
        "UPDATE platform.raw_content SET tier = 'lake' WHERE system = 'bikenode' AND table_name = 'gps_points'"
        f" AND chunk = '{first[0]:%Y-%m}'"
    )
    with psycopg.connect(later.operational["bikenode"], autocommit=True) as source:
        source.execute(
            "UPDATE rides SET moving_s = moving_s + 1 WHERE date_trunc('month', started_at AT TIME ZONE 'UTC') = %s",
            [first[0]],
        )
    later.ingest({"bikenode": ("rides",)})
    later.build()
    assert later.query(figures) == before
    kept = later.query(sums)
    later.query(
        "INSERT INTO platform.expiry (system, table_name, month, tier, before, reason, state, done_at)"
        f" VALUES ('bikenode', 'rides', '{first[0]}', 'cold', '{second[0]}', 'old', 'done', now())"
    )
    later.query(f"DELETE FROM raw_bikenode.rides WHERE platform.month_of(started_at) = '{first[0]}'")
    for arguments in ((), ("--vars", json.dumps({"whole": True}))):
        later.dbt("build", "--exclude-resource-type", "unit_test", "--select", *MODELS, *arguments)
        assert later.query(sums) == kept, "what was summed stays"
        assert {row[0] for row in before} > {row[0] for row in later.query(figures)}
        for model in ("marts.fct_ride_gps", "intermediate.int_bikenode_rides_counted"):
            assert later.query(f"SELECT count(*) FROM {model} WHERE started_at < '{second[0]}'") == [(0,)]


@pytest.mark.real_data
def test_real_tracks_measure_what_the_file_says(servers: Servers, real_data: Path, tmp_path: Path) -> None:
    with warehouse_of(servers, ["bikenode"], tmp_path) as warehouse:
        fill(
            warehouse.operational["bikenode"],
            "bikenode",
            seed=7,
            scale=0.01,
            today=dt.date(2026, 3, 31),
            real=real_data,
        )
        warehouse.ingest({"bikenode": ("gps_points", "rides")})
        warehouse.dbt("build", "--select", "+fct_ride_gps")
        with psycopg.connect(warehouse.dsn) as connection:
            found = mart_rows(connection, "fct_ride_gps", "ride_id")
    trips: dict[int, list[Sample]] = defaultdict(list)
    for trip, sequence, at, lat, lon, _ in independent_reading(real_data):
        trips[trip].append(Sample(at, sequence, lat, lon))
    assert found.keys() == trips.keys() == {1, 2, 3, 4, 5}
    for trip, samples in trips.items():
        expected = track(samples, min(s.at for s in samples), max(s.at for s in samples))
        assert expected is not None
        assert expected["distance_m"] > 1000
        assert unlike(found[trip], expected) == {}, trip
