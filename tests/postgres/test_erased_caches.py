"""A person's keys go from a real Redis server; those of others stay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import redis

from warehouse.catalog import load_catalog
from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import System
from warehouse.erasure.caches import Cache, count_keys, remove_keys
from warehouse.erasure.scope import Scope
from warehouse.errors import AccessDenied, ConfigurationError, ServerUnavailable

LOGISTICS = load_catalog().systems["logistics"]


def scope(*persons: str, system: System = LOGISTICS) -> Scope:
    return Scope(system.system, frozenset(persons), {})


@pytest.fixture
def client(redis_server: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server) as made:
        made.flushall()
        yield made


def test_keys_of_one_person_go(redis_server: str, client: redis.Redis) -> None:
    for rider in range(30):
        client.set(f"rider:{rider}", "profile")
        client.hset(f"rider:{rider}:state", "on", "1")
        client.rpush(f"rider:{rider}:offers:today", "x")
    for number in range(2500):
        client.set(f"rider:1:offer:{number}", "x")
    cache = Cache(redis_server, "CACHE")
    assert count_keys(cache, LOGISTICS, scope("1")) == 2503
    done = remove_keys(cache, LOGISTICS, scope("1"))
    assert (done.expected, done.removed, done.residual) == (2503, 2503, 0)
    assert client.dbsize() == 29 * 3
    assert remove_keys(cache, LOGISTICS, scope("2", "3")).removed == 6
    assert remove_keys(cache, LOGISTICS, scope("2", "3")).expected == 0


def test_signs_of_patterns_in_a_person_s_key_mean_themselves(redis_server: str, client: redis.Redis) -> None:
    text = (
        'system: s\ntitle: s\ndescription: s\nowner: s\nhistory_starts: 2024-01-01\ncaches: ["p[:{key}:*"]\n'
        "person: {table: p, key: id, identifiers: {id: username}}\ntables:\n  p: {description: p, key: [id],"
        " subjects: [id], retention: lifetime, erasure: delete, columns: {id: {type: text, personal: person_id}}}\n"
    )
    system = parse_system(text, "s.yaml")
    for key in ("p[:a*b:x", "p[:aXb:x", "p[:a?:y", "p[:ab:y", "p:a*b:x"):
        client.set(key, "1")
    cache = Cache(redis_server, "CACHE")
    assert remove_keys(cache, system, scope("a*b", system=system)).removed == 1
    assert remove_keys(cache, system, scope("a?", "none", system=system)).removed == 1
    assert {b"p[:aXb:x", b"p[:ab:y", b"p:a*b:x"} == set(client.keys())


@pytest.mark.parametrize(("writes", "left"), [(1, 0), (3, 1)])
def test_keys_that_the_application_writes_meanwhile(
    redis_server: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, writes: int, left: int
) -> None:
    """They are removed while it writes; when it does not stop, that is said."""
    client.set("rider:1:offer:0", "x")
    numbers = iter(range(1, writes + 1))
    unlink = redis.Redis.unlink

    def unlink_while_it_writes(self: redis.Redis, *names: bytes) -> object:
        gone = unlink(self, *names)
        for number in itertools.islice(numbers, 1):
            client.set(f"rider:1:offer:{number}", "x")
        return gone

    monkeypatch.setattr(redis.Redis, "unlink", unlink_while_it_writes)
    done = remove_keys(Cache(redis_server, "CACHE"), LOGISTICS, scope("1"), attempts=2, pause=0)
    assert (done.removed, done.residual) == (2, left)
    assert client.dbsize() == left


def test_a_cache_that_refuses_or_is_away(redis_server: str) -> None:
    with pytest.raises(AccessDenied, match="CACHE") as refused:
        count_keys(Cache(redis_server.replace(":word@", ":wrong@"), "CACHE"), LOGISTICS, scope("1"))
    assert "wrong" not in str(refused.value)
    with pytest.raises(ServerUnavailable, match="CACHE"):
        count_keys(Cache("redis://127.0.0.1:1/0", "CACHE"), LOGISTICS, scope("1"))
    with pytest.raises(ConfigurationError, match="CACHE"):
        Cache("http://somewhere", "CACHE")
    assert "word" not in repr(Cache(redis_server, "CACHE"))
