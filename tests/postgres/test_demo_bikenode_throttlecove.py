"""The generated databases of bikenode and throttlecove: repeatable, complete, skewed, shaped as their catalog says.

What does not belong here: the runner's transaction and its errors, bikenode's real rides, and what changes later
(``test_demo_bikenode_throttlecove_rounds``).
"""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
from psycopg import sql
from ride_databases import MIDNIGHT, SCALE, SYSTEMS, TODAY, MakeDatabase, content

from demo.generate import fill
from warehouse.catalog import load_catalog


@pytest.fixture(scope="module")
def databases(make_database: MakeDatabase) -> dict[str, str]:
    """Both systems, filled once and not changed by any test."""
    made = {system: make_database() for system in SYSTEMS}
    for system, dsn in made.items():
        fill(dsn, system, seed=7, scale=SCALE, today=TODAY)
    return made


def one(dsn: str, query: str) -> tuple[object, ...]:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("system", SYSTEMS)
def test_equal_parameters_make_equal_rows(system: str, databases: dict[str, str], make_database: MakeDatabase) -> None:
    again, other = make_database(), make_database()
    fill(again, system, seed=7, scale=SCALE, today=TODAY)
    fill(other, system, seed=8, scale=SCALE, today=TODAY)

    assert content(again) == content(databases[system])
    differing = {table for table, (_, digest) in content(other).items() if content(again)[table][1] != digest}
    assert differing == set(content(again))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_table_of_the_catalog_has_rows(system: str, databases: dict[str, str]) -> None:
    rows = {table: count for table, (count, _) in content(databases[system]).items()}

    assert set(rows) == set(load_catalog().systems[system].tables)
    assert {table for table, count in rows.items() if count == 0} == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_smallest_scale_leaves_no_table_empty(system: str, make_database: MakeDatabase) -> None:
    rows = fill(make_database(), system, seed=7, scale=0.0001, today=TODAY)

    assert {table for table, count in rows.items() if count == 0} == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_columns_types_and_keys_are_those_of_the_catalog(system: str, databases: dict[str, str]) -> None:
    with psycopg.connect(databases[system]) as connection:
        for name, table in load_catalog().systems[system].tables.items():
            live = connection.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                [name],
            ).fetchall()
            key = connection.execute(
                "SELECT array_agg(attname::text ORDER BY attname) FROM pg_index JOIN pg_attribute"
                " ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indrelid = %s::regclass AND indisprimary",
                [name],
            ).fetchone()

            assert live == [(column, declared.type) for column, declared in table.columns.items()], name
            assert key == (sorted(table.key),), name


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_was_written_in_the_future(system: str, databases: dict[str, str]) -> None:
    with psycopg.connect(databases[system]) as connection:
        for name, table in load_catalog().systems[system].tables.items():
            for column in ("created_at", "updated_at", "received_at", "logged_at", "sent_at", "recorded_at"):
                if column in table.columns:
                    query = sql.SQL("SELECT max({}) FROM {}").format(sql.Identifier(column), sql.Identifier(name))
                    row = connection.execute(query).fetchone()
                    assert row is not None
                    assert row[0] <= MIDNIGHT, f"{name}.{column}"


@pytest.mark.parametrize(
    ("system", "table", "months"),
    [
        ("bikenode", "rides", 30),
        ("bikenode", "gps_points", 30),
        ("bikenode", "sensor_readings", 30),
        ("bikenode", "weather_observations", 30),
        ("bikenode", "access_logs", 4),
        ("throttlecove", "rides", 30),
    ],
)
def test_months_are_named_by_the_pattern_and_bounded_in_utc(
    system: str, table: str, months: int, databases: dict[str, str]
) -> None:
    with psycopg.connect(databases[system], options="-c timezone=UTC") as connection:
        live = dict(
            connection.execute(
                "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)"
                " FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid WHERE inhparent = %s::regclass",
                [table],
            ).fetchall()
        )
    expected: dict[str, str] = {}
    first = TODAY.year * 12 + TODAY.month - 1 - months
    for number in range(first, first + months + 4):
        (year, month), (next_year, next_month) = divmod(number, 12), divmod(number + 1, 12)
        expected[f"{table}_y{year}m{month + 1:02}"] = (
            f"FOR VALUES FROM ('{year}-{month + 1:02}-01 00:00:00+00')"
            f" TO ('{next_year}-{next_month + 1:02}-01 00:00:00+00')"
        )
    assert live == expected


@pytest.mark.parametrize("system", SYSTEMS)
def test_rides_lie_in_thirty_months_and_on_the_borders_of_months(system: str, databases: dict[str, str]) -> None:
    first, last, at_start, at_end = one(
        databases[system],
        """
        SELECT min(started_at), max(started_at),
            count(*) FILTER (WHERE started_at = date_trunc('month', started_at, 'UTC')),
            count(*) FILTER (WHERE started_at + interval '1 microsecond'
                = date_trunc('month', started_at + interval '1 day', 'UTC'))
        FROM rides
        """,
    )
    assert isinstance(first, dt.datetime)
    assert isinstance(last, dt.datetime)
    assert dt.datetime(2023, 9, 30, tzinfo=dt.UTC) <= first < dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert MIDNIGHT - dt.timedelta(days=30) < last <= MIDNIGHT
    assert at_start
    assert at_end


@pytest.mark.parametrize("system", SYSTEMS)
def test_few_riders_make_most_rides_and_some_rides_come_late(system: str, make_database: MakeDatabase) -> None:
    dsn = make_database()
    fill(dsn, system, seed=7, scale=0.1, today=TODAY)
    share, idle, late, updated = one(
        dsn,
        """
        WITH riders AS (
            SELECT u.id, count(r.id) AS rides, ntile(10) OVER (ORDER BY count(r.id) DESC) AS tenth
            FROM users AS u LEFT JOIN rides AS r ON r.user_id = u.id GROUP BY 1
        )
        SELECT (SELECT sum(rides) FILTER (WHERE tenth = 1) / sum(rides) FROM riders)::float,
            (SELECT count(*) FROM riders WHERE rides = 0),
            (SELECT avg((created_at > ended_at + interval '1 day')::int) FROM rides)::float,
            (SELECT count(*) FROM rides WHERE updated_at > created_at)
        """,
    )
    assert isinstance(share, float)
    assert share > 0.35
    assert isinstance(idle, int)
    assert idle > 0
    assert isinstance(late, float)
    assert 0.03 < late < 0.2
    assert isinstance(updated, int)
    assert updated > 10


def test_an_owner_sees_his_motorcycles_only(databases: dict[str, str]) -> None:
    dsn = databases["throttlecove"]
    total, own = one(dsn, "SELECT count(*), count(*) FILTER (WHERE user_id = 1) FROM motorcycles")
    with psycopg.connect(dsn) as connection:
        connection.execute("SET ROLE throttlecove_app")
        assert connection.execute("SELECT count(*) FROM motorcycles").fetchone() == (0,)
        connection.execute("SET LOCAL app.user_id = '1'")
        assert connection.execute("SELECT count(*), min(user_id), max(user_id) FROM motorcycles").fetchone() == (
            own,
            1,
            1,
        )
        assert connection.execute("UPDATE motorcycles SET colour = 'grey' WHERE user_id = 2").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("UPDATE motorcycles SET user_id = 2")
        connection.execute("RESET ROLE")
        connection.execute("SET ROLE drivetrain_reader")  # ingestion sees every row
        assert connection.execute("SELECT count(*) FROM motorcycles").fetchone() == (total,)
        connection.rollback()


def test_group_messages_are_hashed_by_group_into_ten(databases: dict[str, str]) -> None:
    with psycopg.connect(databases["throttlecove"]) as connection:
        live = connection.execute(
            "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class"
            " WHERE relname ~ '^group_messages_p[0-9]+$' ORDER BY 1"
        ).fetchall()
    assert live == [(f"group_messages_p{r}", f"FOR VALUES WITH (modulus 10, remainder {r})") for r in range(10)]


def test_values_that_are_hard_to_carry_are_there(databases: dict[str, str]) -> None:
    assert all(
        one(
            databases["throttlecove"],
            """
            SELECT bool_or(membership_valid_until = 'infinity'), bool_or(quiet_from IS NOT NULL),
                bool_or(licence_classes = '{}'), bool_or(family(last_seen_ip) = 6),
                bool_or(display_name ~ '[^[:ascii:]]'),
                (SELECT bool_or(muted_until = '-infinity') FROM group_members),
                (SELECT bool_or(upper_inf(insured_during)) FROM motorcycles),
                (SELECT bool_or(NOT upper_inf(insured_during)) FROM motorcycles),
                (SELECT bool_or(power_band IS NOT NULL) FROM motorcycles),
                (SELECT bool_or(upper_inf(riders)) FROM events),
                (SELECT bool_or(every IS NOT NULL) FROM maintenance_schedules)
            FROM users
            """,
        )
    )
    assert all(
        one(
            databases["bikenode"],
            """
            SELECT (SELECT bool_or(body ~ E'\\n') FROM forum_posts),
                (SELECT bool_or(array_position(parts, NULL) > 0) FROM bike_maintenance),
                (SELECT bool_and(net_amount = amount - fee) FROM transactions),
                (SELECT bool_or(subscription_until = 'infinity') FROM users),
                (SELECT bool_or(duration IS NOT NULL) FROM media),
                (SELECT bool_or(parent_id IS NOT NULL) FROM forum_posts)
            """,
        )
    )


def test_the_application_can_go_on_where_the_history_ends(databases: dict[str, str]) -> None:
    """Sequences follow the largest id, and the current month and three more have partitions."""
    with psycopg.connect(databases["bikenode"]) as connection:
        connection.execute("SET ROLE bikenode_app")
        for month in range(4):
            connection.execute(
                "INSERT INTO rides (user_id, region, started_at)"
                " VALUES (1, 'apac', %s::timestamptz + %s * interval '1 month')",
                [dt.datetime(2026, 3, 1, tzinfo=dt.UTC), month],
            )
        connection.rollback()
