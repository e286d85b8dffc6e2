"""Plain tables that become partitioned on real servers: with all that hangs on them, whoever writes beside it."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import psycopg
import pytest
from partitioned import Place, killed, make_rides

from resources.partitions import conversion_of
from warehouse.catalog.partition import HashPartition, Partition, RangePartition
from warehouse.errors import Busy, DrivetrainError
from warehouse.partitions import mirror, successor, swap
from warehouse.partitions.apply import Patience
from warehouse.partitions.split import Progress, abandon, split
from warehouse.partitions.splitting import Splitting, under_way
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import connect

AT = dt.datetime(2024, 3, 10, tzinfo=dt.UTC)
MONTHLY = RangePartition(range="at", name="{table}_y{year}m{month}", premake=2)
HASHED = HashPartition(hash="rider", modulus=4, name="{table}_p{remainder}")
QUICK = Patience(lock_timeout=100, attempts=50, pause=0.01)
MONTHS = [f"rides_y2024m{month:02d}" for month in range(1, 6)]
ROWS = 3000


@pytest.fixture
def place(place: Place) -> Place:
    make_rides(place, ROWS)
    return place


def target(policy: Partition) -> Target:
    return Target("app", "rides", "source", policy)


def convert(place: Place, policy: Partition = MONTHLY, patience: Patience = QUICK) -> list[Progress]:
    done: list[Progress] = []
    with connect(place.dsn, see_all_rows=True) as connection:
        while due := conversion_of(connection, target(policy), ("public", "rides"), AT):
            done += [split(connection, each, patience) for each in due]
    return done


def content(place: Place) -> list[tuple[Any, ...]]:
    return place.rows("SELECT count(*), count(DISTINCT id), sum(metres), sum(km), sum(hashtext(r::text)) FROM rides r")


def strategy(place: Place) -> str:
    ((found,),) = place.rows("SELECT pg_get_partkeydef('rides'::regclass)")
    return found


def test_months_of_its_rows_and_those_ahead(place: Place) -> None:
    before = content(place)
    convert(place)
    assert content(place) == before
    assert (strategy(place), place.partitions("rides")) == ("RANGE (at)", MONTHS)
    assert place.leftovers() == []
    assert place.rows("SELECT DISTINCT tableoid::regclass::text FROM rides ORDER BY 1") == [(m,) for m in MONTHS[:3]]
    assert convert(place) == []


def test_remainders_of_a_hash(place: Place) -> None:
    before = content(place)
    convert(place, HASHED)
    assert content(place) == before
    assert (strategy(place), place.partitions("rides")) == ("HASH (rider)", [f"rides_p{each}" for each in range(4)])
    assert place.leftovers() == []


def test_all_that_hung_on_it_hangs_on_its_successor(place: Place) -> None:
    for statement in (
        'CREATE INDEX "rides of a rider" ON rides USING btree (rider, at DESC) INCLUDE (metres) WHERE note IS NULL',
        "CREATE UNIQUE INDEX once ON rides (rider, at, lower(note))",
        "ALTER TABLE rides ADD CONSTRAINT one_start UNIQUE (rider, at, id)",
        "COMMENT ON INDEX once IS 'no two alike'",
        "COMMENT ON TABLE rides IS 'what was ridden'",
        "COMMENT ON COLUMN rides.metres IS 'ridden'",
        "CREATE STATISTICS together ON rider, at FROM rides",
        "ALTER TABLE rides ALTER COLUMN rider SET STATISTICS 500",
        "ALTER TABLE rides SET (fillfactor = 80)",
        "CREATE VIEW recent WITH (security_barrier = true) AS SELECT * FROM rides WHERE at > '2024-02-01+00'",
        "CREATE VIEW of_recent AS SELECT rider, count(*) AS n FROM recent GROUP BY rider",
        "CREATE TABLE seen (id bigint, n int)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO public.seen VALUES (NEW.id, 1); RETURN NULL; END'",
        "CREATE TRIGGER see AFTER INSERT ON rides FOR EACH ROW EXECUTE FUNCTION see()",
        "CREATE TRIGGER asleep AFTER DELETE ON rides FOR EACH ROW EXECUTE FUNCTION see()",
        "ALTER TABLE rides DISABLE TRIGGER asleep",
        "CREATE PUBLICATION all_rides FOR TABLE rides WITH (publish_via_partition_root = true)",
        "ALTER TABLE rides ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY everybody ON rides USING (true)",
        "INSERT INTO rides (rider, metres) VALUES (1, 7)",
    ):
        place(statement.replace("{", "{{").replace("}", "}}"))
    place.own("recent", "of_recent", "seen")
    place("GRANT SELECT ON of_recent TO {}", place.app)
    place("GRANT USAGE ON SEQUENCE rides_id_seq TO {}", place.app)
    place("ALTER PUBLICATION all_rides OWNER TO {}", place.owner)
    place("ALTER STATISTICS together OWNER TO {}", place.owner)
    with connect(place.dsn) as connection:
        had = mirror.read_surroundings(connection, "rides")
    (last,) = place.rows("SELECT max(id) FROM rides")
    counted = place.rows("SELECT sum(n) FROM of_recent")
    convert(place)
    with connect(place.dsn) as connection:
        has = mirror.read_surroundings(connection, "rides")
        part = mirror.read_surroundings(connection, "rides_y2024m02")
    assert has.storage == ()
    assert part.storage == had.storage == ("fillfactor=80",)
    for name in (
        "owner",
        "grants",
        "row_security",
        "policies",
        "comment",
        "column_comments",
        "statistics",
        "publications",
    ):
        assert getattr(has, name) == getattr(had, name), name
    assert (part.owner, part.policies, part.row_security, part.grants) == (had.owner, had.policies, "on", frozenset())
    assert place.rows("SELECT sum(n) FROM of_recent") == counted
    assert place.rows("SELECT reloptions FROM pg_class WHERE relname = 'recent'") == [(["security_barrier=true"],)]
    assert place.rows(f"SELECT has_table_privilege('{place.app}', 'of_recent', 'SELECT')") == [(True,)]
    assert place.rows(f"SELECT has_sequence_privilege('{place.app}', 'rides_id_seq', 'USAGE')") == [(True,)]
    assert place.rows(
        "SELECT indexrelid::regclass::text, indisvalid, obj_description(indexrelid) FROM pg_index"
        " WHERE indrelid = 'rides'::regclass ORDER BY 1"
    ) == [
        ('"rides of a rider"', True, None),
        ("once", True, "no two alike"),
        ("one_start", True, None),
        ("rides_pkey", True, None),
    ]
    assert place.rows("SELECT stxname FROM pg_statistic_ext WHERE stxrelid = 'rides'::regclass") == [("together",)]
    ((new,),) = place.rows("INSERT INTO rides (rider, metres) VALUES (2, 8) RETURNING id")
    assert new > last[0]
    assert (new - last[0]) % 2 == 0
    assert place.rows("SELECT id FROM seen ORDER BY id") == [(last[0],), (new,)]
    place(f"DELETE FROM rides WHERE id = {new}")
    with pytest.raises(psycopg.errors.CheckViolation):
        place("INSERT INTO rides (rider, metres) VALUES (2, -8)")
    place("DELETE FROM riders WHERE id = 3")
    assert place.rows("SELECT count(*) FROM rides WHERE rider = 3") == [(0,)]
    assert place.leftovers() == []


def test_a_sequence_that_the_column_owns_is_handed_over(place: Place) -> None:
    place("ALTER TABLE rides ALTER COLUMN id DROP IDENTITY")
    place("CREATE SEQUENCE numbers START 100000")
    place("ALTER SEQUENCE numbers OWNER TO {}", place.owner)
    place("ALTER SEQUENCE numbers OWNED BY rides.id")
    place("ALTER TABLE rides ALTER COLUMN id SET DEFAULT nextval('numbers')")
    convert(place)
    assert place.rows("INSERT INTO rides (rider, metres) VALUES (2, 8) RETURNING id") == [(100000,)]
    assert place.rows("SELECT pg_get_serial_sequence('rides', 'id')") == [("public.numbers",)]


class Writers:
    """Sessions that insert, change, move and delete rows of their own by statements that are prepared once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.end = threading.Event()
        self.failures: list[psycopg.Error] = []
        self.done = 0
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(3)]

    def work(self, number: int) -> None:
        info = self.place.admin.info
        with psycopg.connect(info.dsn, password=info.password, autocommit=True, prepare_threshold=0) as connection:
            mine = [row[0] for row in connection.execute("SELECT id FROM rides WHERE id / 2 %% 3 = %s", (number,))]
            turn = 0
            while not self.end.is_set():
                turn += 1
                pick = [mine[(turn * 37 + each * 11) % len(mine)] for each in range(3)]
                try:
                    connection.execute("INSERT INTO rides (rider, metres) VALUES (%s, %s)", (turn % 100, turn))
                    connection.execute("UPDATE rides SET note = 'seen', metres = metres + 1 WHERE id = %s", (pick[0],))
                    with connection.transaction():
                        connection.execute("UPDATE rides SET at = at + interval '1 day' WHERE id = %s", (pick[1],))
                        connection.execute("DELETE FROM rides WHERE id = %s", (pick[2],))
                    self.done += 1
                except psycopg.Error as error:
                    self.failures.append(error)

    def __enter__(self) -> Writers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("policy", [MONTHLY, HASHED])
def test_nothing_is_lost_or_doubled_beside_writers(
    place: Place, policy: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = successor.take_place
    compared: list[bool] = []

    def take_place(connection: Any, splitting: Splitting, columns: Any) -> None:
        """With the table locked."""
        query = "SELECT array_agg(row(id, rider, at, metres, note, km)::text ORDER BY id) FROM {}"
        whole, made = (connection.execute(query.format(n)).fetchone() for n in ("rides", f"{splitting.mark}_0"))
        compared.append(whole == made)
        original(connection, splitting, columns)

    monkeypatch.setattr(successor, "take_place", take_place)
    with Writers(place) as writers:
        convert(place, policy)
        before = writers.done
        while writers.done < before + 20 and not writers.failures:
            pass
    assert writers.failures == []
    assert compared[-1], "at the moment of the swap the successor is what the table is"
    ((rows, keys, *_),) = content(place)
    assert rows == keys
    assert place.leftovers() == []


STEPS = [
    *((mirror, name) for name in ("set_up", "copy_batch", "equal")),
    *((swap, name) for name in ("at_work", "set_aside", "clear")),
    *((successor, name) for name in ("_found", "_add", "take_place", "settle")),
]


@pytest.mark.parametrize("step", STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_session_killed_at_any_step_is_completed_by_the_next(
    place: Place, step: tuple[Any, str], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(place)
    with monkeypatch.context() as patch:
        patch.setattr(*step, killed(place, getattr(*step), when))
        with pytest.raises((psycopg.OperationalError, psycopg.InterfaceError)):
            convert(place)
    assert content(place) == before
    place("UPDATE rides SET note = 'meanwhile' WHERE id <= 500")
    place("DELETE FROM rides WHERE id BETWEEN 600 AND 700")
    after = content(place)
    convert(place)
    assert content(place) == after
    assert (strategy(place), place.partitions("rides")) == ("RANGE (at)", MONTHS)
    assert place.leftovers() == []


@pytest.mark.parametrize("step", ["_add", "take_place"])
def test_it_can_be_abandoned_until_the_swap(place: Place, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise InterruptedError

    if step == "_add":
        original = successor._add  # type: ignore[reportPrivateUsage]

        def stop(connection: Any, splitting: Any, name: str, *rest: Any) -> None:  # type: ignore[reportRedeclaration]
            if name == MONTHS[1]:
                raise InterruptedError
            original(connection, splitting, name, *rest)

    before = content(place), place.rows("SELECT 'rides'::regclass::oid")
    with monkeypatch.context() as patch:
        patch.setattr(successor, step, stop)
        with pytest.raises(InterruptedError):
            convert(place)
    with connect(place.dsn, see_all_rows=True) as connection:
        (begun,) = under_way(connection, "public", "rides")
        assert abandon(connection, begun)
        assert not abandon(connection, begun)
    assert (content(place), place.rows("SELECT 'rides'::regclass::oid")) == before
    assert place.partitions("rides") == []
    assert place.leftovers() == []


@pytest.mark.parametrize("taken", [False, True])
def test_rows_of_a_time_that_nobody_expected_are_taken_and_get_their_month(
    place: Place, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if taken:
        place("CREATE TABLE rides_default ()")
    original = mirror.equal

    def equal(*arguments: Any) -> bool:
        place("INSERT INTO rides (rider, at) VALUES (1, '2023-06-15+00'), (2, '2024-12-31 23:59:59+00')")
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "equal", equal)
        with connect(place.dsn, see_all_rows=True) as connection:
            (due,) = conversion_of(connection, target(MONTHLY), ("public", "rides"), AT)
            split(connection, due, QUICK)
    ((default,),) = place.rows("SELECT relname FROM pg_class WHERE pg_get_expr(relpartbound, oid) = 'DEFAULT'")
    assert (default == "rides_default") is not taken
    before = content(place)
    convert(place)
    assert content(place) == before
    assert {"rides_y2023m06", "rides_y2024m12"} < set(place.partitions("rides"))
    assert default not in place.partitions("rides")


def test_a_table_that_was_altered_meanwhile_is_not_swapped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    original = mirror.equal

    def equal(*arguments: Any) -> bool:
        place("CREATE INDEX meanwhile ON rides (note)")
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "equal", equal)
        with pytest.raises(DrivetrainError, match=r"public\.rides was altered since its conversion began"):
            convert(place)
    place("ALTER TABLE rides ADD COLUMN extra int")
    monkeypatch.setattr(mirror, "copy_batch", lambda *_: pytest.fail("it is told before anything is copied"))  # type: ignore[reportUnknownLambdaType]
    with pytest.raises(DrivetrainError, match="was altered since"):
        convert(place)
    monkeypatch.undo()
    with connect(place.dsn, see_all_rows=True) as connection:
        (begun,) = under_way(connection, "public", "rides")
        assert abandon(connection, begun)
    convert(place)
    assert strategy(place) == "RANGE (at)"


def test_a_lock_that_is_not_to_be_had_is_said_and_nothing_is_lost(place: Place) -> None:
    before = content(place)
    info = place.admin.info
    with psycopg.connect(info.dsn, password=info.password) as reader:
        reader.execute("SELECT count(*) FROM rides")
        with pytest.raises(Busy, match=r"no lock in 2 attempts|began before the copying ended"):
            convert(place, patience=Patience(lock_timeout=50, attempts=2, pause=0.01))
    convert(place)
    assert content(place) == before
