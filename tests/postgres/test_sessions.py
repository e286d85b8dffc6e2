"""Sessions: canonical settings, errors in our own words, and passwords that show nowhere."""

from __future__ import annotations

import socket

import psycopg
import pytest
from psycopg import conninfo

from warehouse.errors import (
    AccessDenied,
    Busy,
    CatalogMismatch,
    ConfigurationError,
    DrivetrainError,
    ServerUnavailable,
    SourceInterrupted,
)
from warehouse.postgres.sessions import CANONICAL, Dsn, connect, translated


def test_a_session_is_canonical_whatever_the_database_says(empty_database: str) -> None:
    name = conninfo.conninfo_to_dict(empty_database)["dbname"]
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'".encode())
        connection.execute(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'".encode())
    with connect(Dsn(empty_database), application="x") as session:
        for setting, value in CANONICAL.items():
            row = session.execute("SELECT current_setting(%s)", (setting,)).fetchone()
            assert row == (value,), setting
        assert session.execute("SHOW application_name").fetchone() == ("x",)


def test_options_of_the_dsn_stay(empty_database: str) -> None:
    dsn = Dsn(conninfo.make_conninfo(empty_database, options="-c search_path=pg_catalog -c timezone=Asia/Tokyo"))
    with connect(dsn) as session:
        assert session.execute("SHOW search_path").fetchone() == ("pg_catalog",)
        assert session.execute("SHOW timezone").fetchone() == ("UTC",)


def test_a_read_only_session_writes_nothing(empty_database: str) -> None:
    with connect(Dsn(empty_database), read_only=True) as session, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        session.execute("CREATE TABLE t (id int)")


@pytest.mark.parametrize("text", ["", "postgresql://u:geheim@[bad", "host=x pasword=geheim", "just text geheim"])
def test_what_is_no_connection_string(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Dsn(text, "SHOP_DSN")
    assert "SHOP_DSN" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_password_shows_nowhere() -> None:
    dsn = Dsn("postgresql://me:geheim@db.example:5433/shop", "SHOP_DSN")
    assert "geheim" not in repr(dsn) + str(dsn)
    assert str(dsn) == "me@db.example:5433/shop"


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"user": "nobody_here"}, {"dbname": "not_there"}])
def test_a_refusal_is_told_apart(empty_database: str, change: dict[str, str]) -> None:
    with pytest.raises(AccessDenied) as caught, connect(Dsn(conninfo.make_conninfo(empty_database, **change), "shop")):
        pass
    assert not caught.value.transient
    assert "wrong" not in str(caught.value)


def test_a_full_database_is_unavailable_for_now(empty_database: str) -> None:
    name = conninfo.conninfo_to_dict(empty_database)["dbname"]
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE ROLE only_one LOGIN PASSWORD 'x'")
        try:
            connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0".encode())
            dsn = Dsn(conninfo.make_conninfo(empty_database, user="only_one", password="x"))
            with pytest.raises(ServerUnavailable), connect(dsn):
                pass
        finally:
            connection.execute("DROP ROLE only_one")


def test_nobody_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dsn = Dsn(f"postgresql://u:geheim@127.0.0.1:{taken.getsockname()[1]}/x", "shop")
        with pytest.raises(ServerUnavailable) as caught, connect(dsn):
            pass
    assert caught.value.transient
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM not_there", CatalogMismatch),
        ("SELECT not_there FROM pg_class", CatalogMismatch),
        ("SET statement_timeout = 10; SELECT pg_sleep(2)", SourceInterrupted),
        ("SET ROLE pg_monitor; SELECT * FROM pg_authid", AccessDenied),
        ("SET lock_timeout = 10; LOCK TABLE t", Busy),
    ],
)
def test_errors_of_statements(empty_database: str, statement: str, expected: type[DrivetrainError]) -> None:
    with connect(Dsn(empty_database)) as holder, connect(Dsn(empty_database)) as session:
        holder.execute("CREATE TABLE t (id int)")
        with holder.transaction():
            holder.execute("LOCK TABLE t")
            with pytest.raises(expected) as caught, translated("shop.t"), session.transaction():  # noqa: PT012
                for each in statement.split("; "):
                    session.execute(each.encode())
    assert str(caught.value).startswith("shop.t: ")
