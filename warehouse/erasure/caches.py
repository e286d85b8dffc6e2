"""A person's keys in a system's cache: found by the patterns that the catalog declares, and unlinked, until a new
search finds none.

What does not belong here: which cache there is, and what an application keeps in it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from warehouse.catalog.model import System
from warehouse.erasure.scope import Scope
from warehouse.errors import AccessDenied, ConfigurationError, ServerUnavailable

#: Keys that are looked at, and unlinked, at once.
_BATCH = 1_000
_ATTEMPTS, _PAUSE = 10, 0.5
_SPECIAL = re.compile(r"([*?\[\]\\^])")


@dataclass(frozen=True)
class Cache:
    """A Redis server, or one that speaks as it does.

    Attributes:
        url: ``redis://user:password@host:port/database``, or ``rediss://``; secret, in no repr.
        label: what the reader knows it by, e.g. ``DRIVETRAIN_LOGISTICS_REDIS_URL``.
    """

    url: str = field(repr=False)
    label: str

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("redis", "rediss", "unix"):
            raise ConfigurationError(
                f"{self.label} is no address of a Redis server", hint="Write redis://user:password@host:port/0"
            )


@dataclass(frozen=True)
class ErasedKeys:
    """Of one system's cache: keys that were there, that were removed in this run, and that are still there."""

    system: str
    expected: int
    removed: int
    residual: int


def count_keys(cache: Cache, system: System, scope: Scope) -> int:
    """Keys of the persons that are there now.

    Raises:
        ServerUnavailable, AccessDenied: the cache does not answer, or refuses.
    """
    with _opened(cache) as client:
        return sum(len(keys) for keys in _found(client, system, scope))


def remove_keys(
    cache: Cache,
    system: System,
    scope: Scope,
    *,
    attempts: int = _ATTEMPTS,
    pause: float = _PAUSE,
    sleep: Callable[[float], None] = time.sleep,
) -> ErasedKeys:
    """Unlink the keys of the persons; again, while the application writes new ones.

    Raises:
        ServerUnavailable, AccessDenied: the cache does not answer, or refuses; what went is gone.
    """
    removed = 0
    with _opened(cache) as client:
        expected = left = sum(len(keys) for keys in _found(client, system, scope))
        for remaining in reversed(range(attempts)):
            if not left:
                break
            for keys in _found(client, system, scope):
                removed += int(client.unlink(*keys))
            left = sum(len(keys) for keys in _found(client, system, scope))
            if left and remaining:
                sleep(pause)
    return ErasedKeys(system.system, expected, removed, left)


def _found(client: Any, system: System, scope: Scope) -> Iterator[set[bytes]]:
    """Keys by batches. A plain key is asked for; patterns of all persons are searched for in one walk over the keys."""
    plain = {
        pattern.replace("{key}", person) for pattern in system.caches for person in scope.persons if "*" not in pattern
    }
    if there := {key.encode() for key in plain if client.exists(key)}:
        yield there
    patterns = [pattern for pattern in system.caches if "*" in pattern]
    if len(patterns) * len(scope.persons) == 1:
        walk = client.scan_iter(match=_glob(patterns[0], next(iter(scope.persons))), count=_BATCH)
        yield from _batches(walk)
    elif patterns:
        wanted = re.compile(
            b"|".join(_expression(pattern, person) for pattern in patterns for person in sorted(scope.persons)),
            re.DOTALL,
        )
        yield from _batches(key for key in client.scan_iter(count=_BATCH) if wanted.fullmatch(key))


def _batches(keys: Iterator[bytes]) -> Iterator[set[bytes]]:
    """A walk may give a key twice."""
    some: set[bytes] = set()
    for key in keys:
        some.add(key)
        if len(some) >= _BATCH:
            yield some
            some = set()
    if some:
        yield some


def _glob(pattern: str, person: str) -> str:
    """As Redis reads it; nothing but * has a meaning, neither in the pattern nor in the person's key."""
    parts = (_SPECIAL.sub(r"\\\1", part) for part in pattern.replace("{key}", "\0").split("*"))
    return "*".join(parts).replace("\0", _SPECIAL.sub(r"\\\1", person))


def _expression(pattern: str, person: str) -> bytes:
    parts = (re.escape(part.encode()) for part in pattern.replace("{key}", "\0").split("*"))
    return b".*".join(parts).replace(re.escape(b"\0"), re.escape(person.encode()))


@contextmanager
def _opened(cache: Cache) -> Generator[Any]:
    """A client; what it raises, as the platform's own error. Its messages may quote a key."""
    import redis  # it takes a while, and few processes need it

    client: Any = redis
    made = client.Redis.from_url(cache.url, socket_timeout=10, socket_connect_timeout=10)
    refusals: tuple[type[Exception], ...] = (client.AuthenticationError, client.exceptions.NoPermissionError)
    others: type[Exception] = client.RedisError
    try:
        yield made
    except refusals as error:
        raise AccessDenied(
            f"{cache.label}: the cache refuses ({type(error).__name__})", hint="The role needs SCAN, EXISTS and UNLINK."
        ) from None
    except others as error:
        raise ServerUnavailable(
            f"{cache.label}: the cache does not answer, or not as it should ({type(error).__name__})",
            hint="Is it up, and the address right? What went is gone; run again.",
        ) from None
    finally:
        made.close()
