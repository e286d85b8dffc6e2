"""Schema ``masked`` on a built warehouse: every model is there, and nothing personal passes.

What belongs here: what the views show, and that they live through rebuilds. What does not: what the role of analysts
may do (``test_analyst_role``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import ipaddress
import shutil
import uuid
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest
import yaml
from analysts import Warehouse
from mart_runs import PROJECT
from psycopg import sql

from warehouse.catalog import load_catalog
from warehouse.catalog.model import PersonalKind, System
from warehouse.erasure.operational import raw_reader
from warehouse.erasure.scope import find_scope, keys_of
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.restrictions import restrict

SETTINGS: Any = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
MASKS: dict[str, str] = SETTINGS["masks"]

#: RFC 4231, test cases 1 to 4, 6 and 7: key, message, HMAC-SHA-256.
VECTORS = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
        b"hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.fixture
def platform(modelled: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(modelled.platform, autocommit=True) as connection:
        yield connection


@pytest.fixture
def analyst(modelled: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(modelled.analyst, autocommit=True) as connection:
        yield connection


def personal_columns(modelled: Warehouse) -> list[tuple[str, str, str, str]]:
    """Schema, model, column and kind of every personal column of staging and marts."""
    return [
        (node["schema"], name, column["name"], column["config"]["meta"]["personal"])
        for name, node in modelled.models().items()
        for column in node["columns"].values()
        if column["config"]["meta"].get("personal")
    ]


def values(connection: psycopg.Connection[Any], schema: str, table: str, column: str) -> set[Any]:
    """The different values of a column that are not NULL; as text where Python has no hashable value."""
    query = sql.SQL("SELECT DISTINCT {0} FROM {1} WHERE {0} IS NOT NULL").format(
        sql.Identifier(column), sql.Identifier(schema, table)
    )
    return {value if getattr(value, "__hash__", None) else str(value) for (value,) in connection.execute(query)}


def columns(connection: psycopg.Connection[Any], schema: str) -> dict[str, list[str]]:
    query = """
        SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'v') GROUP BY c.relname
    """
    return dict(connection.execute(query, [schema]).fetchall())


def test_every_model_has_a_masked_view_of_the_same_columns(
    modelled: Warehouse, platform: psycopg.Connection[Any]
) -> None:
    found = columns(platform, "masked")
    expected = {
        name: [column["name"] for column in node["columns"].values()] for name, node in modelled.models().items()
    }
    assert len(expected) > 60
    assert {name: found.get(name) for name in expected} == expected
    assert set(found) - set(expected) == {"published"}
    tables = {name: list(names) for schema in ("staging", "marts") for name, names in columns(platform, schema).items()}
    assert {name: tables[name] for name in expected} == expected, "columns that no description declares"


def test_every_kind_of_personal_data_has_a_mask() -> None:
    assert set(MASKS) == set(get_args(PersonalKind))


def test_no_personal_value_passes(modelled: Warehouse, platform: psycopg.Connection[Any]) -> None:
    told: list[str] = []
    seen: set[str] = set()
    for schema, model, column, kind in personal_columns(modelled):
        true, shown = values(platform, schema, model, column), values(platform, "masked", model, column)
        if not shown:
            continue
        seen.add(MASKS[kind])
        match MASKS[kind]:
            case "about 1 km":
                fine = all(Decimal(str(value)) == round(Decimal(str(value)), 2) for value in shown)
            case "year or decade":
                fine = all(
                    value.day == value.month == 1 if isinstance(value, dt.date) else value % 10 == 0 for value in shown
                )
            case "network":
                networks = [ipaddress.ip_interface(value) for value in shown]
                fine = all(
                    network.network.prefixlen == (24 if network.version == 4 else 48)
                    and network.ip == network.network[0]
                    for network in networks
                )
            case mask:
                fine = mask.startswith("pseudonym") and all(isinstance(value, uuid.UUID) for value in shown)
                fine = fine and not {str(value) for value in shown} & {str(value) for value in true}
        if not fine:
            told.append(f"{model}.{column}")
    assert told == []
    assert seen == set(MASKS.values()) - {"nothing"}, "every mask was tried on some value"


def test_what_tells_nothing_is_null_for_everybody(modelled: Warehouse, platform: psycopg.Connection[Any]) -> None:
    hidden = [item for item in personal_columns(modelled) if MASKS[item[3]] == "nothing"]
    there = [item for item in hidden if values(platform, *item[:3])]
    assert len(there) > 20
    assert [item for item in hidden if values(platform, "masked", *item[1:3])] == []


@pytest.mark.parametrize(("key", "message", "expected"), VECTORS)
def test_hmac_is_that_of_rfc_4231(platform: psycopg.Connection[Any], key: bytes, message: bytes, expected: str) -> None:
    query = (
        "SELECT encode(platform.hmac_sha256("
        "platform.hmac_pad(%(key)s, 54), platform.hmac_pad(%(key)s, 92), %(message)s), 'hex')"
    )
    assert platform.execute(query, {"key": key, "message": message}).fetchone() == (expected,)


def pseudonyms(platform: psycopg.Connection[Any], domain: str, texts: set[str]) -> set[uuid.UUID]:
    """Python's own HMAC of some values, under the warehouse's key."""
    row = platform.execute("SELECT inner_pad, outer_pad FROM platform.masking_key").fetchone()
    assert row is not None
    key, again = (bytes(byte ^ filler for byte in pad) for pad, filler in zip(row, (0x36, 0x5C), strict=True))
    assert key == again
    assert len(set(key)) > 10
    digests = (hmac.digest(key, f"{domain}:{text}".encode(), hashlib.sha256) for text in texts)
    return {uuid.UUID(bytes=digest[:16]) for digest in digests}


def test_pseudonyms_are_the_keyed_hash_within_their_domain(platform: psycopg.Connection[Any]) -> None:
    riders = {str(value) for value in values(platform, "staging", "stg_logistics__riders", "id")}
    assert values(platform, "masked", "stg_logistics__riders", "id") == pseudonyms(platform, "logistics.person", riders)
    names = values(platform, "staging", "stg_carddb__users", "username")
    assert values(platform, "masked", "stg_carddb__users", "username") == pseudonyms(platform, "carddb.username", names)
    # One domain for all systems: mail addresses are how a person is found in two of them.
    for table in ("stg_shop__customers", "stg_throttlecove__users"):
        mails = {mail.strip().lower() for mail in values(platform, "staging", table, "email")}
        assert values(platform, "masked", table, "email") == pseudonyms(platform, "email", mails)


def test_masked_tables_join_as_the_true_ones_do(platform: psycopg.Connection[Any]) -> None:
    query = """
        SELECT count(*), count(DISTINCT l.rider_id), sum(l.amount)
        FROM {0}.{1} AS r JOIN {2}.stg_logistics__wallet_ledger AS l USING (rider_id)
    """
    true, masked = (
        platform.execute(
            sql.SQL(query).format(sql.Identifier(mart), sql.Identifier("rider_leaderboard"), sql.Identifier(staging))
        ).fetchone()
        for mart, staging in (("marts", "staging"), ("masked", "masked"))
    )
    assert true == masked
    assert true is not None and true[0] > 10


def test_figures_of_few_persons_are_left_out(modelled: Warehouse, platform: psycopg.Connection[Any]) -> None:
    left_out = shown = 0
    declared = {
        name: cells for name, node in modelled.models().items() if (cells := node["config"]["meta"].get("small_cells"))
    }
    assert declared
    for name, cells in declared.items():
        for persons, figures in cells.items():
            for figure in [persons, *figures]:
                query = sql.SQL(
                    "SELECT count(*) FILTER (WHERE {persons} < %(fewest)s),"
                    " count(*) FILTER (WHERE {persons} >= %(fewest)s AND {figure} IS NOT NULL),"
                    " (SELECT count({figure}) FROM masked.{mart}) FROM marts.{mart}"
                ).format(persons=sql.Identifier(persons), figure=sql.Identifier(figure), mart=sql.Identifier(name))
                row = platform.execute(query, {"fewest": SETTINGS["fewest_persons"]}).fetchone()
                assert row is not None
                assert row[1] == row[2], (name, figure)
                left_out, shown = left_out + row[0], shown + row[2]
    assert left_out and shown, "both were tried"


#: By system, a person with rows that lead to them over another table: a column of the staging table of persons' rows.
OVER_ANOTHER = {
    "bikenode": "SELECT b.user_id FROM staging.stg_bikenode__bike_maintenance AS m"
    " JOIN staging.stg_bikenode__bikes AS b ON b.id = m.bike_id",
    "carddb": "SELECT c.user_id FROM staging.stg_carddb__collection_items AS i"
    " JOIN staging.stg_carddb__collections AS c ON c.id = i.collection_id",
    "logistics": "SELECT o.rider_id FROM staging.stg_logistics__order_events AS e"
    " JOIN staging.stg_logistics__orders AS o ON o.id = e.order_id",
    "shop": "SELECT o.customer_id FROM staging.stg_shop__order_items AS i"
    " JOIN staging.stg_shop__orders AS o ON o.id = i.order_id",
    "throttlecove": "SELECT m.user_id FROM staging.stg_throttlecove__maintenance_records AS r"
    " JOIN staging.stg_throttlecove__motorcycles AS m ON m.id = r.motorcycle_id",
}


@contextmanager
def restricted(platform: psycopg.Connection[Any], system: System) -> Generator[str]:
    """A person whose data may not be used: the one of those above with the most rows."""
    query = (
        f"SELECT of::text FROM ({OVER_ANOTHER[system.system]}) AS rows (of) WHERE of IS NOT NULL"
        " GROUP BY of ORDER BY count(*) DESC, 1 LIMIT 1"
    )
    ((person,),) = platform.execute(query.encode()).fetchall()
    with connect(Dsn(platform.info.dsn + f" password={platform.info.password}")) as operator:
        ((request,),) = operator.execute(
            "INSERT INTO platform.erasure_request (kind, law, received_at, due_at, latest_at, identifiers,"
            " identifier_digests) VALUES ('restriction', 'gdpr', now(), now(), now(), '', '{}') RETURNING id"
        ).fetchall()
        scope = find_scope(system, {person}, [raw_reader(operator, system)])
        restrict(operator, request, system.system, keys_of(system, scope))
        try:
            yield person
        finally:
            operator.execute("UPDATE platform.erasure_request SET state = 'revoked' WHERE id = %s", (request,))
            operator.execute("DELETE FROM platform.erasure_request WHERE id = %s", (request,))


def about(system: System, table: str, person: str) -> str:
    """Rows of a staging table that are about a person, by joining every way to them."""
    parts: list[str] = []
    for subject in system.tables[table].subjects:
        parts.append(f"{subject.column}::text = '{person}'")
        if subject.table is not None:
            key, further = system.target_of(subject)[1], f"staging.stg_{system.system}__{subject.table}"
            parts[-1] = (
                f"{subject.column} IN (SELECT {key} FROM {further} WHERE {about(system, subject.table, person)})"
            )
    return " OR ".join(parts) or "false"


def counts(connection: psycopg.Connection[Any], names: Iterable[str]) -> dict[str, int]:
    """Rows of the masked views of some models."""
    each = sql.SQL("SELECT {}, count(*) FROM masked.{}")
    query = sql.SQL(" UNION ALL ").join(each.format(sql.Literal(name), sql.Identifier(name)) for name in names)
    return dict(connection.execute(query).fetchall())


def rows_about(platform: psycopg.Connection[Any], node: Any, system: System, person: str) -> int:
    """Rows of a model that are about a person."""
    meta = node["config"]["meta"]
    where = f"{meta['person_column']}::text = '{person}'" if "person_column" in meta else "false"
    if "table" in meta:
        where = about(system, meta["table"], person)
    elif node["name"] == "fct_shop_order_parts":
        where = f"order_id IN (SELECT id FROM staging.stg_shop__orders WHERE customer_id::text = '{person}')"
    query = f"SELECT count(*) FROM {node['schema']}.{node['name']} WHERE {where}"
    return int(platform.execute(query.encode()).fetchall()[0][0])


def test_whoever_is_restricted_is_in_no_view_and_everybody_else_is(
    modelled: Warehouse, platform: psycopg.Connection[Any], analyst: psycopg.Connection[Any]
) -> None:
    systems, models = load_catalog().systems, modelled.models()
    before = counts(analyst, models)
    with ExitStack() as stack:
        persons = {name: stack.enter_context(restricted(platform, systems[name])) for name in OVER_ANOTHER}
        of = {model: str(node["config"]["meta"]["system"]) for model, node in models.items()}
        theirs = {
            model: rows_about(platform, node, systems[of[model]], persons[of[model]]) for model, node in models.items()
        }
        during = counts(analyst, models)
        assert {model: before[model] - during[model] for model in models} == theirs
        assert sum(map(bool, theirs.values())) > 40, "rows of most tables and marts are theirs"
        assert theirs["fct_shop_order_parts"] and theirs["stg_bikenode__bike_maintenance"]
        for schema, model, column, kind in personal_columns(modelled):
            if kind == "person_id":
                hidden = pseudonyms(platform, f"{of[model]}.person", {persons[of[model]]})
                assert not values(platform, "masked", model, column) & hidden, (schema, model, column)
    assert counts(analyst, models) == before


def test_nothing_is_computed_of_a_hidden_row_and_nothing_asked_while_nobody_is_hidden(
    platform: psycopg.Connection[Any], analyst: psycopg.Connection[Any]
) -> None:
    """An error that a condition makes of one row would tell of it."""
    system = load_catalog().systems["logistics"]
    with restricted(platform, system) as person:
        (pseudonym,) = pseudonyms(platform, "logistics.person", {person})
        trap = (
            "SELECT count(*) FROM fct_deliveries WHERE CASE WHEN rider_id = %s THEN 1 / (order_id - order_id) END = 1"
        )
        assert analyst.execute(trap, [pseudonym]).fetchone() == (0,)
        plan = str(analyst.execute("EXPLAIN (ANALYZE) SELECT * FROM fct_deliveries").fetchall())
        assert "never executed" not in plan
    with pytest.raises(psycopg.errors.DivisionByZero):
        analyst.execute(trap, [pseudonym])
    plan = str(analyst.execute("EXPLAIN (ANALYZE) SELECT * FROM fct_deliveries").fetchall())
    assert plan.count("never executed") >= 1


def definition(platform: psycopg.Connection[Any], view: str) -> Any:
    """Identity of a view's rule: another one after every replacement."""
    return platform.execute(
        "SELECT r.oid, r.xmin::text FROM pg_rewrite AS r WHERE r.ev_class = %s::regclass", [f"masked.{view}"]
    ).fetchone()


def test_an_unchanged_view_is_left_alone_and_one_dropped_with_its_table_is_back(
    modelled: Warehouse, platform: psycopg.Connection[Any], analyst: psycopg.Connection[Any]
) -> None:
    rows = analyst.execute("SELECT count(*) FROM shop_analytics").fetchone()
    before = definition(platform, "rider_leaderboard")
    platform.execute("DROP TABLE marts.shop_analytics CASCADE")
    with pytest.raises(psycopg.errors.UndefinedTable):
        analyst.execute("SELECT FROM masked.shop_analytics")
    run = modelled.dbt("run", "--select", "shop_analytics", "rider_leaderboard")
    assert run.code == 0, run.output
    assert analyst.execute("SELECT count(*) FROM shop_analytics").fetchone() == rows
    assert definition(platform, "rider_leaderboard") == before


def test_a_view_without_a_model_goes(modelled: Warehouse, platform: psycopg.Connection[Any]) -> None:
    platform.execute("CREATE VIEW masked.of_a_former_mart AS SELECT 1 AS one")
    platform.execute("INSERT INTO platform.model_view VALUES ('masked.of_a_former_mart', 'x', 'y')")
    run = modelled.dbt("run", "--select", "rider_leaderboard")
    assert run.code == 0, run.output
    assert "of_a_former_mart" not in columns(platform, "masked")


def test_a_kind_that_nobody_knows_to_mask_stops_the_build(
    modelled: Warehouse, platform: psycopg.Connection[Any], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    file = project / "models/marts/logistics/rider_leaderboard.yml"
    assert "personal: name" in file.read_text()
    file.write_text(file.read_text().replace("personal: name", "personal: shoe_size"))
    before = definition(platform, "rider_leaderboard")
    run = modelled.dbt("run", "--select", "rider_leaderboard", project=project)
    assert run.statuses["rider_leaderboard"] == "error"
    assert "rider_leaderboard.name is personal of kind shoe_size, for which there is no mask" in run.output
    assert definition(platform, "rider_leaderboard") == before


def test_a_new_key_changes_every_pseudonym_and_no_join(platform: psycopg.Connection[Any]) -> None:
    before = values(platform, "masked", "stg_logistics__riders", "id")
    with platform.transaction(force_rollback=True):
        platform.execute("SELECT platform.renew_masking_key()")
        after = values(platform, "masked", "stg_logistics__riders", "id")
        assert after == values(platform, "masked", "rider_performance_summary", "rider_id")
    assert len(after) == len(before) > 10
    assert not before & after
