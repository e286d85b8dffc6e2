"""What ingestion refuses: with an error that names the place, hides the password, and leaves everything as it was."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ingesting import Bench, execute, with_parameters
from psycopg import sql

from warehouse.catalog.loader import load_catalog
from warehouse.errors import (
    AccessDenied,
    CatalogError,
    CatalogMismatch,
    ConfigurationError,
    DrivetrainError,
    ReconciliationFailed,
    ServerUnavailable,
    UnsupportedType,
)
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.raw_store import RawTable

SECRET = "s3cr3t-Pa55word"


@pytest.fixture
def items(bench: Bench) -> Bench:
    bench.source("CREATE TABLE items (id int PRIMARY KEY, v text, at timestamptz NOT NULL)")
    bench.source("INSERT INTO items SELECT i, 'v' || i, '2024-01-20+00'::timestamptz + i * interval '1 hour'"
                 " FROM generate_series(1, 500) i")  # fmt: skip
    bench.incremental("items", cursor="at")
    return bench


@pytest.fixture
def role(bench: Bench) -> Iterator[str]:
    """A role of the source that may log in and nothing else."""
    name = f"role_{bench.name}"
    bench.source(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
    yield name
    bench.source(f"DROP OWNED BY {name}; DROP ROLE {name}")


def as_role(bench: Bench, role: str) -> Dsn:
    return with_parameters(bench.pair.primary, user=role, password=SECRET)


def told(error: BaseException) -> str:
    """Everything that a log or a person may see of an error."""
    return f"{error!s} {error!r} {''.join(traceback.format_exception(error))}"


# --- connections ----------------------------------------------------------------------------------------------


def test_a_wrong_password_role_or_database(items: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = [{"password": SECRET}, {"user": "nobody_such", "password": SECRET}, {"dbname": "no_such"}]
    passwords = {SECRET, *(str(dsn.parameters["password"]) for dsn in (items.pair.primary, items.pair.target))}
    for change in wrong:
        with pytest.raises(AccessDenied, match="PRIMARY") as refused:
            items.ingest("items", primary=with_parameters(items.pair.primary, **change))
        assert not any(password in told(refused.value) + caplog.text for password in passwords)
        with pytest.raises(AccessDenied, match="WAREHOUSE") as refused:
            items.ingest("items", target=with_parameters(items.pair.target, **change))
        assert not any(password in told(refused.value) + caplog.text for password in passwords)
    assert items.relations() == {}


def test_nothing_answers(items: Bench) -> None:
    for change in ({"port": "1"}, {"host": "no-such-host.invalid"}):
        with pytest.raises(ServerUnavailable, match="PRIMARY") as refused:
            items.ingest("items", primary=with_parameters(items.pair.primary, **change))
        assert refused.value.transient
        assert str(items.pair.primary.parameters["password"]) not in told(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "", "postgresql://", f"no dsn {SECRET}", f"postgresql://u:{SECRET}%zz@h/d", f"postgresql://u:{SECRET}@h:x/d",
        f"postgresql://u:a@{SECRET}@h/d", f"postgresql://u:{SECRET}/b@h/d", f"postgresql://u:b/{SECRET}@h/d",
        f"host=h password='{SECRET} port=1", f"host=h port={SECRET}",
    ],
)  # fmt: skip
def test_a_malformed_connection_string_shows_nothing_of_its_password(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DRIVETRAIN_X_DSN") as refused, connect(Dsn(text, "DRIVETRAIN_X_DSN")):
        pass
    assert SECRET not in told(refused.value)


def test_a_password_of_odd_characters_works(bench: Bench, role: str) -> None:
    password = "p@s:s/w?r#d%'\\ ü"
    bench.source(f"ALTER ROLE {role} PASSWORD '" + password.replace("'", "''") + "'")
    with connect(with_parameters(bench.pair.primary, user=role, password=password)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (role,)


# --- privileges -----------------------------------------------------------------------------------------------


def test_a_role_without_select_is_told_the_table(items: Bench, role: str) -> None:
    with pytest.raises(AccessDenied, match=r"items.*permission denied") as refused:
        items.ingest("items", primary=as_role(items, role))
    assert SECRET not in told(refused.value)
    assert items.relations() == {}


def test_a_role_that_may_read_the_declared_columns_only(items: Bench, role: str) -> None:
    items.incremental("items", cursor="at", only=("id", "at"))
    items.source(f"GRANT SELECT (id, at) ON items TO {role}")
    items.ingest("items", primary=as_role(items, role))
    assert items.assert_equal("items") == 500


@pytest.mark.parametrize("force", [False, True])
def test_row_security_is_an_error_and_not_fewer_rows(items: Bench, role: str, force: bool) -> None:
    items.ingest("items")
    before = items.state("items")
    items.source("ALTER TABLE items ENABLE ROW LEVEL SECURITY")
    items.source(f"GRANT SELECT ON items TO {role}; CREATE POLICY part ON items TO {role} USING (id < 10)")
    if force:
        items.source(f"ALTER TABLE items OWNER TO {role}; ALTER TABLE items FORCE ROW LEVEL SECURITY")
    with pytest.raises(AccessDenied, match=r"items.*row-level security"):
        items.ingest("items", primary=as_role(items, role))
    assert items.state("items") == before
    if force:
        items.source("ALTER TABLE items OWNER TO postgres")


def test_a_warehouse_role_that_may_not_write(items: Bench) -> None:
    execute(items.pair.warehouse_admin, f"CREATE ROLE reader_{items.name} LOGIN PASSWORD '{SECRET}'")
    try:
        target = with_parameters(items.pair.target, user=f"reader_{items.name}", password=SECRET)
        with pytest.raises(AccessDenied):
            items.ingest("items", target=target)
    finally:
        execute(items.pair.warehouse_admin, f"DROP ROLE reader_{items.name}")
    assert items.relations() == {}


def test_a_warehouse_that_was_never_migrated(items: Bench) -> None:
    admin, name = items.pair.servers.server("warehouse").dsn("postgres"), f"unmigrated_{items.name}"
    execute(admin, f"CREATE DATABASE {name} OWNER drivetrain")
    try:
        with pytest.raises(CatalogMismatch, match=r"platform\b"):
            items.ingest("items", target=with_parameters(items.pair.target, dbname=name))
    finally:
        execute(admin, f"DROP DATABASE {name} WITH (FORCE)")


# --- the live table is not the declared one ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE items RENAME TO renamed", r"has no table \w+\.items"),
        ("ALTER TABLE items DROP v", "column 'v' is declared, and the source has none"),
        ("ALTER TABLE items RENAME v TO w", "column 'v' is declared, and the source has none"),
        ("ALTER TABLE items ALTER id TYPE bigint", "column 'id' is bigint at the source, and declared as integer"),
        ("ALTER TABLE items DROP CONSTRAINT items_pkey", "is no primary or unique key"),
        (
            "ALTER TABLE items DROP CONSTRAINT items_pkey; CREATE UNIQUE INDEX ON items (id) WHERE id > 5",
            "is no primary",
        ),
        ("ALTER TABLE items DROP CONSTRAINT items_pkey; CREATE INDEX ON items (id)", "is no primary"),
    ],
)
def test_drift_is_told_and_changes_nothing(items: Bench, change: str, said: str) -> None:
    items.ingest("items")
    before = items.state("items")
    items.source(change)
    with pytest.raises(CatalogMismatch, match=rf"{items.name}\.items.*{said}"):
        items.ingest("items")
    assert items.state("items") == before


def test_every_problem_is_told_at_once(items: Bench) -> None:
    items.source("ALTER TABLE items DROP v, ALTER id TYPE bigint")
    with pytest.raises(CatalogMismatch) as refused:
        items.ingest("items")
    assert "'v'" in str(refused.value)
    assert "'id'" in str(refused.value)


def test_a_unique_key_with_nulls_is_no_key(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A unique index lets any number of NULLs in."""
    bench.source(
        "CREATE TABLE t (k int UNIQUE, v text); INSERT INTO t VALUES (1, 'a'), (NULL, 'x@private'), (NULL, 'y')"
    )
    bench.declare("t", key=["k"])
    with pytest.raises(DrivetrainError, match="t") as refused:
        bench.ingest("t")
    assert "x@private" not in told(refused.value) + caplog.text
    assert bench.loads("t") == []
    assert not bench.leftovers()


def test_another_encoding_is_refused(items: Bench) -> None:
    name = f"latin_{items.name}"
    admin = items.pair.servers.server("operational").dsn("postgres")
    execute(admin, f"CREATE DATABASE {name} ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(UnsupportedType, match="LATIN1"):
            items.ingest("items", primary=with_parameters(items.pair.primary, dbname=name))
    finally:
        execute(admin, f"DROP DATABASE {name}")


# --- the catalog ------------------------------------------------------------------------------------------------


def test_a_keyless_table_cannot_be_incremental(bench: Bench) -> None:
    bench.source("CREATE TABLE t (a int, b int)")
    bench.incremental("t", key=(), cursor="b")
    with pytest.raises(CatalogError, match=r"t\.key: mode incremental needs a key"):
        bench.ingest("t")


def test_a_keyless_table_keeps_its_equal_rows(bench: Bench) -> None:
    bench.source("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (NULL, NULL)")
    bench.declare("t")
    bench.ingest("t")
    assert bench.assert_equal("t") == 4
    bench.source("INSERT INTO t VALUES (1, 'x'); DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a IS NULL)")
    bench.ingest("t")
    assert bench.assert_equal("t") == 4


def test_two_files_of_one_system_are_refused(bench: Bench, tmp_path: Path) -> None:
    bench.source("CREATE TABLE t (a int)")
    bench.declare("t")
    text = yaml.safe_dump(bench.system.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    (tmp_path / f"{bench.name}.yaml").write_text(text)
    assert list(load_catalog(tmp_path).systems) == [bench.name]
    (tmp_path / f"{bench.name}.yml").write_text(text)
    with pytest.raises(CatalogError, match=f"{bench.name}.yml"):
        load_catalog(tmp_path)


# --- a load whose rows are not the source's ---------------------------------------------------------------------

SPOILT = {
    "a row lost": "DELETE FROM {into} WHERE id = (SELECT min(id) FROM {into})",
    "a row doubled": "INSERT INTO {into} SELECT id + 1000000, v, at FROM {into} LIMIT 1",
    "a value changed": "UPDATE {into} SET v = v || ' ' WHERE id = (SELECT min(id) FROM {into})",
    "NULL for empty": "UPDATE {into} SET v = NULL WHERE v = ''",
    "two values exchanged": "UPDATE {into} SET v = CASE v WHEN 'v1' THEN 'v2' ELSE 'v1' END WHERE v IN ('v1', 'v2')",
    "everything lost": "DELETE FROM {into}",
}


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("mode", ["full", "incremental", "partition"])
@pytest.mark.parametrize("first", [True, False], ids=["first load", "later load"])
def test_a_spoilt_load_is_rolled_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str, spoilt: str, first: bool
) -> None:
    bench.source("CREATE TABLE items (id int, v text, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("items", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})
    fill = (
        "INSERT INTO items SELECT i, CASE i % 5 WHEN 0 THEN '' ELSE 'v' || i END, '2024-01-20+00'"
        " FROM generate_series(1, 50) i"
    )
    if not first:
        bench.source(fill.replace("(1, 50)", "(100, 105)"))
        bench.ingest("items")
    before = bench.rows("items", of="warehouse") if not first else None
    loads, watermark = bench.loads("items"), bench.watermark("items")
    bench.source(fill)
    original = RawTable.receive

    def spoiling(raw: RawTable, source: object, query: object, into: sql.Identifier, *rest: object, **named: object):
        copied = original(raw, source, query, into, *rest, **named)  # type: ignore[arg-type]
        raw.connection.execute(SPOILT[spoilt].replace("{into}", into.as_string(raw.connection)).encode())
        return copied

    with monkeypatch.context() as patch:
        patch.setattr(RawTable, "receive", spoiling)
        if (mode, spoilt, first) == ("incremental", "a row doubled", False):
            # The one that cannot get in: only rows of buckets that differ are merged, and then proven.
            bench.ingest("items")
            assert bench.assert_equal("items") == 56
            return
        with pytest.raises(ReconciliationFailed, match=rf"{bench.name}\.items"):
            bench.ingest("items")
    if before is not None:
        assert bench.rows("items", of="warehouse") == before
    else:
        assert bench.warehouse("SELECT count(*) FROM {raw}.items") == [(0,)]
    assert (bench.loads("items"), bench.watermark("items")) == (loads, watermark)
    assert not bench.leftovers()
    bench.ingest("items")
    assert bench.assert_equal("items") == (50 if first else 56)
