"""A person's files go from their buckets, with every version; those of others stay."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
import yaml

from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import System
from warehouse.erasure.objects import find_objects, remove_objects, seal
from warehouse.erasure.operational import operational_reader
from warehouse.erasure.scope import find_scope
from warehouse.errors import CatalogError, ErasureRefused, LakeUnavailable
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn, connect

SCHEMA = """
CREATE TABLE users (id bigint PRIMARY KEY, email text);
CREATE TABLE files (id bigint PRIMARY KEY, user_id bigint, kind text, object_key text, thumbnail text);
INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 12) i;
INSERT INTO files SELECT i, i, CASE WHEN i % 2 = 0 THEN 'pan' ELSE 'dl' END, i || '/pan/a.pdf', 'thumbs/' || i || '.png'
    FROM generate_series(1, 12) i;
"""


def declared(prefix: str, *objects: str) -> System:
    person = {"type": "bigint", "personal": "person_id"}
    file = {"type": "text", "personal": "photo"}
    return parse_system(yaml.safe_dump({
        "system": "filed", "title": "f", "description": "f", "owner": "us", "history_starts": "2024-01-01",
        "person": {"table": "users", "key": "id", "identifiers": {"email": "email"}},
        "objects": list(objects) or [f"{prefix}-dl/{{key}}/", f"{prefix}-pan/{{key}}/"],
        "defaults": {"retention": "lifetime", "erasure": "delete"},
        "tables": {
            "users": {"description": "u", "key": ["id"], "subjects": ["id"],
                      "columns": {"id": person, "email": {"type": "text", "personal": "email"}}},
            "files": {"description": "f", "key": ["id"], "subjects": ["user_id"], "columns": {
                "id": {"type": "bigint"}, "user_id": person, "kind": {"type": "text"},
                "object_key": {**file, "bucket": prefix + "-{kind}"}, "thumbnail": {**file, "bucket": f"{prefix}-dl"},
            }},
        },
    }), "filed.yaml")  # fmt: skip


class Place:
    """Two buckets with files of twelve persons, one of which no row names."""

    def __init__(self, store: Store, dsn: str, prefix: str) -> None:
        self.store, self.dsn, self.system = store, dsn, declared(prefix)
        self.dl, self.pan = (
            Store(f"s3://{prefix}-{each}", store.options) if store.url == "s3://" else store.under(f"{prefix}-{each}")
            for each in ("dl", "pan")
        )
        for i in range(1, 13):
            (self.pan if i % 2 == 0 else self.dl).put(f"{i}/pan/a.pdf", b"first")
            (self.pan if i % 2 == 0 else self.dl).put(f"{i}/pan/a.pdf", b"second")
            self.dl.put(f"thumbs/{i}.png", b"small")
            self.pan.put(f"{i}/proof/left behind.pdf", b"nobody names it")

    def __enter__(self) -> Place:
        self.session = connect(Dsn(self.dsn), see_all_rows=True)
        source = self.session.__enter__()
        self.readers = [operational_reader(source, self.system)]
        return self

    def __exit__(self, *_: object) -> None:
        self.session.__exit__(None, None, None)

    def arguments(self, person: str = "1") -> tuple[Any, ...]:
        return self.store, self.system, find_scope(self.system, {person}, self.readers), self.readers

    def paths(self) -> set[str]:
        return {f"{n}:{each.path}" for n, s in (("dl", self.dl), ("pan", self.pan)) for each in s.versions()}


def client_of(s3: Mapping[str, str]) -> Any:
    return boto3.client(
        "s3", endpoint_url=s3["AWS_ENDPOINT_URL"], region_name=s3["AWS_REGION"],
        aws_access_key_id=s3["AWS_ACCESS_KEY_ID"], aws_secret_access_key=s3["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, empty_database: str, tmp_path: Path) -> Place:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
    prefix = f"p{uuid.uuid4().hex[:8]}"
    if request.param == "file":
        return Place(Store(tmp_path.as_uri()), empty_database, prefix)
    s3: Mapping[str, str] = request.getfixturevalue("s3")
    client = client_of(s3)
    for each in ("dl", "pan"):
        client.create_bucket(Bucket=f"{prefix}-{each}")
        client.put_bucket_versioning(Bucket=f"{prefix}-{each}", VersioningConfiguration={"Status": "Enabled"})
    made = Place(Store("s3://", s3), empty_database, prefix)
    client.delete_object(Bucket=f"{prefix}-dl", Key="1/pan/a.pdf")  # a marker; two versions lie below it
    return made


def test_files_go_with_every_version_and_those_of_others_stay(place: Place) -> None:
    before = place.paths()
    mine = {"dl:1/pan/a.pdf", "dl:thumbs/1.png", "pan:1/proof/left behind.pdf"}
    assert mine <= before
    with place:
        found = find_objects(*place.arguments())
        assert {each.path for each in found} == {each.partition(":")[2] for each in mine}
        assert sum(len(each.versions) for each in found) == (3 if place.store.local else 5)
        sealed = seal(found, b"secret")
        assert sealed == seal(list(reversed(found)), b"secret") != seal(found, b"other")
        assert "pan" not in repr(sealed).replace("-pan", "") and "a.pdf" not in repr(found)
        done = remove_objects(*place.arguments(), sleep=lambda _: None)
        assert sum(each.removed for each in done) == (3 if place.store.local else 5)
        assert not any(each.residual or each.failed for each in done)
        again = remove_objects(*place.arguments())
        assert not any(each.removed or each.residual for each in again)
    assert place.paths() == before - mine
    if place.store.local:
        assert not any(folder.name == "1" for folder in Path(place.store.root).rglob("*"))


def test_uploads_that_nobody_finished_are_ended(place: Place, s3: Mapping[str, str]) -> None:
    if place.store.local:  # a file appears when it is whole
        assert place.dl.abort_uploads("1/") == 0
        return
    client, bucket = client_of(s3), place.dl.url.removeprefix("s3://")
    for key in ("1/pan/b.pdf", "12/pan/b.pdf"):
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"half")
    with place:
        remove_objects(*place.arguments(), sleep=lambda _: None)
    left = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert [each["Key"] for each in left] == ["12/pan/b.pdf"]


def test_a_bucket_that_fails_on_the_second_removal(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go, it is tried again, and nothing is said to be done that is not."""
    remove, calls, failing = Store.remove, [], [2, 3]

    def fails(self: Store, path: str) -> None:
        calls.append(path)
        if len(calls) in failing:
            raise LakeUnavailable(f"{self.url}/{path} cannot be reached")
        remove(self, path)

    monkeypatch.setattr(Store, "remove", fails)
    with place:
        (*_, last) = [remove_objects(*place.arguments(), attempts=1)]
        assert sum(each.residual for each in last) > 0 and sum(each.failed for each in last) == 2
        done = remove_objects(*place.arguments(), sleep=lambda _: None)
        assert not any(each.residual for each in done) and sum(each.removed for each in done) > 0


def test_files_that_others_name_too_are_refused(place: Place) -> None:
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute("UPDATE files SET thumbnail = 'thumbs/1.png' WHERE id = 2")
    with place, pytest.raises(ErasureRefused, match=r"filed\.files\.thumbnail: 1 rows of others") as refused:
        find_objects(*place.arguments())
    assert "thumbs" not in str(refused.value)


def test_a_row_that_names_a_file_elsewhere_is_refused(place: Place) -> None:
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute("UPDATE files SET thumbnail = '../../etc/1.png' WHERE id = 1")
    with place, pytest.raises(ErasureRefused, match="outside of its bucket"):
        find_objects(*place.arguments())


def test_a_bucket_that_is_not_there_is_said_without_the_key(place: Place) -> None:
    place.system = declared("nobodys")
    if place.store.local:  # a folder is made with its first file
        with place:
            assert find_objects(*place.arguments("11")) == []
        return
    with place, pytest.raises(LakeUnavailable, match="bucket nobodys-dl") as told:
        find_objects(*place.arguments("11"))
    assert "11/" not in str(told.value) and told.value.__cause__ is None


@pytest.mark.parametrize("pattern", ["b/{key}", "b/{key}9", "b/x", "b-{key}/x", "b/{key}/{key}/", "b/{id}/"])
def test_prefixes_that_would_take_those_of_others(pattern: str) -> None:
    with pytest.raises(CatalogError, match="objects: "):
        declared("p", pattern)
