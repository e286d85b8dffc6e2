"""What the coverage document says of a column, by example."""

from __future__ import annotations

import pytest

from warehouse.catalog.coverage import fate, render_coverage
from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import Catalog

CLUB = """
system: club
title: Club | of <some>
description: A club.
owner: board
laws: [gdpr]
history_starts: 2026-01-01
person: {table: members, key: id, identifiers: {email: email}}
defaults: {retention: lifetime, key: [id]}
tables:
  members:
    description: One row per member.
    subjects: [id]
    erasure: delete
    columns:
      id: {type: bigint, personal: person_id}
      email: {type: text, personal: email}
      photo: {type: text, personal: photo, bucket: faces}
  letters:
    description: Letters | of two.
    subjects: [writer, reader]
    erasure: redact
    columns:
      id: {type: bigint}
      writer: {type: bigint, personal: person_id}
      reader: {type: bigint, personal: person_id}
      body: {type: text, personal: free_text, whose: writer}
      witness: {type: text, personal: name, whose: others}
      scan: {type: text, personal: photo, bucket: "{place}", whose: reader}
      place: {type: text}
  fees:
    description: Fees.
    subjects: [member, letter -> letters]
    erasure: {action: pseudonymise, basis: "Tax law"}
    columns:
      id: {type: bigint}
      member: {type: bigint, personal: person_id}
      letter: {type: bigint}
      account: {type: text, personal: bank_account, whose: member}
  rooms:
    description: Rooms.
    erasure: no_person
    columns: {id: {type: bigint}}
  staff:
    description: Employees.
    erasure: {action: exempt, reason: "Under contract"}
    columns: {id: {type: bigint}, name: {type: text, personal: name}}
"""
SYSTEM = parse_system(CLUB, "club.yaml")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("members.email", "goes with the row"),
        ("members.photo", "goes with the row, and the file in `faces` goes with all its versions"),
        ("letters.id", "stays: it tells of no person"),
        ("letters.writer", "is emptied when `writer` is the one who is erased"),
        ("letters.body", "is emptied when `writer` is the one who is erased"),
        ("letters.witness", "stays: it is of somebody else"),
        ("letters.scan", "is emptied, and the file in the bucket that the row names goes with all its versions when"
         " `reader` is the one who is erased"),
        ("fees.member", "becomes a random pseudonym when `member` is the one who is erased"),
        ("fees.account", "is emptied when `member` is the one who is erased"),
        ("fees.letter", "stays: it tells of no person"),
        ("rooms.id", "stays"),
        ("staff.name", "stays"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_column(column: str, said: str) -> None:
    table, _, name = column.partition(".")
    assert fate(SYSTEM, SYSTEM.tables[table], name) == said


def test_what_survives_is_listed_with_its_grounds() -> None:
    text = render_coverage(Catalog(systems={"club": SYSTEM}))
    assert "| [club.fees](#clubfees) | `pseudonymise` | Tax law | none |" in text
    assert "| [club.staff](#clubstaff) | `exempt` | Under contract | `name` |" in text
    assert "| [club.letters](#clubletters) | `redact` | others have a part in the row | `witness` |" in text
    assert "Systems: 1, tables: 5, columns: 17;" in text
    assert "Club \\| of &lt;some>" in text and "Letters \\| of two." in text
