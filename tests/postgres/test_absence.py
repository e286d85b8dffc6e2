"""An erased person is nowhere: whatever stays of one, wherever, is found; and nobody else is taken for one."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import io
import json
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import boto3
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingesting import Bench, Databases, bench_on, with_parameters
from tiering import NO_HOT, ONLY_JANUARY, places

from demo.servers.model import VERIFIER
from demo.servers.roles import VERIFIER_SQL
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn, connect
from warehouse.proof.absence import Model, Stores, prove_absence
from warehouse.proof.absence_found import Absence, Findings
from warehouse.proof.absence_lake import LakeTable
from warehouse.proof.absence_sought import Known, Rule, Sought, Way, Ways, read_known
from warehouse.proof.absence_words import Words
from warehouse.tiering.apply import move_table

#: Whom nobody must find: 7 and 8. Person 77 is somebody else, with a mail address that ends alike.
MAIL, PHONE, NAME = "asha.rao@example.org", "+91 98765 43210", "Asha Rao-Iyer"
SECRETS = (MAIL, "98765", "Rao-Iyer")

SOURCE = """
CREATE TABLE riders (id bigint PRIMARY KEY, email text, mobile text, name text, about text);
CREATE TABLE bikes (id bigint PRIMARY KEY, rider_id bigint, frame text);
CREATE TABLE upkeep (id bigint PRIMARY KEY, bike_id bigint, note text);
CREATE TABLE orders (id bigint PRIMARY KEY, rider_id bigint, phone text, meta jsonb);
CREATE TABLE order_events (id bigint PRIMARY KEY, order_id bigint, place text);
CREATE TABLE ledger (id bigint PRIMARY KEY, rider_id bigint, amount numeric(12,2), payee text);
CREATE TABLE messages (id bigint PRIMARY KEY, sender_id bigint, recipient_id bigint, body text);
CREATE TABLE tracks (id bigint, at timestamptz NOT NULL, rider_id bigint, note text, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE tracks_y2024m01 PARTITION OF tracks FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00');
CREATE TABLE tracks_y2024m02 PARTITION OF tracks FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00');
INSERT INTO riders SELECT n, 'rider' || n || '@example.org', '+91 90000 000' || n, 'Rider ' || n, 'likes hills'
    FROM generate_series(20, 79) n WHERE n <> 77;
INSERT INTO riders VALUES
    (77, 'x.asha.rao@example.org', '+91 98765 432109', 'Ashar Rao-Iyer', 'not asha.rao@example.org.uk');
INSERT INTO bikes SELECT n, n, 'frame ' || n FROM generate_series(20, 79) n;
INSERT INTO upkeep SELECT n, n, 'chain' FROM generate_series(20, 79) n;
INSERT INTO orders SELECT n, CASE WHEN n NOT IN (70, 71, 72) THEN n END, 'p' || n, '{"gate": "blue"}'
    FROM generate_series(20, 79) n;
UPDATE orders SET phone = NULL WHERE id IN (70, 71, 72);
INSERT INTO order_events SELECT n, n, CASE WHEN n <> 70 THEN 'bridge' END FROM generate_series(20, 79) n;
INSERT INTO ledger SELECT n, CASE WHEN n IN (70, 71) THEN -4711 ELSE n END, n,
                          CASE WHEN n NOT IN (70, 71) THEN 'Rider ' || n END
    FROM generate_series(20, 79) n;
INSERT INTO messages SELECT n, n, n + 1, 'hello' FROM generate_series(20, 78) n;
INSERT INTO tracks SELECT n, '2024-01-01+00'::timestamptz + n * interval '16 hours', 20 + n % 60, 'note ' || n % 7
    FROM generate_series(0, 79) n;
"""


#: Or the server analyses tables by itself, while something is planted, and remembers that.
QUIET = """
DO $$ DECLARE name regclass; BEGIN
    FOR name IN SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                 WHERE c.relkind = 'r' AND n.nspname IN ('{schema}', 'marts', 'platform') LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', name);
    END LOOP;
END $$
"""
Told = tuple[str, str, str, str, int, bool]


def told(absence: Absence) -> list[Told]:
    """What there is, in short; nothing of it tells of the person."""
    shown = repr((absence, [each.keys for each in absence.residues]))
    assert not any(secret in shown for secret in SECRETS)
    return [(each.store, each.place, each.column, each.kind, each.count, each.reopens) for each in absence.residues]


def declare(bench: Bench) -> None:
    """Orders 70 was one of the erased, and is redacted; ledger 70 has the pseudonym."""
    bench.declare("riders", key=("id",), subjects=["id"], erasure="delete")
    bench.declare("bikes", key=("id",), subjects=["rider_id"], erasure="delete")
    bench.declare("upkeep", key=("id",), subjects=["bike_id -> bikes"], erasure="delete")
    bench.declare("orders", key=("id",), subjects=["rider_id"], erasure="redact")
    bench.declare("order_events", key=("id",), subjects=["order_id -> orders"], erasure="redact")
    bench.declare("ledger", key=("id",), subjects=["rider_id"], erasure={"action": "pseudonymise", "basis": "law"})
    bench.declare("messages", key=("id",), subjects=["sender_id", "recipient_id"], erasure="redact")
    bench.monthly(
        "tracks", subjects=["rider_id"], erasure="delete", tiers=NO_HOT,
        partition={"range": "at", "name": "{table}_y{year}m{month}"},
    )  # fmt: skip
    kinds = {
        "riders": {"id": "person_id", "email": "email", "mobile": "phone", "name": "name", "about": "free_text"},
        "bikes": {"rider_id": "person_id"},
        "upkeep": {"note": "free_text"},
        "orders": {"phone": "phone"},
        "order_events": {"place": "location"},
        "ledger": {"rider_id": "person_id", "payee": "name"},
        "messages": {"sender_id": "person_id", "recipient_id": "person_id", "body": "free_text"},
        "tracks": {"rider_id": "person_id", "note": "free_text"},
    }
    for table, columns in kinds.items():
        for column, kind in columns.items():
            whose = {"whose": {"body": "sender_id"}.get(column, column)} if table == "messages" else {}
            bench.tables[table]["columns"][column] |= {"personal": kind, **whose}
    bench.person = {"table": "riders", "key": "id", "identifiers": {"email": "email", "mobile": "phone"}}


class Estate:
    """A system with every kind of table, ingested, its January in the lake; nothing of riders 7 and 8 is in it."""

    def __init__(self, bench: Bench, lake: Store) -> None:
        self.bench, self.lake = bench, lake
        bench.source(SOURCE)
        declare(bench)
        for table in bench.tables:
            bench.ingest(table)
        moved_all(bench, lake)
        bench.warehouse(
            "CREATE SCHEMA IF NOT EXISTS marts;"
            " CREATE TABLE marts.board AS SELECT id AS who, name FROM {raw}.riders;"
            " CREATE TABLE {raw}.riders__changes (change bigint, sign smallint, id bigint)"
        )
        for run, schema in ((bench.source, bench.name), (bench.warehouse, bench.raw)):
            run("ANALYZE")
            run(QUIET.format(schema=schema))

    @property
    def system(self) -> str:
        return self.bench.name

    @property
    def root(self) -> Store:
        return self.lake.under(self.system, "tracks")

    @property
    def sought(self) -> Sought:
        return Sought(
            self.bench.system, {"7", "8"},
            # Of what was on the way: bikes 700 and orders 70. That upkeep hangs on bikes, the proof knows.
            {"bikes": {"rider_id": {"7", "8"}}, "upkeep": {"bike_id": {"700"}}, "order_events": {"order_id": {"70"}}},
            {"7": "-4711"},
            [Known("email", MAIL), Known("phone", PHONE), Known("name", NAME)],
        )  # fmt: skip

    def look(self, *, deep: bool = False, dagster: bool = False, **changes: Any) -> Absence:
        """As the verifier sees it."""
        pair = self.bench.pair
        verifier = Dsn(pair.servers.server("warehouse").dsn(pair.warehouse, VERIFIER), "VERIFIER")
        models = {("marts", "board"): Model(self.system, frozenset({"who"}))}
        stores = Stores(verifier, {self.system: pair.primary}, self.lake, verifier if dagster else None, models)
        return prove_absence([dataclasses.replace(self.sought, **changes)], stores, deep=deep)

    def found(self, **how: Any) -> list[Told]:
        """What there is, in short; nothing of it tells of the person."""
        return [
            (store, place.replace(self.bench.raw, "raw").replace(f"{self.system}.", "source."), *rest)
            for store, place, *rest in told(self.look(**how))
        ]  # type: ignore[misc]

    def in_lake(self) -> list[Told]:
        """What there is in the lake alone."""
        findings = Findings(Words(self.sought.known))
        rule = Ways(self.sought).rule("tracks")
        LakeTable(self.root, self.system, "tracks", rule, findings, findings.words, {}).look()
        return told(findings.absence())

    @contextmanager
    def planted(self, plant: str, undo: str, *, where: str = "source") -> Iterator[None]:
        run = getattr(self.bench, where)
        run(plant)
        try:
            yield
        finally:
            run(undo)

    @contextmanager
    def placed(self, path: str, content: bytes) -> Iterator[None]:
        self.root.put(path, content)
        try:
            yield
        finally:
            self.root.remove(path)


def moved_all(bench: Bench, lake: Store) -> None:
    while done := move_table(places(bench, lake), bench.system, "tracks", ONLY_JANUARY, keep=dt.timedelta()):
        assert not [each.failure for each in done if each.failure]


@pytest.fixture(scope="module")
def estate(pair: Databases, tmp_path_factory: pytest.TempPathFactory) -> Generator[Estate]:
    with bench_on(pair) as bench:
        made = Estate(bench, Store(tmp_path_factory.mktemp("lake").as_uri()))
        try:
            yield made
        finally:
            bench.warehouse("DROP TABLE marts.board")


def test_nobody_is_found_where_nobody_is(estate: Estate) -> None:
    absence = estate.look(deep=True, dagster=True)
    assert (absence.residues, absence.unseen) == ((), ())
    assert absence.clean
    assert absence.looked["operational"].rows > 400
    assert absence.looked["lake"].places >= 4


#: What is planted, how it is taken away again, and what is to be found: store, place, column, kind, count, reopens.
ROWS = {
    "a row of the person": (
        "source", "INSERT INTO bikes VALUES (5, 7, 'f')", "DELETE FROM bikes WHERE id = 5",
        ("operational", "source.bikes", "", "row", 1, True),
    ),
    "a row that hangs on one that went": (
        "source", "INSERT INTO upkeep VALUES (5, 700, 'n')", "DELETE FROM upkeep WHERE id = 5",
        ("operational", "source.upkeep", "", "row", 1, True),
    ),
    "a row in a partition": (
        "source", "INSERT INTO tracks VALUES (500, '2024-02-03', 8, '')", "DELETE FROM tracks WHERE id = 500",
        ("operational", "source.tracks (partition tracks_y2024m02)", "", "row", 1, True),
    ),
    "a row in a partition that was detached": (
        "source",
        "CREATE TABLE tracks_y2023m01 (LIKE tracks); INSERT INTO tracks_y2023m01 VALUES (1, '2023-01-03', 8, '')",
        "DROP TABLE tracks_y2023m01", ("operational", "source.tracks_y2023m01", "", "row", 1, True),
    ),
    "a row of what left the source": (
        "source",
        "CREATE TABLE drivetrain_left_99 (LIKE tracks); INSERT INTO drivetrain_left_99 VALUES (1, '2023-01-03', 8, '')",
        "DROP TABLE drivetrain_left_99", ("operational", "source.drivetrain_left_99", "", "row", 1, True),
    ),
    "a copy that nobody declared": (
        "source", "CREATE TABLE old_riders AS SELECT 7::bigint AS id, 'x'::text AS email, 'y'::text AS name",
        "DROP TABLE old_riders", ("operational", "source.old_riders", "", "row", 1, True),
    ),
    "a copy of a shared table": (
        "source",
        "CREATE TABLE elsewhere (LIKE order_events); INSERT INTO elsewhere VALUES (1, 70, 'home'), (2, 70, NULL)",
        "DROP TABLE elsewhere", ("operational", "source.elsewhere", "", "row", 1, True),
    ),
    "a table that inherits": (
        "source", "CREATE TABLE more_bikes () INHERITS (bikes); INSERT INTO more_bikes VALUES (5, 7, 'f')",
        "DROP TABLE more_bikes", ("operational", "source.more_bikes", "", "row", 1, True),
    ),
    "a materialised view": (
        "source", "CREATE MATERIALIZED VIEW busy AS SELECT 8::bigint AS rider_id, 3 AS rides",
        "DROP MATERIALIZED VIEW busy", ("operational", "source.busy", "", "row", 1, True),
    ),
    "a mail address in a row of nobody": (
        "source", "CREATE TABLE mailing AS SELECT ' Asha.Rao@Example.org '::text AS sent_to",
        "DROP TABLE mailing", ("operational", "source.mailing", "sent_to", "row", 1, True),
    ),
    "a shared row that was not redacted": (
        "source", "UPDATE orders SET rider_id = 7 WHERE id = 70", "UPDATE orders SET rider_id = NULL WHERE id = 70",
        ("operational", "source.orders", "", "row", 1, True),
    ),
    "a telephone number in a shared row that was redacted": (
        "source", "UPDATE orders SET phone = '09876543210' WHERE id = 71",
        "UPDATE orders SET phone = NULL WHERE id = 71",
        ("operational", "source.orders", "phone", "row", 1, True),
    ),
    "a shared row on the way, not redacted": (
        "source", "UPDATE order_events SET place = 'home' WHERE id = 70",
        "UPDATE order_events SET place = NULL WHERE id = 70",
        ("operational", "source.order_events", "", "row", 1, True),
    ),
    "one of two persons of a row": (
        "source", "INSERT INTO messages VALUES (900, 20, 8, 'hello')", "DELETE FROM messages WHERE id = 900",
        ("operational", "source.messages", "", "row", 1, True),
    ),
    "a row that a law keeps, under the person's own key": (
        "source", "UPDATE ledger SET rider_id = 7 WHERE id = 70", "UPDATE ledger SET rider_id = -4711 WHERE id = 70",
        ("operational", "source.ledger", "", "row", 2, True),
    ),
    "a row that a law keeps, with a name beside the pseudonym": (
        "source", "UPDATE ledger SET payee = 'A. R.' WHERE id = 71", "UPDATE ledger SET payee = NULL WHERE id = 71",
        ("operational", "source.ledger", "", "row", 2, True),
    ),
    "a raw row": (
        "warehouse", "INSERT INTO {raw}.bikes VALUES (5, 7, 'f')", "DELETE FROM {raw}.bikes WHERE id = 5",
        ("warehouse", "raw.bikes (partition bikes__rows)", "", "row", 1, True),
    ),
    "a row that a move keeps": (
        "warehouse",
        "CREATE TABLE {raw}.moved_12 AS SELECT 1::bigint AS id, now() AS at, 8::bigint AS rider_id, 'n' AS note",
        "DROP TABLE {raw}.moved_12", ("warehouse", "raw.moved_12", "", "row", 1, True),
    ),
    "a row that is back from the lake": (
        "warehouse",
        "CREATE TABLE {raw}.back_12 AS SELECT 1::bigint AS id, now() AS at, 8::bigint AS rider_id, 'n' AS note",
        "DROP TABLE {raw}.back_12", ("warehouse", "raw.back_12", "", "row", 1, True),
    ),
    "a row that went, in the feed": (
        "warehouse", "INSERT INTO {raw}.riders__changes VALUES (1, -1, 8)", "TRUNCATE {raw}.riders__changes",
        ("warehouse", "raw.riders__changes", "", "row", 1, True),
    ),
    "a row of a mart": (
        "warehouse", "INSERT INTO marts.board VALUES (7, 'x')", "DELETE FROM marts.board WHERE who = 7",
        ("warehouse", "marts.board", "", "row", 1, True),
    ),
    "a table of an analyst": (
        "warehouse", "CREATE TABLE public.mine AS SELECT 8::bigint AS rider_id", "DROP TABLE public.mine",
        ("warehouse", "public.mine", "", "row", 1, True),
    ),
    "a statement that somebody noted": (
        "warehouse", "INSERT INTO platform.tier_move (system, table_name, month, from_tier, part, state, reason)"
        " VALUES ('x', 'x', '2024-01-01', 'hot', 0, 'planned', 'asha.rao@example.org asked')",
        "DELETE FROM platform.tier_move WHERE system = 'x'",
        ("warehouse", "platform.tier_move", "reason", "log", 1, True),
    ),
    "what somebody else wrote": (
        "source", "UPDATE messages SET body = 'mail asha.rao@example.org, or ring 98765-43210' WHERE id = 30",
        "UPDATE messages SET body = 'hello' WHERE id = 30",
        ("operational", "source.messages", "body", "mention", 1, False),
    ),
    "somebody who has the telephone number now": (
        "source", "UPDATE riders SET mobile = '+919876543210' WHERE id = 30",
        "UPDATE riders SET mobile = '+91 90000 00030' WHERE id = 30",
        ("operational", "source.riders", "mobile", "mention", 1, False),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def left(estate: Estate) -> list[Told]:
    """All of it is there at once, and is found in one pass; without it, nothing is."""
    with ExitStack() as planted:
        for where, plant, undo, _ in ROWS.values():
            planted.enter_context(estate.planted(plant, undo, where=where))
        found = estate.found()
    assert estate.found() == []
    return found


@pytest.mark.parametrize("what", ROWS)
def test_what_is_left_in_a_database_is_found(left: list[Told], what: str) -> None:
    assert ROWS[what][-1] in left


def test_nothing_else_is_found_in_a_database(left: list[Told]) -> None:
    assert sorted(left) == sorted({expected for *_, expected in ROWS.values()})


def test_a_document_of_somebody_else_is_a_mention(estate: Estate) -> None:
    """In which a line's end is spelt, right before the name."""
    with estate.planted(
        """UPDATE orders SET meta = '{"by": ["call\\nAsha Rao-Iyer"]}' WHERE id = 30""",
        """UPDATE orders SET meta = '{"gate": "blue"}' WHERE id = 30""",
    ):
        assert estate.found() == [("operational", "source.orders", "meta", "mention", 1, False)]


def test_a_row_on_the_way_leads_on_to_more(estate: Estate) -> None:
    """A bike that nobody knew of, and what hangs on it."""
    with estate.planted(
        "INSERT INTO bikes VALUES (600, 8, 'f'); INSERT INTO upkeep VALUES (5, 600, 'n')",
        "DELETE FROM bikes WHERE id = 600; DELETE FROM upkeep WHERE id = 5",
    ):
        assert {place for _, place, *_ in estate.found()} == {"source.bikes", "source.upkeep"}


def test_keys_of_rows_that_mention_somebody_are_told_and_no_value(estate: Estate) -> None:
    change = "UPDATE messages SET body = '{}' WHERE id IN (30, 31)"
    with estate.planted(change.format("with Asha Rao Iyer"), change.format("hello")):
        (mention,) = estate.look().mentions
        assert (mention.count, sorted(mention.keys)) == (2, [("30",), ("31",)])
    with estate.planted(
        """CREATE TABLE notes (id text PRIMARY KEY, body jsonb); INSERT INTO notes VALUES ('to asha.rao@example.org',
           '{"to": "asha.rao@example.org"}')""",
        "DROP TABLE notes",
    ):
        assert [each.keys for each in estate.look().mentions] == [(), ()]
    assert estate.look(known=[Known("name", "Ann")]).left_out == 1


def test_what_persons_are_known_by_is_read_before_they_go(estate: Estate) -> None:
    pair = estate.bench.pair
    with connect(pair.primary, see_all_rows=True) as source:
        known = read_known(source, estate.bench.system, {"77"})
    assert {each.kind for each in known} == {"email", "phone", "name"}
    assert {each.text for each in known} == {"x.asha.rao@example.org", "+91 98765 432109", "Ashar Rao-Iyer"}
    assert "asha" not in repr(known)


def test_tables_that_nobody_declared_are_listed(estate: Estate) -> None:
    with estate.planted(
        "CREATE TABLE cities (id bigint, name text); INSERT INTO cities VALUES (7, 'Pune')", "DROP TABLE cities"
    ):
        absence = estate.look()
        assert f"operational: {estate.system}.cities" in absence.undeclared
        assert absence.clean


def test_what_the_role_may_not_read_is_not_called_clean(estate: Estate) -> None:
    with estate.planted(
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE ROLE half_blind LOGIN PASSWORD 'x';"
        f" GRANT USAGE ON SCHEMA {estate.system} TO half_blind; GRANT SELECT ON orders TO half_blind",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY; DROP OWNED BY half_blind; DROP ROLE half_blind",
    ):
        pair = estate.bench.pair
        blind = with_parameters(pair.primary, user="half_blind", password="x")
        verifier = Dsn(pair.servers.server("warehouse").dsn(pair.warehouse, VERIFIER))
        stores = Stores(verifier, {estate.system: blind}, estate.lake)
        absence = prove_absence([Sought(estate.bench.system, {"7"})], stores)
        assert any(".orders cannot be read" in each for each in absence.unseen)
        assert any(".bikes may not be read" in each for each in absence.unseen)
        assert not absence.clean


def test_what_the_server_remembers_of_rows_that_went_is_found(estate: Estate) -> None:
    """DELETE without ANALYZE: common values of a table, of a partition, and of pairs of columns."""
    with estate.planted(
        "INSERT INTO tracks SELECT 600 + n, '2024-02-03', 8, 'asha.rao@example.org' FROM generate_series(1, 20) n;"
        " CREATE STATISTICS together (mcv) ON rider_id, note FROM tracks;"
        " ANALYZE tracks; DELETE FROM tracks WHERE rider_id = 8",
        "DROP STATISTICS together; ANALYZE tracks",
    ):
        found = estate.found()
        assert {(place, column) for _, place, column, *_ in found} == {
            ("source.tracks", "rider_id"), ("source.tracks", "note"),
            ("source.tracks (together)", ""),
            ("source.tracks_y2024m02", "rider_id"), ("source.tracks_y2024m02", "note"),
        }  # fmt: skip
        assert {(store, kind, reopens) for store, *_, kind, _, reopens in found} == {
            ("operational", "statistics", True)
        }
    with estate.planted(
        "INSERT INTO marts.board SELECT 7, 'x' FROM generate_series(1, 20); ANALYZE marts.board;"
        " DELETE FROM marts.board WHERE who = 7",
        "ANALYZE marts.board", where="warehouse",
    ):  # fmt: skip
        assert estate.found() == [("warehouse", "marts.board", "who", "statistics", 1, True)]


def test_statistics_of_what_others_say_are_a_mention(estate: Estate) -> None:
    change = "UPDATE messages SET body = '{}' WHERE id < 60; ANALYZE messages"
    with estate.planted(change.format("ask asha.rao@example.org"), change.format("hello")):
        assert {(kind, reopens) for *_, kind, _, reopens in estate.found()} == {("mention", False)}


def test_large_objects_are_looked_at(estate: Estate) -> None:
    """Across the pages that they are kept in, too."""
    with estate.planted(
        "SELECT lo_from_bytea(4242, convert_to(repeat('x ', 1020) || 'asha.rao@example.org', 'UTF8'))",
        "SELECT lo_unlink(4242)",
    ):
        assert estate.found() == [("operational", "large object 4242", "", "bytes", 1, True)]


def test_statements_that_the_server_counts_are_looked_at(estate: Estate) -> None:
    """A statement that is no query keeps its constants."""
    estate.bench.warehouse(
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT count(*) FROM pg_stat_statements_reset()"
    )
    estate.bench.warehouse("DO $$ BEGIN PERFORM 'asha.rao@example.org'; END $$")
    ((store, place, column, kind, _, reopens),) = estate.found()
    assert (store, place, column, kind, reopens) == ("warehouse", "public.pg_stat_statements", "query", "log", True)
    estate.bench.warehouse("SELECT count(*) FROM pg_stat_statements_reset(); DROP EXTENSION pg_stat_statements")


def test_dagsters_own_metadata_are_looked_at(estate: Estate) -> None:
    """Here, a table of the same database stands for Dagster's."""
    event = json.dumps({"description": "for asha.rao@example.org", "metadata": ["x\nAsha Rao-Iyer"]})
    with estate.planted(
        f"CREATE TABLE public.event_logs AS SELECT 1 AS id, '{event}'::text AS event",
        "DROP TABLE public.event_logs", where="warehouse",
    ):  # fmt: skip
        assert ("dagster", "public.event_logs", "event", "log", 1, True) in estate.found(dagster=True)


# The lake ------------------------------------------------------------------------------------------------------------


def parquet(columns: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    content = io.BytesIO()
    pq.write_table(
        columns if isinstance(columns, pa.Table) else pa.table(columns), content, **{"compression": "zstd", **options}
    )
    return content.getvalue()


def file_of(riders: list[int], notes: Any = None, **options: Any) -> bytes:
    count = len(riders)
    at = pa.array([dt.datetime(2024, 1, 2, tzinfo=dt.UTC)] * count, pa.timestamp("us", "UTC"))
    notes = ["n"] * count if notes is None else notes
    return parquet(
        {"id": list(range(count)), "at": at, "rider_id": pa.array(riders, pa.int64()), "note": notes}, **options
    )


def in_dictionary() -> bytes:
    """Two rows of others; of rows that went, the dictionary still has a value."""
    gone = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), ["fine", "rang asha.rao@example.org"])
    return file_of([20, 21], gone, write_statistics=False)


def in_statistics(content: bytes, was: bytes, becomes: bytes) -> bytes:
    """What a footer says of its rows, as it was before a row went; outside of the pages, of the same length."""
    assert len(was) == len(becomes)
    end = pq.read_metadata(io.BytesIO(content)).row_group(0).column(3).total_compressed_size
    start = content.rindex(was)
    assert start > end
    return content[:start] + becomes + content[start + len(was) :]


OTHERS = file_of([20, 21], ["asha.ra0@example.org", "b"], use_dictionary=False)
FOLDER = "month=2024-01/bucket=0"
OBJECTS: dict[str, tuple[str, bytes, list[tuple[str, str, int, bool]]]] = {
    "a file that no log names": (
        f"{FOLDER}/x.parquet", file_of([20, 8, 8]),
        [("", "row", 2, True), ("rider_id", "bytes", 1, True), ("rider_id", "statistics", 4, True)],
    ),
    "a text that no row has": (f"{FOLDER}/x.parquet", in_dictionary(), [("note", "bytes", 1, True)]),
    "a range that a footer tells": (
        f"{FOLDER}/x.parquet", in_statistics(OTHERS, b"asha.ra0@example.org", b"asha.rao@example.org"),
        [("note", "statistics", 1, True)],
    ),
    "what a footer notes": (
        f"{FOLDER}/x.parquet",
        parquet(pa.table({"id": [1]}).replace_schema_metadata({"made for": "asha.rao@example.org"})),
        [("", "bytes", 1, True)],
    ),
    "what somebody else wrote": (
        f"{FOLDER}/x.parquet", file_of([20, 21], ["ask asha.rao@example.org", "b"]), [("note", "mention", 1, False)],
    ),
    "nobody's note": (
        f"{FOLDER}/x.parquet", parquet({"sent_to": ["asha.rao@example.org"]}), [("sent_to", "row", 1, True)],
    ),
    "a range in the log": (
        "_delta_log/_x.json",
        json.dumps({"add": {"path": "y", "stats": json.dumps({"minValues": {"rider_id": 8}})}}).encode(),
        [("rider_id", "log", 1, True)],
    ),
    "a condition in the log": (
        "_delta_log/_x.json", b'{"commitInfo": {"operationParameters": {"predicate": "(rider_id = 8) AND id = 3"}}}',
        [("rider_id", "log", 1, True)],
    ),
    "a mail address in the log": (
        "_delta_log/_x.json", b'{"commitInfo": {"userMetadata": "for asha.rao@example.org"}}', [("", "log", 1, True)],
    ),
    "a range in a checkpoint": (
        "_delta_log/_x.checkpoint.parquet", parquet({"add": [{"stats": '{"maxValues": {"rider_id": 8}}'}]}),
        [("rider_id", "log", 1, True)],
    ),
    "a list that somebody left": (f"{FOLDER}/list.csv", b"id,mail\n1,asha.rao@example.org\n", [("", "bytes", 1, True)]),
    "a list, packed": (f"{FOLDER}/list.csv.gz", gzip.compress(b"7,+91 98765-43210"), [("", "bytes", 1, True)]),
    "others, who are called alike": (
        f"{FOLDER}/x.parquet",
        file_of([77, 70, 20], ["x.asha.rao@example.org", "+91 98765 432109", "asha.rao@example.org.uk"]), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", OBJECTS)
def test_what_is_left_in_the_lake_is_found(estate: Estate, what: str) -> None:
    path, content, expected = OBJECTS[what]
    with estate.placed(path, content):
        found = estate.in_lake()
        assert [each[2:] for each in found] == expected
        assert all(path in place for _, place, *_ in found)


def test_a_name_that_tells_of_a_person_is_withheld(estate: Estate) -> None:
    with estate.placed(f"{FOLDER}/asha.rao@example.org.csv", b""):
        ((_, place, _, kind, _, reopens),) = estate.in_lake()
        assert (place, kind, reopens) == (f"tracks/{FOLDER}/(a name that tells of a person)", "bytes", True)


def test_an_earlier_version_of_an_object_is_found(bucket: Store) -> None:
    """It was removed, as a marker says, and is there all the same; what replaced another does not hide that."""
    client = boto3.client(
        "s3", endpoint_url=bucket.options["AWS_ENDPOINT_URL"], region_name=bucket.options["AWS_REGION"],
        aws_access_key_id=bucket.options["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=bucket.options["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    name, _, prefix = bucket.root.partition("/")
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for path, content in (("x.parquet", file_of([8], write_statistics=False)), ("y.txt", b"asha.rao@example.org")):
        client.put_object(Bucket=name, Key=f"{prefix}/t/{FOLDER}/{path}", Body=content)
    client.delete_object(Bucket=name, Key=f"{prefix}/t/{FOLDER}/x.parquet")
    client.put_object(Bucket=name, Key=f"{prefix}/t/{FOLDER}/y.txt", Body=b"nobody")
    words = Words([Known("email", MAIL)])
    findings = Findings(words)
    rule = Rule((Way("rider_id", {"8"}),), subjects=("rider_id",))
    LakeTable(bucket.under("t"), "s", "t", rule, findings, words, {}).look()
    assert told(findings.absence()) == [
        ("lake", f"t/{FOLDER}/x.parquet (an earlier version)", "", "version", 1, True),
        ("lake", f"t/{FOLDER}/x.parquet (an earlier version)", "rider_id", "version", 1, True),
        ("lake", f"t/{FOLDER}/y.txt (an earlier version)", "", "version", 1, True),
    ]


def test_files_that_by_their_path_cannot_hold_a_person_are_left_to_a_deep_look(estate: Estate) -> None:
    """January is in two buckets: of 8, which is sought, and of odd numbers."""
    eight = {"persons": {"8"}, "values": {}}
    look, deep = estate.look(**eight), estate.look(**eight, deep=True)
    assert (look.skipped, deep.skipped) == (1, 0)
    assert look.looked["lake"].rows < deep.looked["lake"].rows
    assert estate.look().skipped == 0
    odd = next(each.path for each in estate.root.list("month=2024-01") if "bucket=1" in each.path)
    was = estate.root.get(odd)
    with estate.placed(odd, file_of([21, 8], write_statistics=False)):
        assert estate.found(**eight) == []
        assert [each[3:] for each in estate.found(**eight, deep=True)] == [("row", 1, True), ("bytes", 1, True)]
    estate.root.put(odd, was)


WRITES = [
    "INSERT INTO platform.tier_event (move, state) VALUES (1, 'x')", "UPDATE {raw}.bikes SET frame = ''",
    "DELETE FROM {raw}.bikes", "CREATE TABLE public.mine (a int)", "CREATE TEMP TABLE mine (a int)",
    "CREATE SCHEMA mine", "SELECT lo_create(0)", "SELECT audit.note('x', 1)", "CREATE ROLE mine",
    "SELECT platform.move_request(1, 'approved')", "COPY {raw}.bikes TO PROGRAM 'true'",
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES)
def test_the_verifier_writes_nothing(estate: Estate, write: str) -> None:
    """Not even where it says that it wants to."""
    pair = estate.bench.pair
    estate.bench.warehouse(VERIFIER_SQL.read_text())
    verifier = pair.servers.server("warehouse").dsn(pair.warehouse, VERIFIER)
    with psycopg.connect(verifier, autocommit=True) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(write.replace("{raw}", estate.bench.raw).encode())
        assert connection.execute("SELECT count(*) FROM pg_statistic").fetchone() != (0,)
