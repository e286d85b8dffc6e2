"""Restriction of processing, with the stores and the officers that the settings name.

What does not belong here: filing the request and confirming its persons (``resources.erasure``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.absence import models_of
from resources.dbt import ensure_manifest
from resources.erasure import estate
from resources.officers import signed_in
from resources.settings import Settings
from warehouse.erasure.restricting import start_restriction
from warehouse.erasure.scope import Scope
from warehouse.errors import ConfigurationError
from warehouse.postgres.sessions import Connection
from warehouse.state import restrictions as state
from warehouse.state.requests import Request, read_requests
from warehouse.state.restrictions import Restricted, views_that_show_all


@dataclass(frozen=True)
class Hidden:
    """A request that hides rows, and of which systems."""

    request: Request
    systems: tuple[Restricted, ...]


def start(settings: Settings, request: int) -> list[Restricted]:
    """Hide the persons whom a request for restriction is about, as the platform.

    Raises:
        RequestRefused: it is of another kind, or in another state.
        ConfigurationError: analysts' views are of an older version, and would show them still.
    """
    return start_restriction(estate(settings), request, lambda platform, scopes: _ready(settings, platform, scopes))


def _ready(settings: Settings, platform: Connection, scopes: Mapping[str, Scope]) -> None:
    """No masked view that has rows of persons of these systems shows all of them."""
    views = views_that_show_all(platform)
    if views and (late := sorted(views & _views_of_persons(ensure_manifest(settings), scopes))):
        raise ConfigurationError(
            f"masked.{late[0]} does not hide restricted persons yet ({len(late)} views)",
            hint="It was made by an older version: `drivetrain build` makes it anew. Nobody is hidden so far.",
        )


def _views_of_persons(manifest: Path, systems: Collection[str]) -> set[str]:
    """Views of analysts whose rows lead to a person, as dbt's manifest says."""
    models = models_of(manifest, systems)
    nodes: dict[str, Any] = json.loads(manifest.read_text())["nodes"]
    return {
        node["alias"]
        for node in nodes.values()
        if (model := models.get((node["schema"], node["alias"]))) is not None
        and node["schema"] in ("staging", "marts")
        and (model.persons or (node["config"].get("meta") or {}).get("subjects"))
    }


def end(settings: Settings, request: int, why: str) -> None:
    """Show the rows again, as an approver who did not file the request.

    Raises:
        RequestRefused: there is no such request for restriction, or it restricts nobody now.
        AccessDenied: the officer is no approver, or filed it.
    """
    with signed_in(settings, "approver") as session:
        state.end_restriction(session, request, why)


def hidden(settings: Settings) -> list[Hidden]:
    """Every request that hides rows now, an erasure that is under way too."""
    with signed_in(settings, "auditor") as session:
        by_request: dict[int, list[Restricted]] = {}
        for each in state.read_restricted(session):
            by_request.setdefault(each.request, []).append(each)
        return [Hidden(each, tuple(by_request[each.id])) for each in read_requests(session) if each.id in by_request]
