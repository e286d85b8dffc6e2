"""What a person is handed: all that is theirs, nothing that is another's, and both files say the same."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.catalog.loader import load_catalog, parse_system
from warehouse.erasure.portability import Row, Sharing, TableRows, write_portable
from warehouse.errors import DrivetrainError

CLUB = parse_system("""
system: club
title: Club
description: A club.
owner: board
history_starts: 2026-01-01
person: {table: members, key: id, identifiers: {email: email}}
defaults: {retention: lifetime, erasure: delete, key: [id]}
tables:
  members:
    description: One row per member.
    subjects: [id]
    columns:
      id: {type: bigint, personal: person_id}
      email: {type: text, personal: email, description: "Where mail goes."}
      hash: {type: text, personal: credential}
      fee: {type: "numeric(8,2)"}
  letters:
    description: Letters of two.
    subjects: [writer, reader]
    erasure: redact
    columns:
      id: {type: bigint}
      writer: {type: bigint, personal: person_id}
      reader: {type: bigint, personal: person_id}
      body: {type: text, personal: free_text, whose: writer}
      witness: {type: text, personal: name, whose: others}
      sent: {type: timestamptz}
  stamps:
    description: Stamps of letters.
    subjects: [letter -> letters]
    columns: {id: {type: bigint}, letter: {type: bigint}, place: {type: text, personal: location}}
""", "club.yaml")  # fmt: skip

FRIENDS = parse_system("""
system: friends
title: Friends
description: Friends.
owner: board
history_starts: 2026-01-01
person: {table: people, key: id, identifiers: {email: email}}
defaults: {retention: lifetime, erasure: delete, key: [id]}
tables:
  people: {description: People., subjects: [id], columns: {id: {type: bigint}, email: {type: text}}}
  ties: {description: Ties., subjects: [a, b], columns: {id: {type: bigint}, a: {type: bigint}, b: {type: bigint}}}
""", "friends.yaml")  # fmt: skip

LETTERS: list[Row] = [
    ("10", "1", "2", "my words", "Wanda", "2026-01-01 00:00:00+00"),
    ("11", "2", "1", "her words", "Wanda", "2026-01-02 00:00:00+00"),
    ("12", "1", "1", "a note to myself", None, "2026-01-03 00:00:00+00"),
    ("13", "3", "1", "his words", None, None),
    ("14", "2", "1", None, None, None),
    ("15", "1", None, "to nobody", None, None),
]
ABOUT = {"writer": {"1"}, "reader": {"1"}}


def export(*tables: TableRows) -> zipfile.ZipFile:
    content = io.BytesIO()
    write_portable(content, tables, "2026-11-22 12:00 UTC")
    return zipfile.ZipFile(content)


def lines(archive: zipfile.ZipFile, name: str) -> list[dict[str, str | None]]:
    return [json.loads(line) for line in archive.read(f"data/club/{name}.jsonl").decode().splitlines()]


def test_of_a_shared_row_a_person_has_their_own_part_and_the_shared_facts() -> None:
    archive = export(TableRows(CLUB, "letters", ABOUT, LETTERS))
    first, second, third, fourth, fifth, sixth = lines(archive, "letters")
    other = first["reader"]
    assert other is not None and other.startswith("person-")
    assert first == {"id": "10", "writer": "1", "reader": other, "body": "my words", "sent": "2026-01-01 00:00:00+00"}
    assert second == {"id": "11", "writer": other, "reader": "1", "sent": "2026-01-02 00:00:00+00"}
    assert third["writer"] == third["reader"] == "1" and third["body"] == "a note to myself"
    assert fourth["writer"] not in (other, "3") and "body" not in fourth
    assert fifth["writer"] == other and sixth["reader"] is None
    every = b"".join(archive.read(name) for name in archive.namelist())
    assert not any(text in every for text in (b"her words", b"his words", b"Wanda"))


def test_a_key_is_another_persons_even_if_nobody_called_it_personal() -> None:
    content = io.BytesIO()
    rows: list[Row] = [("5", "1", "2"), ("6", "2", "1"), ("7", "1", "1")]
    write_portable(content, [TableRows(FRIENDS, "ties", {"a": {"1"}, "b": {"1"}}, rows)], "now")
    text = zipfile.ZipFile(content).read("data/friends/ties.jsonl").decode()
    first, second, third = (json.loads(line) for line in text.splitlines())
    assert first["a"] == second["b"] == third["a"] == third["b"] == "1"
    assert first["b"] == second["a"] != "2" and first["b"].startswith("person-")


def test_other_persons_have_other_names_in_every_file() -> None:
    names = {lines(export(TableRows(CLUB, "letters", ABOUT, LETTERS)), "letters")[0]["reader"] for _ in range(3)}
    assert len(names) == 3


def test_credentials_are_left_out_and_all_else_of_ones_own_is_there() -> None:
    archive = export(TableRows(CLUB, "members", {"id": {"1"}}, [("1", "anna@example.org", "$argon2", "12.50")]))
    assert lines(archive, "members") == [{"id": "1", "email": "anna@example.org", "fee": "12.50"}]
    assert b"argon2" not in archive.read("data/club/members.csv")
    assert "left out, a credential: hash" in archive.read("README.txt").decode()


def test_rows_reached_over_another_table() -> None:
    archive = export(TableRows(CLUB, "stamps", {"letter": {"10", "12"}}, [("7", "10", "Rome"), ("8", "12", "Oslo")]))
    assert lines(archive, "stamps") == [
        {"id": "7", "letter": "10", "place": "Rome"},
        {"id": "8", "letter": "12", "place": "Oslo"},
    ]


def test_a_row_that_is_not_about_the_person_is_never_handed_out() -> None:
    for row in (("20", "2", "3", "secret", None, None), ("21", None, None, "secret", None, None)):
        with pytest.raises(DrivetrainError, match="not about the person") as refused:
            export(TableRows(CLUB, "letters", ABOUT, [*LETTERS, row]))
        assert "secret" not in str(refused.value) and "20" not in str(refused.value)


@given(
    st.lists(
        st.tuples(st.integers().map(str), st.none() | st.text(st.characters(exclude_categories=["Cs"]))), max_size=8
    )
)
def test_both_files_say_the_same_whatever_the_values_are(given_rows: list[tuple[str, str | None]]) -> None:
    rows: list[Row] = [("1", email, None, fee) for fee, email in given_rows]
    archive = export(TableRows(CLUB, "members", {"id": {"1"}}, rows))
    found = lines_of(archive)
    assert found == [{"id": "1", "email": email, "fee": fee} for fee, email in given_rows]
    table = list(csv.DictReader(io.StringIO(archive.read("data/club/members.csv").decode(), newline=""), strict=True))
    assert table == [{name: value or "" for name, value in row.items()} for row in found]


def lines_of(archive: zipfile.ZipFile) -> list[dict[str, str | None]]:
    content = archive.read("data/club/members.jsonl").decode()
    return [json.loads(line) for line in content.split("\n") if line]


def test_null_and_empty_are_told_apart_in_csv_too() -> None:
    archive = export(TableRows(CLUB, "members", {"id": {"1"}}, [("1", "", None, None), ("1", None, None, "0")]))
    assert archive.read("data/club/members.csv").decode().split("\r\n") == [
        '"id","email","fee"', '"1","",', '"1",,"0"', "",
    ]  # fmt: skip


def test_every_column_that_is_written_is_described() -> None:
    archive = export(TableRows(CLUB, "letters", ABOUT, LETTERS), TableRows(CLUB, "members", {"id": {"1"}}, []))
    document = json.loads(archive.read("schema.json"))
    assert document["@context"] == "http://www.w3.org/ns/csvw"
    for table in document["tables"]:
        header = next(csv.reader(io.StringIO(archive.read(table["url"]).decode())))
        assert [column["name"] for column in table["tableSchema"]["columns"]] == header
    email = document["tables"][1]["tableSchema"]["columns"][1]
    assert email == {
        "name": "email", "datatype": "string", "dc:format": "PostgreSQL text", "dc:description": "Where mail goes.",
    }  # fmt: skip
    readme = archive.read("README.txt").decode()
    assert "- club.letters: 6\n    left out, somebody else's: witness" in readme and "- club.members: 0" in readme


def test_rows_are_streamed() -> None:
    """Never more than one is held: the second is asked for when the first is written."""
    seen: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(20_000):
            seen.append(number)
            yield "1", "x" * 100, None, "1"
            assert len(seen) == number + 1

    content = io.BytesIO()
    ((written,), _) = write_portable(content, [TableRows(CLUB, "members", {"id": {"1"}}, rows())], "now")
    assert written.rows == len(seen) == 20_000


def test_a_table_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="comes twice"):
        export(TableRows(CLUB, "members", {"id": {"1"}}, []), TableRows(CLUB, "members", {"id": {"1"}}, []))


def test_of_the_five_systems_no_other_persons_column_is_ever_a_persons() -> None:
    """Whatever way leads to the person, a column of somebody else's is in no row, and a credential in none at all."""
    for system in load_catalog().systems.values():
        for name, table in system.tables.items():
            for way in {subject.column for subject in table.subjects}:
                sharing = Sharing(system, name, {way: {"me"}}, b"k" * 32)
                row = [("me" if column == way else f"value of {column}") for column in table.columns]
                shown = sharing.of(row)
                for column, value in shown.items():
                    policy = table.columns[column]
                    assert policy.personal != "credential" and policy.whose != "others"
                    if policy.personal is not None and policy.whose not in (None, way):
                        raise AssertionError(f"{system.system}.{name}.{column} is of {policy.whose}")
                    if policy.personal == "person_id" and column != way and len({s.column for s in table.subjects}) > 1:
                        assert value is not None and value.startswith("person-"), f"{name}.{column}"
