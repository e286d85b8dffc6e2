"""Fixtures of faults in the tiers: a lake in a folder, one on a real S3 server, and a proxy that lets things go wrong.

What does not belong here: which fault, and what it must not do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from faulty import bucket_of
from ingesting import PARTITIONED, Bench
from s3_proxy import Proxy, proxy
from swift_server import swift

from warehouse.lake.store import Store


@pytest.fixture(scope="session")
def real_s3() -> Iterator[Mapping[str, str]]:
    """A real S3 server, and how to reach it."""
    with swift() as options:
        yield options


@pytest.fixture(params=["file", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A folder, and a bucket of the real server."""
    return Store(tmp_path.as_uri()) if request.param == "file" else bucket_of(request.getfixturevalue("real_s3"))


@pytest.fixture(scope="session")
def between(real_s3: Mapping[str, str]) -> Iterator[Proxy]:
    """A proxy before the real server."""
    with proxy(real_s3) as running:
        yield running


@pytest.fixture
def troubled(between: Proxy) -> Iterator[Store]:
    """A bucket that is reached through the proxy."""
    between.let()
    yield bucket_of(between.options)
    between.let()


@pytest.fixture
def facts(bench: Bench) -> Bench:
    """A table of three months."""
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    return bench
