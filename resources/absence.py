"""The proof that erased persons are nowhere, over the stores of the settings."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from resources.dbt import ensure_manifest
from resources.settings import Settings
from warehouse.erasure.sealed import Kept
from warehouse.erasure.witness import Mention, Verdict
from warehouse.postgres.sessions import connect
from warehouse.proof.absence import Model, Stores, prove_absence
from warehouse.proof.absence_found import Absence
from warehouse.proof.absence_sought import FREE, Known, Sought, read_known


def models_of(manifest: Path, systems: Collection[str]) -> dict[tuple[str, str], Model]:
    """Relations that dbt makes, by schema and name: of which system, and in which columns persons are.

    Of what is not known to be of one system nothing is said: it is looked at like a relation that nobody declared.

    Args:
        manifest: dbt's ``manifest.json``.
        systems: of the catalog.
    """
    nodes: dict[str, Any] = json.loads(manifest.read_text())["nodes"]
    found: dict[tuple[str, str], Model] = {}
    for node in nodes.values():
        if node["resource_type"] not in ("model", "snapshot", "seed"):
            continue
        model = _model(node, systems)
        if node["resource_type"] == "snapshot":  # a history of what it is made from, column by column
            origins = [_model(nodes[each], systems) for each in node["depends_on"]["nodes"] if each in nodes]
            model = Model(
                model.system or (origins[0].system if len({each.system for each in origins}) == 1 else ""),
                model.persons.union(*(each.persons for each in origins)),
                model.free.union(*(each.free for each in origins)),
            )
        if model.system:
            found[node["schema"], node["alias"]] = model
    return found


def _model(node: Any, systems: Collection[str]) -> Model:
    meta = node["config"].get("meta") or {}
    kinds = {name: _kind(column) for name, column in node["columns"].items()}
    names: list[str] = [str(meta.get("system")), *reversed(node["fqn"][1:-1])]
    named = [each for each in names if each in systems]
    return Model(
        named[0] if named else "",
        frozenset(name for name, kind in kinds.items() if kind == "person_id" or name == meta.get("person_column")),
        frozenset(name for name, kind in kinds.items() if kind in FREE),
    )


def _kind(column: Any) -> str | None:
    return ((column.get("config") or {}).get("meta") or {}).get("personal") or (column.get("meta") or {}).get(
        "personal"
    )


class Verifier:
    """Who did not erase, and looks (``warehouse.erasure.witness.Witness``)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._systems = settings.catalog().systems

    def known(self, system: str, persons: Set[str]) -> list[tuple[str, str]]:
        """What persons are known by, as their own table has it."""
        primary = self._settings.primary(system)
        with connect(primary, read_only=True, see_all_rows=True, application="drivetrain absence") as source:
            return [(each.kind, each.text) for each in read_known(source, self._systems[system], persons)]

    def look(
        self, kept: Mapping[str, Kept], *, deep: bool = False, tell: Callable[[str], None] = lambda _: None
    ) -> Verdict:
        """Look for the persons in every store, as the verifier.

        Raises:
            ConfigurationError: nobody said who verifies.
            ServerUnavailable, LakeUnavailable, AccessDenied: a store does not answer, or refuses: nothing is proven.
        """
        started = dt.datetime.now(dt.UTC)
        sought = [
            Sought(
                self._systems[name], each.scope.persons, each.scope.values, each.pseudonyms,
                [Known(kind, text) for kind, text in each.known],
            )
            for name, each in sorted(kept.items())
        ]  # fmt: skip
        absence = verify_absence(self._settings, sought, deep=deep, tell=tell)
        with connect(self._settings.verifier(), read_only=True, application="drivetrain absence") as session:
            ((role,),) = session.execute("SELECT session_user::text").fetchall()
        return _verdict(absence, role, started)


def _verdict(absence: Absence, role: str, started: dt.datetime) -> Verdict:
    """What was found, as a request and a certificate have it."""
    left: Counter[tuple[str, str]] = Counter()
    rows: Counter[str] = Counter()
    rest: Counter[str] = Counter()
    for residue in absence.residues:
        if residue.reopens:
            left[residue.store, residue.place] += residue.count
            (rows if residue.kind == "row" else rest)[residue.store] += residue.count
    checks: list[tuple[str, int, int]] = []
    for store, looked in absence.looked.items():
        checks.append((f"{store}: rows, of {looked.places} relations and files", looked.rows, rows[store]))
        beside = looked.bytes or looked.places
        what = "bytes of files: statistics, dictionaries, logs, versions" if looked.bytes else "statistics of relations"
        checks.append((f"{store}: {what}", beside, rest[store]))
    mentions = tuple(Mention(each.store, each.place, each.column, each.count, each.keys) for each in absence.mentions)
    return Verdict(role, started, dt.datetime.now(dt.UTC), tuple(checks), dict(left), absence.unseen, mentions)


def verify_absence(
    settings: Settings, sought: Sequence[Sought], *, deep: bool = False, tell: Callable[[str], None] = lambda _: None
) -> Absence:
    """Look for erased persons in every store, as the verifier.

    Raises:
        ConfigurationError: nobody said who verifies.
        ServerUnavailable, LakeUnavailable, AccessDenied: a store does not answer, or refuses: nothing is proven.
    """
    stores = Stores(
        warehouse=settings.verifier(),
        sources={each.system.system: settings.primary(each.system.system) for each in sought},
        lake=settings.lake(),
        dagster=settings.verifier_of_dagster(),
        models=models_of(ensure_manifest(settings), settings.catalog().systems),
    )
    return prove_absence(sought, stores, deep=deep, tell=tell)
