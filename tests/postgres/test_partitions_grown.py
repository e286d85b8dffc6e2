"""Hashes that grow on real servers: which splits, in which order, and what stands against them."""

from __future__ import annotations

from typing import Any

import pytest
from partitioned import Place, make_ledger

from warehouse.catalog.partition import HashPartition
from warehouse.errors import DrivetrainError
from warehouse.partitions.apply import Patience
from warehouse.partitions.facts import PartitionedTable
from warehouse.partitions.reading import read_partitioned
from warehouse.partitions.reshape import growth
from warehouse.partitions.split import split
from warehouse.partitions.splitting import Splitting
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import connect

QUICK = Patience(lock_timeout=100, attempts=50, pause=0.01)


@pytest.fixture
def place(place: Place) -> Place:
    make_ledger(place, 4000)
    return place


def content(place: Place) -> list[tuple[Any, ...]]:
    return place.rows("SELECT count(*), count(DISTINCT id), sum(amount), sum(hashtext(ledger::text)) FROM ledger")


def run(place: Place, splitting: Splitting) -> None:
    with connect(place.dsn, see_all_rows=True) as connection:
        split(connection, splitting, QUICK)


def whole_table(place: Place, table: str) -> PartitionedTable:
    with connect(place.dsn, see_all_rows=True) as connection:
        return read_partitioned(connection, [("public", table)])["public", table]


GROWING = HashPartition(hash="rider", modulus=2, name="{table}_p{remainder}", grow_to=32)
HASHED = Target("app", "ledger", "source", GROWING)


@pytest.mark.parametrize("goals", [(4, 8, 16), (32,)])
def test_a_hash_grows_to_any_multiple(place: Place, goals: tuple[int, ...]) -> None:
    before = content(place)
    for goal in goals:
        for due in growth(HASHED, whole_table(place, "ledger"), goal):
            run(place, due)
        facts = whole_table(place, "ledger")
        assert sorted(part.slot for part in facts.parts if part.slot) == [(goal, each) for each in range(goal)]
        assert growth(HASHED, facts, goal) == []
    assert content(place) == before
    assert place.leftovers() == []


def test_a_growth_that_was_interrupted_between_two_remainders_goes_on(place: Place) -> None:
    run(place, growth(HASHED, whole_table(place, "ledger"), 4)[0])
    assert [due.partition for due in growth(HASHED, whole_table(place, "ledger"), 4)] == ["ledger_p1"]


@pytest.mark.parametrize(
    ("goal", "said"), [(3, "does not divide into 3 parts"), (64, "to 32 at most, and 64"), (5, "does not divide")]
)
def test_a_growth_that_cannot_be_is_refused(place: Place, goal: int, said: str) -> None:
    with pytest.raises(DrivetrainError, match=said):
        growth(HASHED, whole_table(place, "ledger"), goal)


def test_what_a_foreign_key_references_cannot_be_split(place: Place) -> None:
    place("CREATE TABLE notes (id bigint, rider int, FOREIGN KEY (id, rider) REFERENCES ledger)")
    with pytest.raises(DrivetrainError, match=r"foreign key notes_id_rider_fkey of public\.notes"):
        growth(HASHED, whole_table(place, "ledger"), 4)
