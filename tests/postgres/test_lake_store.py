"""Objects on a file system and in S3 alike: whole or not at all, and every refusal told."""

from __future__ import annotations

import dataclasses
import gc
import io
from pathlib import Path

import pytest

from warehouse.errors import ConfigurationError, LakeUnavailable
from warehouse.lake.columns import LakeColumn, lake_columns
from warehouse.lake.delta import LakeTable
from warehouse.lake.store import Store, Stored
from warehouse.postgres.carriage import Carriage

COLUMNS: tuple[LakeColumn, ...] = lake_columns(Carriage(()))


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store((tmp_path / "a b").as_uri()) if request.param == "file" else request.getfixturevalue("bucket")


def test_what_is_put_is_listed_read_and_removed(store: Store) -> None:
    below = store.under("system", "table")
    assert below.list() == []
    below.put("month=2024-01/bucket=0/x.parquet", b"12345")
    below.put("month=2024-02/bucket=0/y.parquet", b"")
    assert below.get("month=2024-01/bucket=0/x.parquet") == b"12345"
    assert below.list() == [
        Stored("month=2024-01/bucket=0/x.parquet", 5), Stored("month=2024-02/bucket=0/y.parquet", 0),
    ]  # fmt: skip
    assert below.list("month=2024-02") == [Stored("month=2024-02/bucket=0/y.parquet", 0)]
    assert store.list() == [dataclasses.replace(each, path=f"system/table/{each.path}") for each in below.list()]
    below.put("month=2024-01/bucket=0/x.parquet", b"new")
    assert below.get("month=2024-01/bucket=0/x.parquet") == b"new"
    below.remove("month=2024-01/bucket=0/x.parquet")
    below.remove("month=2024-01/bucket=0/x.parquet")
    with pytest.raises(LakeUnavailable, match=r"x\.parquet is not there"):
        below.get("month=2024-01/bucket=0/x.parquet")


def test_a_bucket_that_is_not_there_is_told(bucket: Store) -> None:
    missing = dataclasses.replace(bucket, url="s3://missing/lake")
    with pytest.raises(LakeUnavailable, match="s3://missing/lake/x is not there"):
        missing.put("x", b"1")
    with pytest.raises(LakeUnavailable, match="s3://missing/lake"):
        LakeTable(missing, COLUMNS, None).commit("x", [])


def test_a_server_that_does_not_answer_is_told_without_its_secrets(bucket: Store) -> None:
    away = dataclasses.replace(bucket, options={**bucket.options, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    with pytest.raises(LakeUnavailable, match="cannot be reached") as raised:
        away.put("x", b"1")
    assert raised.value.transient
    assert bucket.options["AWS_SECRET_ACCESS_KEY"] not in f"{raised.value} {away!r}"
    with pytest.raises(LakeUnavailable):
        LakeTable(away, COLUMNS, None).open()


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no place for the lake"):
        Store("ftp://somewhere")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LakeUnavailable, match="No space left on device"):
        Store(tmp_path.as_uri()).put("a/b", b"1")
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


class _Broken(io.BytesIO):
    """A file that cannot be read to its end."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 10 << 20:
            raise KeyboardInterrupt
        return super().read(size)


def test_what_is_put_from_a_file_is_there_whole_or_not_at_all(store: Store) -> None:
    content = b"0123456789abcdef" * (1 << 20)  # 16 MB: an upload in parts
    store.put_private("a/b/copy.zip", io.BytesIO(content))
    assert store.get("a/b/copy.zip") == content
    with pytest.raises(KeyboardInterrupt):
        store.put_private("a/c/copy.zip", _Broken(content))
    gc.collect()
    assert [each.path for each in store.list()] == ["a/b/copy.zip"]
    assert store.abort_uploads() == 0
