"""Public data files with faults: each is refused whole, by file, line and column."""

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from demo.logistics.real import INDIA, times
from demo.real_files import Field, identifier, integer, moment, number, rows, text
from warehouse.errors import DemoError

FIELDS: dict[str, Field] = {
    "id": text(r"\w+", unique=True),
    "n": integer(0, 100, optional=True),
    "amount": number(0, 1000),
    "day": moment("%d-%m-%Y"),
}


def write(folder: Path, content: str | bytes) -> Path:
    file = folder / "data.csv.gz"
    file.write_bytes(gzip.compress(content.encode() if isinstance(content, str) else content))
    return file


def test_values_are_typed_and_stray_blanks_and_missing_values_understood(tmp_path: Path) -> None:
    file = write(tmp_path, 'day,amount,n,id,more\n30-03-2022, 1.10 ,NaN ,"a ",x\n01-01-2022,5,58.0,b,\n')
    assert list(rows(file, FIELDS)) == [
        ("a", None, Decimal("1.10"), dt.datetime(2022, 3, 30)),
        ("b", 58, Decimal(5), dt.datetime(2022, 1, 1)),
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("id,n,amount\na,1,2\n", "line 1, column day: the header names this column not at all"),
        ("id,id,n,amount,day\n", "line 1, column id: the header names this column twice"),
        ("", "line 1, column id: the header names this column not at all"),
        ("id,n,amount,day\na,1,2,30-03-2022\nb,1,2\n", "line 3, column day: the line has 3 values, the header 4"),
        ("id,n,amount,day\na,1,2,30-03-2022,9\n", "line 2, column day: the line has 5 values, the header 4"),
        ("id,n,amount,day\n,1,2,30-03-2022\n", "line 2, column id: a value is missing"),
        ("id,n,amount,day\na,1,NaN,30-03-2022\n", "line 2, column amount: a value is missing"),
        ("id,n,amount,day\na,x,2,30-03-2022\n", "line 2, column n: 'x' is no integer from 0 to 100"),
        ("id,n,amount,day\na,1.5,2,30-03-2022\n", "line 2, column n: '1.5' is no integer"),
        ("id,n,amount,day\na,101,2,30-03-2022\n", "line 2, column n: '101' is no integer"),
        ("id,n,amount,day\na,1,inf,30-03-2022\n", "line 2, column amount: 'inf' is no number from 0 to 1000"),
        ("id,n,amount,day\na,1,-1,30-03-2022\n", "line 2, column amount: '-1' is no number"),
        ("id,n,amount,day\na,1,1,2022-03-30\n", "line 2, column day: '2022-03-30' is no time written as %d-%m-%Y"),
        ("id,n,amount,day\na,1,1,31-02-2022\n", "line 2, column day: '31-02-2022' is no time"),
        ("id,n,amount,day\na b,1,1,30-03-2022\n", "line 2, column id: 'a b' is no text of the form"),
        ("id,n,amount,day\na,1,1,30-03-2022\na,1,1,30-03-2022\n", "line 3, column id: 'a' occurs twice"),
        ('id,n,amount,day\na,1,1,"30-03-2022\n', "not readable as gzipped CSV"),
        (b"id,n,amount,day\n\xff,1,1,30-03-2022\n", "not readable as gzipped CSV"),
    ],
)
def test_a_fault_is_named_by_line_and_column(tmp_path: Path, content: str | bytes, fault: str) -> None:
    with pytest.raises(DemoError) as caught:
        list(rows(write(tmp_path, content), FIELDS))
    assert fault in caught.value.message
    assert "data.csv.gz" in caught.value.message


def test_a_missing_a_broken_and_a_truncated_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"data\.csv\.gz is missing"):
        list(rows(tmp_path / "data.csv.gz", FIELDS))
    file = write(tmp_path, "id,n,amount,day\n" + "".join(f"a{i},1,2,30-03-2022\n" for i in range(1000)))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DemoError, match="not readable as gzipped CSV"):
        list(rows(file, FIELDS))
    file.write_text("id,n\n")
    with pytest.raises(DemoError, match="not readable as gzipped CSV"):
        list(rows(file, FIELDS))


def test_unknown_references_are_refused(tmp_path: Path) -> None:
    known = next(rows(write(tmp_path, f"id\n{'0' * 31}1\n"), {"id": identifier()}))
    file = write(tmp_path, f"id\n{'0' * 31}1\n{'0' * 31}2\n")
    with pytest.raises(DemoError, match=r"line 3, column id: '0{31}2' is not known"):
        list(rows(file, {"id": identifier(known=frozenset(known))}))


@pytest.mark.parametrize(
    ("ordered", "picked", "expected"),
    [
        ("20:30", "20:35", ("30 20:30", "30 20:35")),
        ("23:55", "00:05", ("30 23:55", "31 00:05")),
        ("00:00", "00:10", ("30 00:00", "30 00:10")),
        (None, "15:05", ("30 14:55", "30 15:05")),
        (None, "00:10", ("30 00:00", "30 00:10")),
        (None, "00:05", ("30 23:55", "31 00:05")),
    ],
)
def test_the_day_is_that_of_the_order_and_the_pick_up_may_pass_midnight(
    ordered: str | None, picked: str, expected: tuple[str, str]
) -> None:
    def clock(text: str) -> dt.datetime:
        return dt.datetime.strptime(text, "%H:%M")

    found = times(dt.datetime(2022, 3, 30), clock(ordered) if ordered else None, clock(picked))
    assert tuple(f"{t:%d %H:%M}" for t in found) == expected
    assert all(t.tzinfo is INDIA for t in found)
