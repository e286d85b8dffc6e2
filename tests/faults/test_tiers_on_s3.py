"""The whole walk, hot to cold, on a real S3 server: proven, queried, and what Delta's own reader sees."""

from __future__ import annotations

from collections import Counter

import pytest
from deltalake import DeltaTable
from faulty import asked, bucket_of, s3_client
from ingesting import Bench
from tiering import AT, LATER, TIERS, everywhere, moved, plan, proven, source_rows, tier

pytestmark = pytest.mark.slow


def test_a_month_walks_from_hot_to_cold(facts: Bench, real_s3: dict[str, str]) -> None:
    lake = bucket_of(real_s3)
    tier(facts, TIERS)
    facts.ingest("facts")
    before = source_rows(facts)
    assert moved(facts, lake, AT) == [("leave", "2024-01"), ("drop", "2024-01")]
    assert asked(facts, lake, "SELECT count(*), count(DISTINCT id) FROM facts") == [(360, 360)]
    moved(facts, lake, LATER)
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert source_rows(facts) == Counter()
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    assert asked(facts, lake, "SELECT count(*), count(DISTINCT id) FROM facts") == [(360, 360)]
    assert asked(facts, lake, "SELECT v FROM facts WHERE at >= '2024-02-01' AND id = 130") == [("v130",)]
    whole = DeltaTable(lake.under(facts.name, "facts").url, storage_options=dict(lake.options))
    assert whole.to_pyarrow_table().num_rows == 360
    assert plan(facts, lake, LATER) == []


def test_rows_that_come_late_bring_their_month_back_and_take_it_along(facts: Bench, real_s3: dict[str, str]) -> None:
    lake = bucket_of(real_s3)
    tier(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    before = everywhere(facts, lake)
    facts.source("INSERT INTO facts VALUES (9001, '2024-01-05 10:00+00', 'late')")
    assert [kind for kind, _ in moved(facts, lake, LATER)] == ["join", "drop", "cool", "drop"]
    assert everywhere(facts, lake) == before + Counter([("9001", "2024-01-05 10:00:00.000000", "late")])
    assert proven(facts, lake) == []


def test_an_object_that_is_changed_or_gone_is_named(facts: Bench, real_s3: dict[str, str]) -> None:
    lake = bucket_of(real_s3)
    tier(facts, {"warm": "3 months", "cold": {"buckets": 2}})
    facts.ingest("facts")
    moved(facts, lake, LATER)
    root = lake.under(facts.name, "facts")
    first, second = (next(each for each in root.list(f"month={month}")).path for month in ("2024-01", "2024-02"))
    content = bytearray(root.get(first))
    content[20] ^= 1
    root.put(first, bytes(content))
    root.remove(second)
    assert proven(facts, lake, deep=False) == [("lost", "2024-02")]
    assert sorted(proven(facts, lake)) == [("altered", "2024-01"), ("lost", "2024-02")]


def test_the_server_is_the_real_one(real_s3: dict[str, str]) -> None:
    """It keeps what an object must not be twice: a commit of Delta stands on that."""
    lake = bucket_of(real_s3)
    client = s3_client(real_s3)
    name = lake.root.partition("/")[0]
    client.put_object(Bucket=name, Key="x", Body=b"1", IfNoneMatch="*")
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=name, Key="x", Body=b"2", IfNoneMatch="*")
    assert client.get_object(Bucket=name, Key="x")["Body"].read() == b"1"
