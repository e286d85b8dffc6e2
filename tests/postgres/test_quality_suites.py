"""Bad rows in a real source, ingested: every rule finds its own, by key, and shows no value of a person."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pytest
from ingesting import Bench
from psycopg import conninfo

from warehouse.errors import CatalogMismatch
from warehouse.postgres.sessions import Dsn, connect
from warehouse.quality.data_docs import DataDocs
from warehouse.quality.expectations import Window, suite
from warehouse.quality.history import read_history
from warehouse.quality.suites import Suites, Verdict, checking

SALES = """
CREATE TYPE sale_status AS ENUM ('new', 'delivered', 'lost in space');
CREATE TABLE shops (id bigint PRIMARY KEY);
INSERT INTO shops SELECT generate_series(1, 3);
CREATE TABLE sales (
    id bigint, at timestamptz, shop_id bigint, email text, status sale_status, currency char(3), amount numeric(12, 2),
    delivered_at timestamptz, written_at timestamptz, ref text, PRIMARY KEY (id, at)
);
INSERT INTO sales
SELECT i, '2026-01-01+00'::timestamptz + i * interval '6 hours', 1 + i % 3, 'a' || i || '@example.org',
       'delivered', 'BRL', 10, '2026-01-02+00'::timestamptz + i * interval '6 hours',
       '2026-01-01+00'::timestamptz + i * interval '6 hours', 'r' || i
  FROM generate_series(1, 200) AS i;
"""
QUALITY = {
    "shop_id": {"references": "shops.id"},
    "email": {"matches": "^[^@ ]+@[^@ ]+$", "not_null": True},
    "status": {"among": ["new", "delivered"], "severity": "warn"},
    "currency": {"among": ["BRL"], "severity": "warn"},
    "amount": {"between": [0, 1000]},
    "delivered_at": {"not_before": "at"},
    "written_at": {"within": "1 day", "of": "at"},
    "ref": {"unique": True},
}
#: One bad row for each rule, and its name.
BAD = {
    "shop_id.references": "shop_id = 99",
    "email.matches": "email = 'secret mail'",
    "email.not_null": "email = NULL",
    "status.among": "status = 'lost in space'",
    "currency.among": "currency = 'USD'",
    "amount.between": "amount = -0.01",
    "delivered_at.not_before": "delivered_at = at - interval '1 microsecond'",
    "written_at.within": "written_at = at + interval '24 hours 1 second'",
    "ref.unique": "ref = 'r8'",
}


@pytest.fixture
def sales(bench: Bench) -> Bench:
    bench.source(SALES)
    bench.declare("shops", key=["id"])
    bench.monthly("sales", quality=QUALITY, erasure={"action": "exempt", "reason": "made up"})
    bench.tables["sales"]["columns"]["email"]["personal"] = "email"
    return bench


@pytest.fixture
def suites(bench: Bench) -> Suites:
    with checking(bench.pair.target) as session:
        yield session


def ingested(bench: Bench, suites: Suites, window: Window | None = None) -> Verdict:
    for table in ("shops", "sales"):
        bench.ingest(table)
    return suites.run(suite(bench.system, "sales", *([window] if window else [])))


def test_good_rows_hold(sales: Bench, suites: Suites) -> None:
    verdict = ingested(sales, suites)
    assert verdict.rows == 200
    assert [outcome.expectation.name for outcome in verdict.outcomes if outcome.holds] == list(
        dict.fromkeys(outcome.expectation.name for outcome in verdict.outcomes)
    )
    assert {outcome.expectation.name for outcome in verdict.outcomes} == set(BAD)
    assert not verdict.blocks


@pytest.mark.parametrize("rule", BAD)
def test_a_bad_row_breaks_its_rule_and_no_other(sales: Bench, suites: Suites, rule: str) -> None:
    sales.source(f"UPDATE sales SET {BAD[rule]} WHERE id = 7")
    verdict = ingested(sales, suites)
    (broken,) = verdict.broken
    assert broken.expectation.name == rule
    keys = {key[0] for key in broken.keys}
    if rule == "ref.unique":
        assert broken.failed == 2 and keys == {"7", "8"}
    else:
        assert broken.failed == 1 and keys == {"7"}
    assert verdict.suite.shown == ("id", "at"), "both columns of the key"
    assert all(len(key) == 2 for key in broken.keys)
    assert verdict.blocks == (QUALITY[rule.partition(".")[0]].get("severity") != "warn")


def test_several_rules_at_once_are_counted_each_and_few_keys_are_shown(sales: Bench, suites: Suites) -> None:
    sales.source("UPDATE sales SET amount = -5 WHERE id <= 50")
    sales.source("UPDATE sales SET currency = 'USD' WHERE id > 190")
    verdict = ingested(sales, suites)
    assert {outcome.expectation.name: outcome.failed for outcome in verdict.broken} == {
        "amount.between": 50,
        "currency.among": 10,
    }
    assert all(len(outcome.keys) == 5 for outcome in verdict.broken)
    assert verdict.blocks


def test_a_bound_itself_is_within_it_and_null_breaks_nothing_but_not_null(sales: Bench, suites: Suites) -> None:
    sales.source("UPDATE sales SET amount = 0, delivered_at = at, written_at = at - interval '1 day' WHERE id = 7")
    sales.source("UPDATE sales SET amount = 1000, delivered_at = NULL, shop_id = NULL, ref = NULL WHERE id = 8")
    sales.source("UPDATE sales SET status = NULL, currency = NULL, written_at = NULL, ref = NULL WHERE id = 9")
    assert ingested(sales, suites).broken == ()


def test_a_recent_window_leaves_what_is_older_alone(sales: Bench, suites: Suites) -> None:
    sales.source("UPDATE sales SET amount = -5, ref = 'twice' WHERE id IN (1, 199)")
    verdict = ingested(sales, suites, Window("at", dt.date(2026, 2, 1)))
    (broken,) = verdict.broken
    assert (broken.expectation.name, broken.failed, broken.keys[0][0]) == ("amount.between", 1, "199")
    assert verdict.rows == 77


def test_what_cannot_be_said_is_an_error_and_never_a_pass(sales: Bench, suites: Suites) -> None:
    sales.tables["sales"]["quality"] = {"email": {"between": [0, 1]}}
    with pytest.raises(CatalogMismatch, match=r"email is between 0 and 1 cannot be said"):
        ingested(sales, suites)


def test_an_empty_table_and_a_table_that_was_never_loaded(sales: Bench, suites: Suites) -> None:
    with pytest.raises(CatalogMismatch):
        suites.run(suite(sales.system, "sales"))
    sales.source("TRUNCATE sales")
    verdict = ingested(sales, suites)
    assert verdict.rows == 0 and verdict.broken == ()


def test_data_docs_tell_all_and_neither_values_nor_password(
    sales: Bench, suites: Suites, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sales.source("UPDATE sales SET email = 'secret mail', amount = -77.77 WHERE id = 7")
    documents = DataDocs(tmp_path)
    verdict = ingested(sales, suites)
    page, index = documents.write(verdict), documents.index()
    text = page.read_text()
    assert "email matches" in text and "amount is between 0 and 1000" in text and "7, 2026-01-02" in text
    assert "stops models" in text and "stops models" in index.read_text()
    assert f"{sales.name}/sales.html" in index.read_text()
    everything = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file()) + caplog.text
    everything += repr(suites.__dict__) + repr(verdict)
    assert "secret mail" not in everything and "77.77" not in everything
    password = str(conninfo.conninfo_to_dict(sales.pair.target.text)["password"])
    assert password not in everything
    assert "http://" not in everything and "https://" not in everything, "stands without a network"


def test_checking_can_change_nothing(sales: Bench, suites: Suites) -> None:
    ingested(sales, suites)
    with suites._source.get_engine().connect() as connection:
        with pytest.raises(Exception, match="read-only"):
            connection.exec_driver_sql(f"DELETE FROM raw_{sales.name}.sales")


def test_no_session_stays_open(sales: Bench) -> None:
    with checking(sales.pair.target) as session:
        ingested(sales, session)
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'drivetrain quality' AND datname = current_database()"
    )
    with psycopg.connect(sales.pair.warehouse_admin) as connection:
        assert connection.execute(query).fetchone() == (0,)


def test_history_of_a_table_by_month_is_by_event_and_of_others_by_load(sales: Bench) -> None:
    today = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    sales.source(f"UPDATE sales SET at = '{today}'::timestamptz - id * interval '6 hours'")
    sales.source("CREATE TABLE notes (id int PRIMARY KEY, updated_at timestamptz); INSERT INTO notes VALUES (1, now())")
    sales.incremental("notes")
    for table in ("sales", "notes"):
        sales.ingest(table)
    with connect(sales.pair.target) as connection:
        by_event = read_history(connection, sales.system, "sales")
        assert sum(by_event.by_day.values()) == 200
        assert set(list(by_event.by_day.values())[1:-1]) == {4}
        assert len(by_event.moments) == 200 and by_event.moments[-1] == today - dt.timedelta(hours=6)
        assert read_history(connection, sales.system, "notes").by_day == {}, "the first load says nothing of a day"
        assert read_history(connection, sales.system, "shops").as_of is None
        sales.source("INSERT INTO notes VALUES (2, now()), (3, now())")
        sales.warehouse("UPDATE platform.load SET committed_at = committed_at - interval '1 day'")
        sales.ingest("notes")
        assert list(read_history(connection, sales.system, "notes").by_day.values()) == [2]


def test_the_password_of_an_address_goes_to_the_driver_only(sales: Bench) -> None:
    wrong = Dsn(conninfo.make_conninfo(sales.pair.target.text, password="not the one"), "WAREHOUSE")
    with pytest.raises(Exception, match="WAREHOUSE") as raised, checking(wrong):
        pass
    assert "not the one" not in str(raised.value)
