"""Objects under one root, on ``file://`` or ``s3://``: put whole, read whole, listed with their versions, removed.

An object is there in full or not at all: a file is renamed into its place, an S3 object appears when its upload ends.

What does not belong here: what the objects are (``delta``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from warehouse.errors import ConfigurationError
from warehouse.lake.trouble import of_store, told

#: Of a file that is copied, and of an upload in parts: as much of it is in memory.
_PIECE, _PART = 1 << 20, 8 << 20


@dataclass(frozen=True)
class Stored:
    """One object that is there: its path from the root, and bytes."""

    path: str
    bytes: int


@dataclass(frozen=True)
class Version:
    """One version of an object in a bucket that keeps them; a marker says that the object was removed."""

    path: str
    id: str
    latest: bool
    marker: bool


@dataclass(frozen=True)
class Store:
    """A root and how to reach it.

    Attributes:
        url: ``file:///folder`` or ``s3://bucket/prefix``.
        options: of S3, as ``object_store`` and libpq-like environments name them (``AWS_ENDPOINT_URL``,
            ``AWS_ACCESS_KEY_ID`` ...); secret, in no repr.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("file", "s3"):
            raise ConfigurationError(
                f"{self.url!r} is no place for the lake", hint="Write file:///folder or s3://bucket/prefix."
            )

    @property
    def local(self) -> bool:
        """Whether it is a folder."""
        return urlsplit(self.url).scheme == "file"

    def under(self, *names: str) -> Store:
        """A store of what lies below."""
        return Store("/".join((self.url.rstrip("/"), *names)), self.options)

    @property
    def root(self) -> str:
        """As its file system has it: a path, or ``bucket/prefix``."""
        parts = urlsplit(self.url)
        return unquote(parts.path).rstrip("/") if self.local else f"{parts.netloc}{parts.path}".rstrip("/")

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"

    @property
    def delta_options(self) -> dict[str, str]:
        """The same for deltalake, which would otherwise try for three minutes."""
        return {} if self.local else {**self.options, "max_retries": "3", "retry_timeout": "20s"}

    def file_system(self) -> Any:
        """Of fsspec; S3's is imported where it is used: it takes a second."""
        import fsspec  # type: ignore[reportMissingTypeStubs]

        make: Any = fsspec.filesystem  # type: ignore[reportUnknownMemberType]
        if self.local:
            return make("file")
        endpoint = self.options.get("AWS_ENDPOINT_URL")
        return make(
            "s3",
            key=self.options.get("AWS_ACCESS_KEY_ID"),
            secret=self.options.get("AWS_SECRET_ACCESS_KEY"),
            token=self.options.get("AWS_SESSION_TOKEN"),
            client_kwargs={
                name: value
                for name, value in (("endpoint_url", endpoint), ("region_name", self.options.get("AWS_REGION")))
                if value
            },
            version_aware=False,
            use_listings_cache=False,
        )

    def put(self, path: str, content: bytes) -> None:
        """Store an object whole.

        Raises:
            LakeUnavailable: it cannot be written; nothing of it is there.
            AccessDenied: the store refuses.
        """
        with self._told(path):
            if not self.local:
                self.file_system().pipe_file(self._at(path), content)
                return
            place = Path(self._at(path))
            place.parent.mkdir(parents=True, exist_ok=True)
            unfinished = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
            try:
                with unfinished.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.rename(place)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise

    def put_private(self, path: str, content: IO[bytes]) -> None:
        """Store an object whole from a file, which may be larger than memory; on a folder nobody else may read it.

        Raises:
            LakeUnavailable: it cannot be written; nothing of it is there.
            AccessDenied: the store refuses.
        """
        with self._told(path):
            if self.local:
                place = Path(self._at(path))
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                put_file(place, content)
                return
            upload: Any = self.file_system().open(self._at(path), "wb", block_size=_PART)
            try:
                shutil.copyfileobj(content, upload, _PIECE)
            except BaseException:
                upload.closed = True  # else it would be completed as far as it came
                upload.discard()
                raise
            upload.close()

    def get(self, path: str, version: str = "") -> bytes:
        """An object's content; that of an earlier version, if one is named (``versions``).

        Raises:
            ObjectMissing: it is not there.
            LakeUnavailable: it cannot be read.
            AccessDenied: the store refuses.
        """
        with self._told(path):
            # In parts, s3fs would ask first how large the newest version is: there may be none.
            which = {"version_id": version, "max_concurrency": 1} if version else {}
            return bytes(self.file_system().cat_file(self._at(path), **which))

    @contextlib.contextmanager
    def open(self, path: str) -> Generator[Any]:
        """An object to read parts of: what is not asked for is not fetched.

        Raises:
            ObjectMissing: it is not there.
            LakeUnavailable: it cannot be read.
            AccessDenied: the store refuses.
        """
        with self._told(path):
            whole = {} if self.local else {"cache_type": "none"}
            with self.file_system().open(self._at(path), "rb", **whole) as file:
                yield file

    def list(self, prefix: str = "") -> list[Stored]:
        """Every object below a prefix that ends with a folder; none if there is no such folder."""
        with self._told(prefix):
            top = f"{self.root}/{prefix}".rstrip("/")
            found: dict[str, Any] = self.file_system().find(top, detail=True)
            return sorted(
                (Stored(name.removeprefix(self.root + "/"), int(entry["size"])) for name, entry in found.items()),
                key=lambda each: each.path,
            )

    def remove(self, path: str) -> None:
        """Remove an object for good, with every version that its bucket keeps of it; nothing, if it is not there."""
        with self._told(path), contextlib.suppress(FileNotFoundError):
            if self.local:
                self.file_system().rm_file(self._at(path))
                return
            versions = [each for each in self.versions(path) if each.path == path]
            for each in versions:
                self._ask("delete_object", Key=self._key(path), VersionId=each.id)
            if not versions:
                self._ask("delete_object", Key=self._key(path))

    def versions(self, prefix: str = "") -> list[Version]:
        """Every version of every object whose path begins so, those that were removed included.

        A folder keeps none: there it is each file. A bucket without versions has one of each object.
        """
        if self.local:
            return [Version(each.path, "", True, False) for each in self.list(prefix)]
        found: list[Version] = []
        asked: dict[str, str] = {"Prefix": self._key(prefix)}
        with self._told(prefix):
            while True:
                page = self._ask("list_object_versions", **asked)
                for kind in ("Versions", "DeleteMarkers"):
                    found += [
                        Version(
                            each["Key"].removeprefix(self._key("")), each["VersionId"], each["IsLatest"],
                            kind == "DeleteMarkers",
                        )
                        for each in page.get(kind, [])
                    ]  # fmt: skip
                if not page.get("IsTruncated"):
                    return found
                asked |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def abort_uploads(self, prefix: str = "") -> int:
        """End uploads in parts that nobody finished, of objects whose path begins so; how many there were.

        Their parts are kept, and are in no listing of objects.
        """
        if self.local:
            return 0
        ended = 0
        with self._told(prefix):
            asked: dict[str, str] = {"Prefix": self._key(prefix)}
            while True:
                page = self._ask("list_multipart_uploads", **asked)
                for each in page.get("Uploads", []):
                    self._ask("abort_multipart_upload", Key=each["Key"], UploadId=each["UploadId"])
                    ended += 1
                if not page.get("IsTruncated"):
                    return ended
                asked |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _key(self, path: str) -> str:
        """Of an object within its bucket."""
        return self._at(path).partition("/")[2]

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.file_system().call_s3(operation, Bucket=self.root.partition("/")[0], **parameters)

    @contextlib.contextmanager
    def _told(self, path: str) -> Generator[None]:
        """What the file system or S3's client raises, as the platform's own error."""
        try:
            yield
        except Exception as error:
            if not of_store(error):
                raise
            raise told(f"{self.url}/{path}", error) from error


def put_file(place: Path, content: IO[bytes]) -> None:
    """Write a file that its owner alone may read, whole or not at all; what has the name is left as it is.

    Raises:
        FileExistsError: something has the name.
    """
    unfinished = place.with_name(f".{place.name}.part")  # always the same: what a killed process left is replaced
    unfinished.unlink(missing_ok=True)
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            shutil.copyfileobj(content, file, _PIECE)
            file.flush()
            os.fsync(file.fileno())
        os.link(unfinished, place)
    finally:
        unfinished.unlink(missing_ok=True)
