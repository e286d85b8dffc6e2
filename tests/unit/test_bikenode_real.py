"""Reading the file of real rides: what is refused, and with which words."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import pytest

from demo.bikenode.real import TRACKS, read_rides, shift_days
from warehouse.errors import DemoError

HEADER = "X;Y;fid;id;sequence;trajectory_id;tracker;t"
FIRST = "116.391305;39.898573;1;1;1;1;19;2008-12-11 04:42:14+00"
SECOND = "116.391317;39.898617;2;2;2;1;19;2008-12-11 04:42:16+00"


def written(folder: Path, *lines: str) -> Path:
    file = folder / TRACKS
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    return file


def test_points_become_a_ride(tmp_path: Path) -> None:
    (ride,) = read_rides(written(tmp_path, HEADER, FIRST, SECOND))

    assert (ride.id, ride.tracker, len(ride.points)) == (1, 19, 2)
    assert ride.distance_m == pytest.approx(4.9988, abs=1e-3)
    assert ride.moving_s == 2
    assert shift_days([ride], dt.date(2026, 3, 31)) == dt.date(2026, 3, 30) - dt.date(2008, 12, 11)


def test_a_step_slower_than_half_a_metre_per_second_is_rest(tmp_path: Path) -> None:
    (ride,) = read_rides(written(tmp_path, HEADER, FIRST, SECOND.replace("04:42:16", "04:43:14")))

    assert ride.moving_s == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (SECOND.replace("116.391317", "east"), "line 3, column X: 'east' is no number"),
        (SECOND.replace("39.898617", "nan"), "line 3, column Y: nan is not between"),
        (SECOND.replace("39.898617", "139.9"), "line 3, column Y: 139.9 is not between"),
        (SECOND.replace("39.898617", ""), "line 3, column Y: '' is no number"),
        (SECOND.replace("04:42:16+00", "04:42:16"), "line 3, column t: .* lacks its offset"),
        (SECOND.replace("04:42:16+00", "noon"), "line 3, column t: .* is no time"),
        (SECOND.replace("04:42:16", "04:42:13"), "line 3, column t: .* is before"),
        (SECOND.replace(";2;2;2;1;", ";2;2;1;1;"), "line 3, column sequence: 1 follows 1"),
        (SECOND.replace(";19;", ";20;"), "line 3, column tracker: trip 1 belongs to tracker 19"),
        (SECOND + ";1", "line 3: 9 values under 8 columns"),
        ("", "line 3: 0 values under 8 columns"),
    ],
)
def test_a_bad_line_is_refused_by_file_line_and_column(tmp_path: Path, line: str, words: str) -> None:
    file = written(tmp_path, HEADER, FIRST, line, SECOND)

    with pytest.raises(DemoError, match=words) as refused:
        read_rides(file)
    assert str(file) in refused.value.message


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="line 1, column t: the header names it 0 times"):
        read_rides(written(tmp_path, HEADER.removesuffix(";t"), FIRST))


def test_a_file_without_points_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="no point follows the header"):
        read_rides(written(tmp_path, HEADER))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=TRACKS):
        read_rides(tmp_path / TRACKS)


@pytest.mark.parametrize(
    "content",
    [b"", b"X;Y\n1;2\n", gzip.compress(HEADER.encode(), mtime=0)[:-9], gzip.compress(b"\xff\xfe\xff", mtime=0)],
)
def test_what_is_no_compressed_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TRACKS).write_bytes(content)

    with pytest.raises(DemoError, match=TRACKS):
        read_rides(tmp_path / TRACKS)
