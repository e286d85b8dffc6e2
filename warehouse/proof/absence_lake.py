"""Look for erased persons in the lake: in every object under a table's root, named by its log or not, in every version
of it, and in every byte.

What does not belong here: how a file's bytes are laid out (``absence_bytes``).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from warehouse.errors import ObjectMissing
from warehouse.lake.store import Store
from warehouse.proof.absence_bytes import NotParquet, ParquetFile
from warehouse.proof.absence_found import Findings, Kind
from warehouse.proof.absence_sought import Known, Rule, Way
from warehouse.proof.absence_words import Words

_LOG = "_delta_log/"
_BUCKET = re.compile(r"(?:^|/)bucket=(-?\d+)/")
#: How a ledger says that files are told apart (docs/lake-readers.md).
_LAYOUT = re.compile(r"(?:md5\((?P<text>\w+)\)|(?P<whole>\w+)) % (?P<buckets>\d+)")
_EMPTY = ["", "{}", "[]"]
#: Bytes of a packed file that are looked at together, to the end of a line.
_LINES = 1 << 20
_compute: Any = pc
_Marks = NDArray[np.bool_]


@dataclass
class LakeTable:
    """One table's root.

    Attributes:
        store: there.
        system, name: whose.
        rule: what must not be in it; of a folder that no table has, an empty one.
        findings: where what is found goes.
        words: what persons are known by.
        layouts: by path, how the bucket of a row follows from its subject.
        deep: read files, too, that by their path cannot hold the persons.
    """

    store: Store
    system: str
    name: str
    rule: Rule
    findings: Findings
    words: Words
    layouts: Mapping[str, str]
    deep: bool = False

    def look(self) -> None:
        """Look at every object, and every earlier version of it."""
        named = self._named()
        for each in self.store.list():
            if not self.deep and self._cannot_hold(each.path):
                self.findings.skipped += 1
                continue
            note = "" if each.path in named or not each.path.endswith(".parquet") or _LOG in each.path else (
                " (no log names it)"
            )  # fmt: skip
            self._object(each.path, "", note)
        if not self.store.local:
            for each in self.store.versions():
                if not each.latest and not each.marker:
                    self._object(each.path, each.id, " (an earlier version)")

    def _named(self) -> set[str]:
        """The paths of the table's files, by its own log."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            table: Any = DeltaTable(self.store.url, storage_options=self.store.delta_options)
            actions: Any = pa.table(table.get_add_actions(flatten=True))
        except (DeltaError, OSError):  # none, or it cannot be read: then no file is named
            return set()
        return set(actions.column("path").to_pylist())

    def _cannot_hold(self, path: str) -> bool:
        """Whether a file's bucket has none of the persons; only where no other way leads into it."""
        bucket, layout = _BUCKET.search(path), _LAYOUT.fullmatch(self.layouts.get(path, ""))
        if bucket is None or layout is None:
            return False
        subject = layout["whole"] or layout["text"]
        if set(self.rule.subjects) != {subject}:
            return False
        buckets = int(layout["buckets"])
        values = frozenset[str]().union(*(way.values for way in self.rule.ways if way.column == subject))
        if layout["whole"] and not all(re.fullmatch(r"-?\d+", each) for each in values):
            return False
        return int(bucket[1]) not in {_bucket(each, buckets, whole=bool(layout["whole"])) for each in values}

    def _object(self, path: str, version: str, note: str) -> None:
        place = f"{self.name}/{path}{note}"
        try:
            content = self.store.get(path, version)
        except ObjectMissing:
            self.findings.blind(f"lake: {self.system}/{place} was listed, and is not there: look again")
            return
        self.findings.note("lake", places=1, size=len(content))
        if self.findings.safe(path) != path:
            self._found(place, "version" if version else "bytes", 1)
        if path.endswith(".gz"):
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError):
                self.findings.blind(f"lake: {self.system}/{place} cannot be unpacked")
        if _LOG in f"/{path}" and path.endswith(".parquet"):
            self._checkpoint(place, content, "version" if version else "log")
        elif content[:4] == b"PAR1":
            self._file(place, content, bool(version))
        elif content[:4] == b"PK\x03\x04":
            self._packed(place, content, "version" if version else "bytes")
        else:
            kind: Kind = "version" if version else "log" if _LOG in path else "bytes"
            self._text(place, content.decode(errors="replace"), kind)

    def _found(self, place: str, kind: Kind, count: int, column: str = "", reopens: bool | None = None) -> None:
        self.findings.add("lake", self.system, place, kind, count, column=column, reopens=reopens)

    def _tell(self, place: str, kind: Kind, found: Set[Known], column: str = "") -> None:
        """What persons are known by, at a place where no row has it."""
        if found:
            self._found(place, kind, len(found), column, any(known.telling for known in found))

    def _text(self, place: str, text: str, kind: Kind) -> None:
        """An object that is text: a log, or whatever somebody put there."""
        if self.words:
            for line in text.splitlines():
                if self.words.may(line) or "\\" in line:
                    self._tell(place, kind, self.words.find_in_json(line))
        forbidden = self.rule.forbidden
        for document in _documents(text) if forbidden else ():
            for column, values in forbidden.items():
                self._found(place, kind, _told(document, column, values), column)

    def _packed(self, place: str, content: bytes, kind: Kind) -> None:
        """What is in a zip: a copy that somebody was given, or else."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    with archive.open(name) as member:
                        while lines := member.readlines(_LINES):
                            self._text(place, b"".join(lines).decode(errors="replace"), kind)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error):
            self.findings.blind(f"lake: {self.system}/{place} cannot be unpacked")

    def _checkpoint(self, place: str, content: bytes, kind: Kind) -> None:
        try:
            rows: list[Any] = pq.read_table(pa.BufferReader(content)).to_pylist()  # type: ignore[reportUnknownMemberType]
        except (pa.ArrowInvalid, OSError):
            self.findings.blind(f"lake: {self.system}/{place} cannot be read")
            return
        lines = [json.dumps(row, default=str) for row in rows]
        self._text(place, "\n".join(lines), kind)
        self._beside(place, content, {}, kind, {})

    def _file(self, place: str, content: bytes, earlier: bool) -> None:
        """Rows, column by column; then what lies beside them."""
        try:
            file: Any = pq.ParquetFile(pa.BufferReader(content))
            alive: dict[str, set[Known]] = {}
            for group in range(file.metadata.num_row_groups):
                self._group(place, file, group, earlier, alive)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
            self.findings.blind(f"lake: {self.system}/{place} cannot be read")
            self._text(place, content.decode(errors="replace"), "version" if earlier else "bytes")
            return
        self._beside(place, content, self.rule.forbidden, "version" if earlier else None, alive)

    def _group(self, place: str, file: Any, group: int, earlier: bool, alive: dict[str, set[Known]]) -> None:
        names: list[str] = file.schema_arrow.names
        rule = self.rule.within(names)
        rows = file.metadata.row_group(group).num_rows
        self.findings.note("lake", rows=rows)
        needed = {column for way in (*rule.ways, *rule.kept) for column in (way.column, *way.filled)} | set(
            rule.subjects
        )
        held: Any = file.read_row_group(group, columns=sorted(needed)) if needed else None
        gives, kept = _marked(held, rule.ways, rows), _marked(held, rule.kept, rows)
        self._found(place, "version" if earlier else "row", int(gives.sum()))
        self._found(place, "version" if earlier else "kept", int((kept & ~gives).sum()), reopens=False)
        if not self.words:
            return
        somebodys = np.zeros(rows, bool)
        for column in rule.subjects:
            somebodys |= held.column(column).is_valid().to_numpy()
        for column, kind in zip(names, file.schema_arrow.types, strict=True):
            if not _is_text(kind):
                continue
            values: Any = file.read_row_group(group, columns=[column]).column(0).combine_chunks()
            found = self._known_values(values)
            for known in found.values():
                alive.setdefault(column, set()).update(known)
            if not found:
                continue
            named = _compute.is_in(values.cast(pa.string()), value_set=pa.array(list(found), pa.string()))
            others = named.to_numpy(zero_copy_only=False).astype(bool) & ~gives & ~kept
            whole = _compute.is_in(
                values.cast(pa.string()),
                value_set=pa.array([each for each in found if self.words.is_all_of(each)], pa.string()),
            ).to_numpy(zero_copy_only=False).astype(bool)  # fmt: skip
            theirs = others & whole & ~somebodys
            if column in rule.free or rule.of_nobody:
                theirs &= False
            self._found(place, "version" if earlier else "row", int(theirs.sum()), column)
            self._mention(place, file, group, rule, column, others & ~theirs)

    def _known_values(self, values: Any) -> dict[str, set[Known]]:
        """Of a column: those values that have something of what persons are known by."""
        found: dict[str, set[Known]] = {}
        distinct: Any = _compute.unique(values)
        for start in range(0, len(distinct), 1000):
            texts = [_as_text(each) for each in distinct.slice(start, 1000).to_pylist() if each is not None]
            if self.words.may("\n".join(texts)) or any("\\" in each for each in texts):
                found |= {text: known for text in texts if (known := self.words.find_in_json(text))}
        return found

    def _mention(self, place: str, file: Any, group: int, rule: Rule, column: str, marks: _Marks) -> None:
        if not marks.any():
            return
        keys: list[tuple[str, ...]] = []
        if rule.key:
            rows: Any = file.read_row_group(group, columns=list(rule.key)).filter(pa.array(marks)).slice(0, 100)
            keys = [tuple(str(row[each]) for each in rule.key) for row in rows.to_pylist()]
        self.findings.add("lake", self.system, place, "mention", int(marks.sum()), column=column, keys=keys)

    def _beside(
        self, place: str, content: bytes, forbidden: Mapping[str, Set[str]], kind: Kind | None,
        alive: Mapping[str, Set[Known]],
    ) -> None:  # fmt: skip
        """Dictionaries, statistics, and whatever else is in a file."""
        try:
            parquet = ParquetFile(content)
            batch: list[tuple[Kind, str, str]] = []
            beside = set[Known]()
            for value in parquet.values(set(forbidden)):
                what: Kind = kind or ("statistics" if value.where == "statistics" else "bytes")
                if value.text in forbidden.get(value.column, ()):
                    self._found(place, what, 1, value.column)
                elif self.words:
                    batch.append((what, value.column, value.text))
                    if len(batch) == 1000:
                        beside |= self._told_of(place, batch, alive)
                        batch.clear()
            beside |= self._told_of(place, batch, alive)
        except NotParquet as error:
            self.findings.blind(f"lake: {self.system}/{place}: {error}")
            return
        if lost := parquet.unaccounted():
            self.findings.blind(f"lake: {self.system}/{place}: {lost:,} bytes that its footer says nothing of")
        if blooms := parquet.blooms():
            self.findings.blind(f"lake: {self.system}/{place}: {blooms:,} Bloom filters are not looked at")
        everybody = beside.union(*alive.values())
        outside = self.words.find(parquet.outside().decode(errors="replace")) if self.words else set[Known]()
        self._tell(place, kind or "bytes", outside - everybody)

    def _told_of(
        self, place: str, batch: Sequence[tuple[Kind, str, str]], alive: Mapping[str, Set[Known]]
    ) -> set[Known]:
        """Texts of dictionaries and statistics; returns what they tell of."""
        told = set[Known]()
        if batch and (self.words.may("\n".join(text for *_, text in batch)) or any("\\" in each[2] for each in batch)):
            for kind, column, text in batch:
                found = self.words.find_in_json(text)
                told |= found
                self._tell(place, kind, found - alive.get(column, frozenset[Known]()), column)
        return told


def look_at_objects(store: Store, prefix: str, findings: Findings, words: Words) -> None:
    """Look at objects of the lake that belong to no table: what the platform keeps there itself."""
    table = LakeTable(store.under(*prefix.split("/")), "", prefix, Rule(), findings, words, {}, deep=True)
    table.look()


def _bucket(value: str, buckets: int, *, whole: bool) -> int:
    if whole:
        return int(value) % buckets
    return int(hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()[:8], 16) % buckets


def _is_text(kind: pa.DataType) -> bool:
    kind = getattr(kind, "value_type", kind) if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _as_text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _marked(rows: Any, ways: Sequence[Way], count: int) -> _Marks:
    """Which rows give a person away."""
    marks = np.zeros(count, bool)
    for way in ways:
        named = _in(rows.column(way.column), sorted(way.values))
        if way.filled:
            filled = np.zeros(count, bool)
            for column in way.filled:
                filled |= _filled(rows.column(column))
            named &= filled
        marks |= named
    return marks


def _in(column: Any, values: list[str]) -> _Marks:
    if pa.types.is_integer(column.type):
        low, high = -(2 ** (column.type.bit_width - 1)), 2 ** (column.type.bit_width - 1)
        whole = [int(each) for each in values if re.fullmatch(r"-?\d+", each) and low <= int(each) < high]
        found = _compute.is_in(column, value_set=pa.array(whole, column.type))
    else:
        found = _compute.is_in(column.cast(pa.string()), value_set=pa.array(values, pa.string()))
    return found.to_numpy().astype(bool)


def _filled(column: Any) -> _Marks:
    if not _is_text(column.type):
        return column.is_valid().to_numpy()
    texts = column.cast(pa.string())
    empty = _compute.or_(
        _compute.is_in(texts, value_set=pa.array(_EMPTY)),
        _compute.match_substring_regex(texts, r"^erased-[0-9a-f]{9,32}$").fill_null(False),
    )
    return column.is_valid().to_numpy() & ~empty.to_numpy().astype(bool)


def _documents(text: str) -> Iterator[Any]:
    """Of a log: each line; what is no document is left to the words."""
    for line in io.StringIO(text):
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _told(document: Any, column: str, values: Set[str]) -> int:
    """How often a log says that a column had one of some values: in ranges of files, and in conditions."""
    count = 0
    if isinstance(document, dict):
        for name, value in document.items():  # type: ignore[reportUnknownVariableType]
            if name == column and not isinstance(value, dict | list):
                count += str(value) in values  # type: ignore[reportUnknownArgumentType]
            else:
                count += _told(value, column, values)
    elif isinstance(document, list):
        count += sum(_told(each, column, values) for each in document)  # type: ignore[reportUnknownVariableType]
    elif isinstance(document, str) and column in document:
        if document.startswith(("{", "[")):
            try:
                return _told(json.loads(document), column, values)
            except ValueError:
                pass
        words = set(re.findall(r"-?\w[\w\-]*", document))
        count += column in words and not values.isdisjoint(words)
    return count
