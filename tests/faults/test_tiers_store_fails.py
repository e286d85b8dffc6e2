"""A store that fails, is slow, refuses, or keeps an answer to itself: it is said, and every row stays accounted for."""

from __future__ import annotations

import dataclasses
import itertools
import resource
import tempfile
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ingesting import Bench
from s3_proxy import Fault, Proxy
from tiering import NO_HOT, ONLY_JANUARY, Row, everywhere, move, moved, proven, tier

from warehouse.errors import AccessDenied, DrivetrainError, LakeUnavailable
from warehouse.lake import export
from warehouse.lake.store import Store

pytestmark = pytest.mark.slow

COMMIT = r"_delta_log/\d+\.json$"
#: What a client is expected to get over by itself.
PASSED = {
    "every second PUT answers 500": Fault("answer", every=2, status=500, code="InternalError"),
    "every second PUT answers 503": Fault("answer", every=2),
    "every third request answers 503": Fault("answer", method=".*", every=3),
    "the first connection of a file breaks in its middle": Fault("reset", path=r"\.parquet$", times=1),
    "the answer to the first file is lost": Fault("lose", path=r"\.parquet$", times=1),
    "every PUT takes three seconds": Fault("slow", seconds=3),
}
#: What is said of others.
SAID = {
    "every PUT answers 503": (Fault("answer"), LakeUnavailable, "SlowDown"),
    "every connection breaks": (Fault("reset"), LakeUnavailable, "cannot be reached"),
    "every connection of a commit breaks": (Fault("reset", path=COMMIT), LakeUnavailable, "reset by peer"),
    "a file is not taken for want of room": (
        Fault("answer", path=r"\.parquet$", status=507, code="InsufficientStorage"),
        LakeUnavailable, "InsufficientStorage",
    ),
    "a commit takes longer than the client waits": (
        Fault("slow", path=COMMIT, seconds=33, times=1), LakeUnavailable, "timed out",
    ),
    "the bucket is gone": (
        Fault("answer", method=".*", status=404, code="NoSuchBucket"), LakeUnavailable, "nor is its bucket",
    ),
    "the bucket refuses to be written to": (
        Fault("answer", status=403, code="AccessDenied"), AccessDenied, "access is denied",
    ),
    "the key is unknown": (
        Fault("answer", method=".*", status=403, code="InvalidAccessKeyId"), AccessDenied, "are not accepted",
    ),
}  # fmt: skip


@pytest.fixture
def cooling(facts: Bench) -> Bench:
    """January is due in the lake."""
    tier(facts, NO_HOT)
    facts.ingest("facts")
    return facts


def failure(bench: Bench, lake: Store) -> DrivetrainError | None:
    """Of a run."""
    return next((done.failure for done in move(bench, lake, ONLY_JANUARY) if done.failure), None)


def completed(bench: Bench, lake: Store, due: Counter[Row]) -> None:
    """Every row is where it was; the next run does what is left, and it is proven."""
    assert everywhere(bench, lake) == due
    assert [finding for finding in proven(bench, lake) if finding[0] != "unfinished"] == []
    moved(bench, lake, ONLY_JANUARY)
    assert everywhere(bench, lake) == due
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts WHERE at < '2024-02-01+00'") == [(0,)]
    assert proven(bench, lake) == []


@pytest.mark.parametrize("what", PASSED)
def test_what_a_client_gets_over(what: str, cooling: Bench, troubled: Store, between: Proxy) -> None:
    due = everywhere(cooling, troubled)
    between.let(PASSED[what])
    assert failure(cooling, troubled) is None
    assert between.seen > 0
    between.let()
    completed(cooling, troubled, due)


@pytest.mark.parametrize("what", SAID)
def test_what_is_said(what: str, cooling: Bench, troubled: Store, between: Proxy) -> None:
    fault, kind, said = SAID[what]
    due = everywhere(cooling, troubled)
    between.let(fault)
    error = failure(cooling, troubled)
    assert between.seen > 0
    assert isinstance(error, kind)
    assert said in error.message
    assert "\x1b" not in str(error) and troubled.options["AWS_SECRET_ACCESS_KEY"] not in str(error)
    between.let()
    completed(cooling, troubled, due)


@pytest.mark.parametrize("log", ["00.json", "01.json"])
def test_the_answer_to_a_commit_is_lost(log: str, cooling: Bench, troubled: Store, between: Proxy) -> None:
    """It was made: the next run finds it by its export's id, and does not make it again."""
    due = everywhere(cooling, troubled)
    between.let(Fault("lose", path=f"_delta_log/0*{log}$"))
    assert isinstance(failure(cooling, troubled), LakeUnavailable)
    assert between.seen == 1
    between.let()
    completed(cooling, troubled, due)
    logs = [each.path for each in troubled.under(cooling.name, "facts").list("_delta_log")]
    assert len([path for path in logs if path.endswith(".json")]) == 2


def test_credentials_that_expire_in_the_middle(cooling: Bench, troubled: Store, between: Proxy) -> None:
    """Before each request of a run in turn; it ends, and the next one has good ones."""
    due = everywhere(cooling, troubled)
    for after in itertools.count():
        between.let(Fault("answer", method=".*", status=403, code="ExpiredToken", after=after))
        error = failure(cooling, troubled)
        if error is None and not between.seen:
            break
        if error is not None:
            assert isinstance(error, AccessDenied), error
            assert "credentials have expired" in error.message or "Have the credentials expired?" in error.hint
        between.let()
        assert everywhere(cooling, troubled) == due
        assert [finding for finding in proven(cooling, troubled) if finding[0] != "unfinished"] == []
    assert after > 10
    between.let()
    completed(cooling, troubled, due)


def test_credentials_that_expire_while_it_is_proven(cooling: Bench, troubled: Store, between: Proxy) -> None:
    moved(cooling, troubled, ONLY_JANUARY)
    for after in (0, 2, 5):
        between.let(Fault("answer", method=".*", status=403, code="ExpiredToken", after=after))
        with pytest.raises(AccessDenied, match="expired"):
            proven(cooling, troubled)
    between.let()
    assert proven(cooling, troubled) == []


def test_a_bucket_that_was_never_made(cooling: Bench, troubled: Store) -> None:
    due = everywhere(cooling, troubled)
    missing = dataclasses.replace(troubled, url="s3://never-made/tier")
    with pytest.raises(LakeUnavailable, match="nor is its bucket"):
        raise failure(cooling, missing) or AssertionError
    completed(cooling, troubled, due)


@contextmanager
def room(largest: int) -> Generator[None]:
    """No file of this process grows beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("largest", [0, 200, 1000, 1400, 1600, 2000])
def test_a_disk_that_is_full(largest: int, cooling: Bench, tmp_path: Path) -> None:
    """Somewhere between the first byte of a Parquet file and the last of Delta's log."""
    lake = Store(tmp_path.as_uri())
    due = everywhere(cooling, lake)
    with room(largest):
        error = failure(cooling, lake)
    assert error is None or isinstance(error, LakeUnavailable)
    assert largest > 1000 or "File too large" in str(error)
    completed(cooling, lake, due)


def test_a_temporary_folder_that_is_full(cooling: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Store(tmp_path.as_uri())
    due = everywhere(cooling, lake)
    with monkeypatch.context() as patch:
        patch.setattr(export, "GROUP_BYTES", 1)
        with room(100):
            error = failure(cooling, lake)
    assert isinstance(error, LakeUnavailable)
    assert tempfile.gettempdir() in error.message and "File too large" in error.message
    completed(cooling, lake, due)


def test_a_temporary_folder_that_is_not_there(cooling: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Store(tmp_path.as_uri())
    due = everywhere(cooling, lake)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        error = failure(cooling, lake)
    assert isinstance(error, LakeUnavailable)
    assert str(tmp_path / "gone") in error.message
    completed(cooling, lake, due)
