"""Guesses about columns and tables, and what partition bounds and names say. No database."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.catalog.naming import period_name
from warehouse.catalog.periods import Period
from warehouse.postgres import guesses
from warehouse.postgres.bounds import Span, covers, hash_slot, is_default, is_open, modulus_of, period_of, span
from warehouse.postgres.introspection import LiveColumn, LivePartition, LiveTable, LiveType


def column(name: str, kind: str = "text", type_name: str = "", not_null: bool = False) -> LiveColumn:
    live = LiveType(kind, kind, kind, "base", True, False, False, type_name=type_name or kind)
    return LiveColumn(name, live, not_null, False, None)


def part(bound: str, name: str = "p", level: int = 1) -> LivePartition:
    return LivePartition("public", name, bound, True, level)


@pytest.mark.parametrize(
    ("name", "kind", "guess"),
    [
        ("email", "text", "email"),
        ("eMailAddress", "text", "email"),
        ("courriel", "text", "email"),
        ("MobileNo", "text", "phone"),
        ("telefono", "text", "phone"),
        ("first_name", "text", "name"),
        ("Vorname", "text", "name"),
        ("apellidos", "text", "name"),
        ("straße", "text", "address"),
        ("dirección", "text", "address"),
        ("postal_code", "text", "address"),
        ("lat", "double precision", "location"),
        ("home", "point", "location"),
        ("addr", "inet", "ip"),
        ("x", "macaddr", "device"),
        ("user_agent", "text", "device"),
        ("dob", "date", "birth_date"),
        ("geburtsdatum", "date", "birth_date"),
        ("passport_no", "text", "government_id"),
        ("pan", "text", "government_id"),
        ("aadhaar_number", "text", "government_id"),
        ("ssn", "integer", "government_id"),
        ("tax_id", "bigint", "government_id"),
        ("vin", "bytea", "vehicle_id"),
        ("IBAN", "text", "bank_account"),
        ("password_hash", "text", "credential"),
        ("comment", "text", "free_text"),
        ("Bemerkung", "text", "free_text"),
        ("avatar", "text", "photo"),
        ("company", "text", None),
        ("panel", "text", None),
        ("latency", "double precision", None),
        ("shipment", "text", None),
        ("email_verified_at", "timestamp with time zone", None),
        ("address_id", "bigint", None),
        ("is_email", "boolean", None),
        ("name", "text", None),
        ("quantity", "integer", None),
        ("comments", "integer", None),
        ("created_at", "timestamp with time zone", None),
    ],
)
def test_personal_data_is_guessed_by_name_and_type(name: str, kind: str, guess: str | None) -> None:
    assert guesses.personal_kind("things", column(name, kind)) == guess


def test_a_bare_name_is_a_persons_in_a_table_of_persons() -> None:
    assert guesses.personal_kind("riders", column("name")) == "name"
    assert guesses.personal_kind("products", column("name")) is None


@pytest.mark.parametrize("table", ["users", "User", "app_users", "AuthUser", "Kunden", "clientes", "people", "utenti"])
def test_tables_of_persons(table: str) -> None:
    assert guesses.is_person_table(table)


@pytest.mark.parametrize("table", ["user_sessions", "orders", "use", "", "s", "customer_orders"])
def test_tables_of_something_else(table: str) -> None:
    assert not guesses.is_person_table(table)


def test_only_a_time_that_is_never_null_tells_of_changes() -> None:
    at = "timestamp with time zone"
    assert guesses.change_time({"updatedAt": column("updatedAt", at, not_null=True)}) == "updatedAt"
    assert guesses.change_time({"updated_at": column("updated_at", at)}) is None
    assert guesses.change_time({"updated_at": column("updated_at", "date", not_null=True)}) is None


@given(st.text())
def test_words_are_plain(text: str) -> None:
    assert "__" not in guesses.words(text)
    assert guesses.words(text) == guesses.words(text).lower()


# --- bounds -----------------------------------------------------------------------------------------------------


def times(start: str, end: str) -> str:
    return f"FOR VALUES FROM ('{start}') TO ('{end}')"


@pytest.mark.parametrize(
    ("start", "end", "period"),
    [
        ("2024-01-01 00:00:00+00", "2024-02-01 00:00:00+00", "month"),
        ("2024-12-01", "2025-01-01", "month"),
        ("2024-01-31", "2024-02-01", "day"),
        ("2024-01-01 05:30:00+05:30", "2024-02-01 05:30:00+05:30", "month"),
        ("2024-01-01 00:00:00+05:30", "2024-02-01 00:00:00+05:30", None),
        ("2024-04-01", "2024-07-01", "quarter"),
        ("2024-02-01", "2024-05-01", None),
        ("2024-01-01", "2025-01-01", "year"),
        ("2024-02-01", "2025-02-01", None),
        ("2024-01-01", "2024-01-08", "week"),
        ("2024-01-02", "2024-01-09", None),
        ("2024-01-01", "2024-01-15", None),
        ("2024-01-01 01:00:00", "2024-02-01 01:00:00", None),
    ],
)
def test_periods_of_bounds(start: str, end: str, period: str | None) -> None:
    found = span(part(times(start, end)))
    assert found is not None
    assert found.period == period


@pytest.mark.parametrize(
    ("bound", "open_", "default"),
    [
        ("DEFAULT", False, True),
        ("FOR VALUES FROM (MINVALUE) TO ('2024-01-01')", True, False),
        ("FOR VALUES FROM ('2024-01-01') TO (MAXVALUE)", True, False),
        ("FOR VALUES FROM ('2024-01-01') TO ('infinity')", True, False),
        ("FOR VALUES FROM ('0044-03-15 BC') TO ('2024-01-01')", False, False),
        ("FOR VALUES FROM (1) TO (2)", False, False),
        ("FOR VALUES FROM ('2024-01-01', 1) TO ('2024-02-01', 1)", False, False),
        ("FOR VALUES IN ('a', 'FOR VALUES FROM (''x'') TO (''y'')')", False, False),
        ("", False, False),
    ],
)
def test_bounds_without_a_span(bound: str, open_: bool, default: bool) -> None:
    assert span(part(bound)) is None
    assert is_open(part(bound)) is open_
    assert is_default(part(bound)) is default


@pytest.mark.parametrize(
    ("bound", "covered"),
    [
        ("DEFAULT", True),
        (times("2024-01-01", "2024-02-01"), False),
        (times("2024-02-01", "2024-03-01"), True),
        (times("2024-01-15", "2024-02-15"), True),
        ("FOR VALUES FROM (MINVALUE) TO ('2024-02-01')", False),
        ("FOR VALUES FROM ('2024-02-01') TO (MAXVALUE)", True),
        ("FOR VALUES FROM (1) TO (2)", False),
        ("FOR VALUES IN ('2024-02-01')", False),
    ],
)
def test_a_partition_covers_a_moment(bound: str, covered: bool) -> None:
    assert covers(part(bound), dt.datetime(2024, 2, 1, tzinfo=dt.UTC)) is covered


def test_the_newest_partition_decides_the_period() -> None:
    at = (column("at", "date"),)
    old, new = part(times("2023-01-01", "2024-01-01"), "a"), part(times("2024-01-01", "2024-02-01"), "b")
    table = LiveTable("public", "t", at, strategy="range", partition_columns=("at",), partitions=(new, old))
    assert period_of(table) == "month"
    inner = part("FOR VALUES WITH (modulus 2, remainder 0)", "c", level=2)
    assert (
        modulus_of(LiveTable("public", "t", at, strategy="hash", partition_columns=("at",), partitions=(inner,)))
        is None
    )


def test_a_modulus_needs_all_its_parts() -> None:
    slots = [part(f"FOR VALUES WITH (modulus 4, remainder {remainder})", f"p{remainder}") for remainder in range(4)]
    assert hash_slot(slots[3]) == (4, 3)
    table = LiveTable("public", "t", (), strategy="hash", partition_columns=("id",), partitions=tuple(slots))
    assert modulus_of(table) == 4
    table = LiveTable("public", "t", (), strategy="hash", partition_columns=("id",), partitions=tuple(slots[1:]))
    assert modulus_of(table) is None


PATTERNS: list[tuple[Period, str]] = [
    ("month", "{table}_y{year}m{month}"),
    ("month", "{table}_{year}_{month}"),
    ("month", "{table}_p{year}{month}"),
    ("month", "{table}_{year}_{month}_{day}"),
    ("day", "{table}_{year}{month}{day}"),
    ("day", "{table}_p{year}_{month}_{day}"),
    ("year", "{table}_{year}"),
    ("year", "{table}{year}x"),
    ("quarter", "{table}_{year}q{quarter}"),
    ("quarter", "{table}_{year}_{month}"),
    ("week", "{table}_{year}w{week}"),
]
STARTS: dict[Period, list[str]] = {
    "month": ["2024-01-01", "2024-02-01", "2024-11-01"],
    "day": ["2024-01-31", "2024-12-12"],
    "year": ["2023-01-01", "2024-01-01"],
    "quarter": ["2024-01-01", "2024-04-01", "2024-10-01"],
    "week": ["2024-01-08", "2024-12-23"],
}


@pytest.mark.parametrize(("every", "pattern"), PATTERNS)
@pytest.mark.parametrize("table", ["rides", "t2024", "x{y}"])
def test_a_name_pattern_is_read_off_the_names(every: Period, pattern: str, table: str) -> None:
    days = {"month": 31, "day": 1, "year": 366, "quarter": 92, "week": 7}
    spans: dict[str, Span] = {}
    for text in STARTS[every]:
        start = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
        end = start + dt.timedelta(days=days[every])
        end = end if every in ("day", "week") else end.replace(day=1)
        spans[period_name(pattern, table, start.date())] = Span(start, end)
    found = guesses.range_pattern(table, spans, every)
    assert found is not None
    assert {period_name(found, table, each.start.date()) for each in spans.values()} == set(spans)


def test_names_without_a_pattern() -> None:
    assert guesses.range_pattern("t", {}, "month") is None
    assert guesses.hash_pattern("t", {}) is None
    assert guesses.hash_pattern("t", {"t_a": 0, "t_b": 1}) is None


@pytest.mark.parametrize("pattern", ["{table}_p{remainder}", "{table}_{remainder:02d}", "{table}{remainder:03d}"])
def test_a_hash_pattern_is_read_off_the_names(pattern: str) -> None:
    names = {pattern.format(table="ledger", remainder=each): each for each in range(12)}
    assert guesses.hash_pattern("ledger", names) == pattern
