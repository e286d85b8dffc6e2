"""A file of the lake that is damaged, at each state of its move: it is named, and no row is dropped for it."""

from __future__ import annotations

import datetime as dt

import pytest
from ingesting import Bench
from tiering import NO_HOT, ONLY_JANUARY, everywhere, move, moved, places, proven, source_rows, tier

from warehouse.errors import DrivetrainError
from warehouse.lake.store import Store
from warehouse.tiering.cooling import Cooling
from warehouse.tiering.rehydrating import Request, rehydrate_table

pytestmark = pytest.mark.slow

DAMAGES = ["corrupted", "truncated", "deleted"]
#: The step that is cut off, so that the move is in the state before it.
STATES = {"exported": "_verify", "verified": "_flip"}
KEPT = dt.timedelta(days=7)


@pytest.fixture
def cooling(facts: Bench) -> Bench:
    """January is due in the lake."""
    tier(facts, NO_HOT)
    facts.ingest("facts")
    return facts


def damage(bench: Bench, lake: Store, how: str) -> tuple[str, bytes]:
    """Do it to January's file; what it was."""
    root = lake.under(bench.name, "facts")
    (path,) = [each.path for each in root.list("month=2024-01")]
    content = root.get(path)
    root.remove(path)
    if how == "corrupted":
        root.put(path, content[:20] + bytes([content[20] ^ 1]) + content[21:])
    elif how == "truncated":
        root.put(path, content[:-10])
    return path, content


def state(bench: Bench) -> str:
    """Of the move that is not undone."""
    ((found,),) = bench.warehouse(
        f"SELECT state FROM platform.tier_move WHERE system = '{bench.name}' AND state <> 'undone'"
    )
    return str(found)


def cut_off(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("at", STATES)
def test_before_readers_take_it(
    how: str, at: str, cooling: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move is given up, the month is warm as it was, and the next run writes it anew."""
    due = source_rows(cooling)
    with monkeypatch.context() as patch:
        patch.setattr(Cooling, STATES[at], cut_off)
        with pytest.raises(KeyboardInterrupt):
            move(cooling, lake, ONLY_JANUARY)
    assert state(cooling) == at
    damage(cooling, lake, how)
    (done,) = move(cooling, lake, ONLY_JANUARY)
    assert done.failure is not None and "part-" in done.failure.message
    assert everywhere(cooling, lake) == due
    assert proven(cooling, lake) == []
    moved(cooling, lake, ONLY_JANUARY)
    assert everywhere(cooling, lake) == due
    assert proven(cooling, lake) == []


@pytest.mark.parametrize("how", DAMAGES)
def test_while_what_moved_is_kept(how: str, cooling: Bench, lake: Store) -> None:
    """It is not dropped, however often it is tried, and the proof names the file; restored, all goes on."""
    due = source_rows(cooling)
    (done,) = move(cooling, lake, ONLY_JANUARY, KEPT)
    assert done.move is not None and done.move.state == "flipped"
    path, content = damage(cooling, lake, how)
    assert proven(cooling, lake) == [("lost" if how == "deleted" else "altered", "2024-01")] * (
        2 if how == "truncated" else 1
    )
    for _ in range(2):
        (refused,) = move(cooling, lake, ONLY_JANUARY + KEPT)
        assert isinstance(refused.failure, DrivetrainError) and "part-" in refused.failure.message
        assert not refused.failure.transient
        assert cooling.warehouse(f"SELECT count(*) FROM {done.move.relation}") == [(124,)]
    lake.under(cooling.name, "facts").put(path, content)
    moved(cooling, lake, ONLY_JANUARY + KEPT)
    assert everywhere(cooling, lake) == due
    assert proven(cooling, lake) == []


@pytest.mark.parametrize("how", DAMAGES)
def test_while_it_is_kept_the_month_can_be_written_anew(how: str, cooling: Bench, lake: Store) -> None:
    due = source_rows(cooling)
    move(cooling, lake, ONLY_JANUARY, KEPT)
    damage(cooling, lake, how)
    request = Request([dt.date(2024, 1, 1)], ONLY_JANUARY, "a file is damaged", 10**9)
    assert [each.rows for each in rehydrate_table(places(cooling, lake), cooling.system, "facts", request)] == [124]
    assert everywhere(cooling, lake) == due
    moved(cooling, lake, ONLY_JANUARY + KEPT)
    assert everywhere(cooling, lake) == due
    assert cooling.warehouse("SELECT count(*) FROM {raw}.facts WHERE at < '2024-02-01'") == [(0,)]
    assert proven(cooling, lake) == []
