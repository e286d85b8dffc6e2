"""Persons found by what they are known by, in both databases, in other spellings, and when two share one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ingesting import Bench, backends_of
from psycopg import sql

from resources.settings import Settings
from resources.subjects import find_subjects, systems_with_persons
from warehouse.catalog.model import IdentifierKind
from warehouse.erasure.identifiers import Identifier, parse_identifier
from warehouse.erasure.persons import MOST, Match, Place, find_persons, merged
from warehouse.errors import CatalogMismatch, TooLarge
from warehouse.postgres.sessions import connect

PEOPLE = """
CREATE TABLE people (id bigint PRIMARY KEY, email text, mobile text, handle text, public_id uuid, pan text, region text,
    made timestamptz, updated_at timestamptz NOT NULL DEFAULT '2026-01-01+00');
INSERT INTO people VALUES
  (1, 'Anna@Example.org', '+49 171 2345678', 'anna', '7e8b1a52-0000-4000-8000-000000000001', 'ABCPX1234K', 'eu',
   '2024-01-05+00'),
  (2, 'anna@example.org', '0171/2345678', 'Anna2', '7e8b1a52-0000-4000-8000-000000000002', NULL, 'us', '2025-03-01+00'),
  (3, ' bob@example.org ', '+919812345678', 'BOB', NULL, NULL, NULL, NULL),
  (4, NULL, '9812345678', E'Zoe\\u0308', NULL, 'abcpx 9999-k', NULL, '2026-01-01+00'),
  (5, 'eve%@example.org', '', '', NULL, NULL, NULL, NULL),
  (6, 'eve_@example.org', '+1 212 345678', 'o''brien', NULL, NULL, NULL, NULL);
"""
PERSON = {
    "table": "people", "key": "id", "region": "region", "since": "made",
    "identifiers": {
        "email": "email", "mobile": "phone", "handle": "username", "public_id": "external_id", "pan": "government_id",
    },
}  # fmt: skip


@pytest.fixture
def people(bench: Bench) -> Iterator[Bench]:
    bench.source(PEOPLE)
    bench.incremental("people")
    bench.tables["people"].update(subjects=["id"], erasure="delete")
    bench.person = PERSON
    return bench


def find(bench: Bench, place: Place = "operational", **given: str) -> list[Match] | None:
    identifiers = [parse_identifier(kind, text) for kind, text in given.items()]  # type: ignore[arg-type]
    where = bench.pair.primary if place == "operational" else bench.pair.target
    with connect(where, read_only=True, see_all_rows=place == "operational") as connection:
        return find_persons(connection, bench.system, identifiers, place)


def told(matches: list[Match] | None) -> list[tuple[str, list[tuple[str, str]]]]:
    assert matches is not None
    return [(match.key, [(hit.column, hit.how) for hit in match.hits]) for match in matches]


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("email", "anna@example.org", {"2": "same", "1": "alike"}),
        ("email", "BOB@example.org", {"3": "alike"}),
        ("email", "eve_@example.org", {"6": "same"}),
        ("email", "eve%@EXAMPLE.org", {"5": "alike"}),
        ("email", "%@example.org", {}),
        ("phone", "+49 171 2345678", {"1": "same", "2": "end"}),
        ("phone", "+491712345678", {"1": "alike", "2": "end"}),
        ("phone", "0171 2345678", {"2": "alike", "1": "end"}),
        ("phone", "0049 171 2345678", {"1": "end", "2": "end"}),
        ("phone", "2345678", dict.fromkeys("12346", "end")),
        ("phone", "9812345678", {"4": "same", "3": "end"}),
        ("phone", "+919812345678", {"3": "same", "4": "end"}),
        ("phone", "+449812345678", {"4": "end"}),
        ("phone", "+99991712345678", {"2": "end"}),
        ("username", "bob", {"3": "alike"}),
        ("username", "ZOË", {"4": "alike"}),
        ("username", "o'brien", {"6": "same"}),
        ("external_id", "7E8B1A52-0000-4000-8000-000000000001", {"1": "alike"}),
        ("external_id", "7e8b1a52", {}),
        ("government_id", "abcpx-1234-k", {"1": "alike"}),
        ("government_id", "ABCPX9999K", {"4": "alike"}),
    ],
)
def test_who_is_known_by_what(people: Bench, kind: IdentifierKind, text: str, found: dict[str, str]) -> None:
    assert {key: hits[0][1] for key, hits in told(find(people, **{kind: text}))} == found


def test_two_persons_with_one_address_are_told_apart(people: Bench) -> None:
    first, second = find(people, email="anna@example.org", phone="0171 2345678") or []
    assert [(first.key, first.since, first.region), (second.key, second.since, second.region)] == [
        ("2", "2025-03-01 00:00:00+00", "us"), ("1", "2024-01-05 00:00:00+00", "eu"),
    ]  # fmt: skip
    assert [(hit.column, hit.how) for hit in first.hits] == [("email", "same"), ("mobile", "alike")]
    assert [(hit.column, hit.how) for hit in second.hits] == [("email", "alike"), ("mobile", "end")]
    assert second.shown == {
        "email": "A***@Example.org", "mobile": "***78", "handle": "a***", "public_id": "7***", "pan": "***4K",
    }  # fmt: skip


def test_who_matches_more_comes_first(people: Bench) -> None:
    assert [match.key for match in find(people, email="anna@example.org", username="anna") or []] == ["1", "2"]


def test_a_person_may_be_gone_from_one_place_or_have_had_another_address(people: Bench) -> None:
    assert find(people, "warehouse", email="bob@example.org") is None, "the warehouse has read nobody yet"
    people.ingest("people")
    people.source("DELETE FROM people WHERE id = 3; UPDATE people SET email = 'new@example.org' WHERE id = 1")
    both = [*(find(people, email="bob@example.org") or []), *(find(people, "warehouse", email="bob@example.org") or [])]
    assert [(match.key, match.places) for match in merged(both)] == [("3", ("warehouse",))]
    for address, places in (("new@example.org", ("operational",)), ("Anna@Example.org", ("warehouse",))):
        both = [*(find(people, email=address) or []), *(find(people, "warehouse", email=address) or [])]
        assert next(match for match in merged(both) if match.key == "1").places == places
    both = [*(find(people, username="anna") or []), *(find(people, "warehouse", username="anna") or [])]
    (anna,) = merged(both)
    assert [(hit.how, hit.place) for hit in anna.hits] == [("same", "operational"), ("same", "warehouse")]


def test_nobody_is_an_answer(people: Bench) -> None:
    assert find(people, email="nobody@example.org", username="nobody") == []


def test_a_kind_that_the_system_does_not_know_finds_nobody(people: Bench) -> None:
    people.person = {**PERSON, "identifiers": {"email": "email"}}
    assert find(people, username="anna") == []


def test_too_many_are_no_answer(people: Bench) -> None:
    people.source(f"INSERT INTO people (id, handle) SELECT i, 'crowd' FROM generate_series(100, {100 + MOST}) i")
    with pytest.raises(TooLarge):
        find(people, username="crowd")
    people.source("DELETE FROM people WHERE id = 100")
    assert len(find(people, username="crowd") or []) == MOST


def test_a_table_that_is_missing_at_the_source_is_said(people: Bench) -> None:
    people.source("ALTER TABLE people RENAME TO persons")
    with pytest.raises(CatalogMismatch, match="has no table"):
        find(people, email="anna@example.org")


def test_rows_that_a_policy_hides_are_found(people: Bench) -> None:
    people.source("ALTER TABLE people ENABLE ROW LEVEL SECURITY; ALTER TABLE people FORCE ROW LEVEL SECURITY")
    assert [match.key for match in find(people, username="bob") or []] == ["3"]


def test_the_settings_say_where_to_look(people: Bench, tmp_path: Path) -> None:
    """All the way down from what a command asks for; a warehouse that is away hides nobody whom the source has."""
    (tmp_path / f"{people.name}.yaml").write_text(people.catalog_file)
    name = f"DRIVETRAIN_{people.name.upper()}_DSN"
    values = {"DRIVETRAIN_CATALOG": str(tmp_path), name: people.pair.primary.text,
              "DRIVETRAIN_WAREHOUSE_DSN": people.pair.target.text}  # fmt: skip
    people.ingest("people")
    asked = [parse_identifier("email", "BOB@example.org"), parse_identifier("phone", "+91 98123 45678")]
    for warehouse, places, away in (
        (people.pair.target.text, ("operational", "warehouse"), []),
        ("postgresql://127.0.0.1:1/x", ("operational",), ["warehouse"]),
    ):
        settings = Settings({**values, "DRIVETRAIN_WAREHOUSE_DSN": warehouse})
        (answer,) = find_subjects(settings, systems_with_persons(settings.catalog()), asked)
        assert [(match.key, match.kinds) for match in answer.matches] == [("3", {"email", "phone"}), ("4", {"phone"})]
        assert answer.matches[0].places == places and [place for place, _ in answer.failures] == away


def test_nothing_shows_who_was_looked_for(people: Bench) -> None:
    """Neither a repr nor what the server shows of its statements."""
    asked: list[Identifier] = [
        parse_identifier("email", "anna@example.org"),
        parse_identifier("phone", "+491712345678"),
    ]
    with connect(people.pair.primary, read_only=True, see_all_rows=True, application="looks") as connection:
        found = find_persons(connection, people.system, asked, "operational")
        query = sql.SQL("SELECT query FROM pg_stat_activity WHERE application_name = 'looks'")
        (statement,) = people.admin.execute(query).fetchone() or ("",)
    shown = f"{found!r} {asked!r} {statement}".lower()
    assert "people" in statement and not any(text in shown for text in ("anna", "1712345678", "2345678"))
    assert not backends_of(people, "looks")
