"""What a request would do, store by store and table by table, counted; nothing is changed.

What does not belong here: doing it (``carrying``), and who lets it be done.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from warehouse.catalog.model import System
from warehouse.erasure.below import look_below
from warehouse.erasure.caches import count_keys
from warehouse.erasure.estate import Estate
from warehouse.erasure.exports import kept_exports
from warehouse.erasure.objects import SealedObject, find_objects, seal
from warehouse.erasure.operational import look_operational, operational_reader, raw_reader
from warehouse.erasure.passing import Found
from warehouse.erasure.replacing import Replacement, replacement_of
from warehouse.erasure.sealed import Kept
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection, connect
from warehouse.state.tiered import tiered

#: detached: at the source, out of its table already.
StoreKind = Literal["export", "objects", "cache", "operational", "detached", "warehouse", "lake"]
#: Place of copies that were made for persons: they may be of several systems.
EXPORTS = "copies"
ACTIONS = ("delete", "redact", "pseudonymise")
STORES: Mapping[str, StoreKind] = {"warm": "warehouse", "kept": "warehouse", "cold": "lake", "left": "detached"}


@dataclass(frozen=True)
class Line:
    """One line of a plan.

    Attributes:
        store: which.
        place: ``system.table``; of objects the bucket, of a cache the system.
        action: what becomes of the rows.
        expected: how many rows.
        basis: of a law that keeps them; empty where they go.
        files, bytes: of the lake that are written anew.
    """

    store: StoreKind
    place: str
    action: str
    expected: int
    basis: str = ""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Survey:
    """All of it.

    Attributes:
        lines: where there are rows.
        objects: each object with its versions, by keyed digest: others may not come in their place.
        spared: tables that a policy leaves as they are although persons lead there, with the written reason.
        notes: what else changes.
    """

    lines: tuple[Line, ...]
    objects: tuple[SealedObject, ...]
    spared: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def document(self, request: int, law: str, persons: Mapping[str, int], catalog: str) -> dict[str, Any]:
        """What is sealed and approved."""
        return {
            "request": request,
            "law": law,
            "policy": catalog,
            "persons": dict(persons),
            "lines": [
                {
                    "store": each.store, "place": each.place, "action": each.action, "expected": each.expected,
                    "basis": each.basis, "files": each.files, "bytes": each.bytes,
                }
                for each in self.lines
            ],
            "objects": [dataclasses.asdict(each) for each in self.objects],
            "spared": [{"place": place, "reason": reason} for place, reason in self.spared],
            "notes": list(self.notes),
        }  # fmt: skip


def survey(estate: Estate, kept: Mapping[str, Kept]) -> Survey:
    """Count in every store.

    Raises:
        ErasureRefused: something stands in the way in an operational database.
        CatalogMismatch: values do not fit their columns.
        LakeUnavailable, ServerUnavailable: a store does not answer.
    """
    lines: list[Line] = []
    objects: list[SealedObject] = []
    spared: list[tuple[str, str]] = []
    notes: list[str] = []
    for name, each in sorted(kept.items()):
        system = estate.catalog.systems[name]
        with (
            connect(estate.sources[name], see_all_rows=True, application="drivetrain erasure") as source,
            connect(estate.warehouse, read_only=True, application="drivetrain erasure") as warehouse,
        ):
            readers = [operational_reader(source, system), raw_reader(warehouse, system)]
            sealed = seal(
                find_objects(estate.objects, system, each.scope, readers), estate.keys.digest("objects", name)
            )
            objects += sealed
            lines += [
                Line("objects", bucket, "delete", count)
                for bucket, count in sorted(Counter(of.bucket for of in sealed).items())
            ]
            if system.caches and name not in estate.caches:
                notes.append(f"{name}: no cache is configured; keys there are not looked for")
            elif system.caches and (keys := count_keys(estate.caches[name], system, each.scope)):
                lines.append(Line("cache", name, "delete", keys))
            looked = look_operational(source, system, each.scope)
            notes += looked.notes
            lines += [
                Line("operational", f"{name}.{found.table}", found.action, found.rows, _basis(system, found.table))
                for found in looked.tables
                if found.rows
            ]
            for table in sorted(each.scope.values):
                policy = system.tables[table]
                if policy.erasure.action in ACTIONS:
                    lines += _below(estate, system, table, each, warehouse, source)
                elif policy.erasure.reason:
                    spared.append((f"{name}.{table}", policy.erasure.reason))
    if copies := _copies(estate, kept):
        lines.append(Line("export", EXPORTS, "delete", copies))
    return Survey(tuple(lines), tuple(objects), tuple(spared), tuple(notes))


def _copies(estate: Estate, kept: Mapping[str, Kept]) -> int:
    """That were made for the persons, and are kept still."""
    with connect(estate.warehouse, read_only=True, application="drivetrain erasure") as warehouse:
        return len(kept_exports(estate.keys, warehouse, {name: each.scope.persons for name, each in kept.items()}))


def replacement(system: System, table: str, kept: Kept) -> Replacement | None:
    """What becomes of rows that stay; None where they go."""
    policy = system.tables[table]
    return None if policy.erasure.action == "delete" else replacement_of(policy, kept.pseudonyms)


def _below(
    estate: Estate, system: System, table: str, kept: Kept, warehouse: Connection, source: Connection
) -> list[Line]:
    if read_table(warehouse, system.raw_schema, table) is None:
        return []  # it was never ingested
    found = look_below(
        warehouse, tiered(warehouse, system, table, estate.lake), kept.scope.about(table),
        replacement(system, table, kept), source,
    )  # fmt: skip
    by_store: dict[StoreKind, list[Found]] = {}
    for each in found:
        by_store.setdefault(STORES[each.tier], []).append(each)
    return [
        Line(
            store, f"{system.system}.{table}", system.tables[table].erasure.action, rows, _basis(system, table),
            sum(each.files for each in of), sum(each.bytes for each in of),
        )
        for store, of in sorted(by_store.items())
        if (rows := sum(each.rows for each in of))
    ]  # fmt: skip


def _basis(system: System, table: str) -> str:
    return system.tables[table].erasure.basis or ""
