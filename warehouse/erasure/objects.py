"""A person's files in buckets: those that rows name, and all below the person's own prefixes, with every version.

They are found and sealed first, and removed before the rows that name them. Keys of objects are personal: no record,
message or repr has one, only a keyed digest.

What does not belong here: the rows (``operational``), and the cold tier's files.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from warehouse.catalog.model import System, Table
from warehouse.erasure.replacing import replacement_of
from warehouse.erasure.scope import Scope
from warehouse.errors import DrivetrainError, ErasureRefused
from warehouse.lake.store import Store, Version
from warehouse.postgres.persons import PersonReader

_ATTEMPTS, _PAUSE = 5, 1.0


@dataclass(frozen=True)
class FoundObject:
    """One object: in which bucket, its key, and the versions that are there, delete markers included."""

    bucket: str
    path: str = field(repr=False)
    versions: tuple[str, ...]


@dataclass(frozen=True)
class SealedObject:
    """What a plan records of an object: nothing that tells of the person without the key that it was made with."""

    bucket: str
    digest: str
    versions: int


@dataclass(frozen=True)
class ErasedObjects:
    """Of one bucket: objects, and versions of them, that were removed in this run; versions that are still there; and
    removals that failed.
    """

    bucket: str
    objects: int
    removed: int
    residual: int
    failed: int


def find_objects(objects: Store, system: System, scope: Scope, readers: Sequence[PersonReader]) -> list[FoundObject]:
    """Look for the files of some persons.

    Args:
        objects: root of the buckets; ``s3://`` alone, where they are buckets of S3 and no folders.
        system: the catalog's.
        scope: whose.
        readers: every database that may have rows that name files.

    Raises:
        ErasureRefused: rows of others name the same files, or a row names a file outside of its bucket.
        LakeUnavailable, AccessDenied: a bucket cannot be listed.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for bucket, paths in _named(system, scope, readers).items():
        with quietly(bucket):
            for path in sorted(paths):
                for version in _versions(objects, bucket, path):
                    if version.path == path:
                        found.setdefault((bucket, path), []).append(version.id)
    for bucket, prefix in _prefixes(system, scope):
        with quietly(bucket):
            for version in _versions(objects, bucket, prefix):
                versions = found.setdefault((bucket, version.path), [])
                if version.id not in versions:
                    versions.append(version.id)
    return [FoundObject(bucket, path, tuple(ids)) for (bucket, path), ids in sorted(found.items())]


def seal(found: Sequence[FoundObject], secret: bytes) -> list[SealedObject]:
    """Digests of what was found, in an order that tells nothing.

    Args:
        found: the objects.
        secret: key of the digests, of the platform's own.
    """
    sealed = [
        SealedObject(
            each.bucket,
            hmac.new(secret, f"{each.bucket}\0{each.path}".encode(), hashlib.sha256).hexdigest(),
            len(each.versions),
        )
        for each in found
    ]
    return sorted(sealed, key=lambda each: (each.bucket, each.digest))


def remove_objects(
    objects: Store,
    system: System,
    scope: Scope,
    readers: Sequence[PersonReader],
    *,
    attempts: int = _ATTEMPTS,
    pause: float = _PAUSE,
    sleep: Callable[[float], None] = time.sleep,
) -> list[ErasedObjects]:
    """Remove the files, and look again until there are none or the attempts are used up.

    One that cannot be removed hinders no other. It is done only where nothing is ``residual``.

    Raises:
        ErasureRefused: as ``find_objects``.
        LakeUnavailable, AccessDenied: a bucket cannot be listed, so nobody can say what is left.
    """
    removed: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    buckets = {bucket for bucket, _ in _prefixes(system, scope)} | set(_named(system, scope, readers))
    for bucket, prefix in _prefixes(system, scope):
        with quietly(bucket):
            bucket_of(objects, bucket).abort_uploads(prefix)
    found = find_objects(objects, system, scope, readers)
    for remaining in reversed(range(attempts)):
        for each in found:
            try:
                store = bucket_of(objects, each.bucket)
                store.remove(each.path)
                _forget_folders(store, each.path)
                removed[each.bucket] += len(each.versions)
                gone[each.bucket] += 1
            except DrivetrainError:  # its message names the file
                failed[each.bucket] += 1
        found = find_objects(objects, system, scope, readers)
        if not found or not remaining:
            break
        sleep(pause)
    left = Counter({bucket: sum(len(e.versions) for e in found if e.bucket == bucket) for bucket in buckets})
    return [
        ErasedObjects(bucket, gone[bucket], removed[bucket], left[bucket], failed[bucket]) for bucket in sorted(buckets)
    ]


def bucket_of(objects: Store, bucket: str) -> Store:
    """One bucket below the root of all."""
    return Store(f"s3://{bucket}", objects.options) if objects.url == "s3://" else objects.under(bucket)


def _forget_folders(store: Store, path: str) -> None:
    """A folder that is empty now may be named after the person."""
    if store.local:
        with suppress(OSError):  # it is not empty
            for folder in PurePosixPath(path).parents[:-1]:
                Path(store.root, folder).rmdir()


def _versions(objects: Store, bucket: str, prefix: str) -> list[Version]:
    """Of every object whose key begins so; a folder is listed from the nearest one that is there whole."""
    store = bucket_of(objects, bucket)
    if not store.local:
        return store.versions(prefix)
    return [each for each in store.versions(prefix.rpartition("/")[0]) if each.path.startswith(prefix)]


def _prefixes(system: System, scope: Scope) -> list[tuple[str, str]]:
    """Bucket and beginning of keys of everything that is the persons' own."""
    written = [pattern.replace("{key}", person) for pattern in system.objects for person in sorted(scope.persons)]
    return [(bucket, prefix) for bucket, _, prefix in (each.partition("/") for each in written)]


def _named(system: System, scope: Scope, readers: Sequence[PersonReader]) -> dict[str, set[str]]:
    """Keys by bucket, of rows that go or whose column is emptied."""
    found: dict[str, set[str]] = {}
    for name, table in system.tables.items():
        for column, declared in table.columns.items():
            about = _about(table, column, scope.about(name))
            if declared.bucket is None or not about:
                continue
            others = [each for each in table.columns if f"{{{each}}}" in declared.bucket]
            wanted = dict.fromkeys([column, *others, *about])
            rows = {row for reader in readers for row in reader.rows(name, tuple(wanted), about)}
            keys = {row[0] for row in rows if row[0]}
            if not keys:
                continue
            shared = _shared(name, column, list(wanted), keys, about, readers)
            if shared:
                raise ErasureRefused(
                    [f"{system.system}.{name}.{column}: {shared:,} rows of others name the same files; give them"
                     " files of their own, or erase those persons too"]
                )  # fmt: skip
            for row in rows:
                values = dict(zip(wanted, row, strict=True))
                if (key := values[column]) is not None and key:
                    if key.startswith("/") or ".." in PurePosixPath(key).parts:
                        raise ErasureRefused(
                            [f"{system.system}.{name}.{column}: a row names a file outside of its bucket; mend the row"]
                        )
                    bucket = declared.bucket.format_map({each: values[each] or "" for each in others})
                    found.setdefault(bucket, set()).add(key)
    return found


def _about(table: Table, column: str, about: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The subject columns by which a file goes."""
    if table.erasure.action == "delete":
        return dict(about)
    if table.erasure.action not in ("redact", "pseudonymise"):
        return {}
    own = replacement_of(table, {}).own
    return {subject: values for subject, values in about.items() if column in own[subject]}


def _shared(
    table: str, column: str, wanted: list[str], keys: set[str], about: Mapping[str, Set[str]],
    readers: Sequence[PersonReader],
) -> int:  # fmt: skip
    """Rows that name one of the files, and are about others."""
    places = {subject: wanted.index(subject) for subject in about}
    return sum(
        not any(row[place] in about[subject] for subject, place in places.items())
        for reader in readers
        for row in reader.rows(table, tuple(wanted), {column: keys})
    )


@contextmanager
def quietly(bucket: str) -> Generator[None]:
    """Errors of a store name files, which are personal: here they name the bucket."""
    try:
        yield
    except DrivetrainError as error:
        raise type(error)(f"bucket {bucket}: its objects cannot be listed or read", hint=error.hint) from None
