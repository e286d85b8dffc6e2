"""The page of a certificate: one HTML file for a person's letter and an auditor's folder, which loads nothing.

What does not belong here: what a certificate says (``certificate``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from warehouse.catalog.laws import load_laws
from warehouse.erasure.certificate import Action, Clock, Envelope, Outcome, Store, Tier

_TEMPLATE = Path(__file__).with_name("certificate.html")

TIERS: dict[Tier, str] = {
    "operational": "Databases of the applications",
    "warehouse": "Data warehouse: copies of the applications' tables",
    "models": "Data warehouse: tables that are computed from them",
    "lake": "Archive of old data (files)",
    "objects": "Documents and pictures",
    "cache": "Short-lived copies (caches)",
    "queue": "Corrections that were waiting",
    "export": "Files that were made for download",
    "dagster": "Records of the data platform's own runs",
}
ACTIONS: dict[Action, str] = {
    "delete": "deleted",
    "redact": "emptied in records shared with others",
    "pseudonymise": "replaced by a random pseudonym",
    "rewrite": "files written anew without them",
    "rebuild": "computed anew without them",
}
OUTCOMES: dict[Outcome, tuple[str, str]] = {
    "completed": (
        "Erased",
        "All personal data that the systems named here held about the person have been erased. Nothing was kept.",
    ),
    "completed_with_retention": (
        "Erased, except for what the law demands to keep",
        "All personal data that the systems named here held about the person have been erased, except for the records"
        " listed under “What is kept”, which a law demands to keep. They are used for nothing else.",
    ),
    "completed_pending_backup_expiry": (
        "Erased; backups expire",
        "All personal data have been erased from the systems in use, except for what is listed under “What is kept”."
        " Backups cannot be changed in part. They are locked away, are not used while they last, and expire by the day"
        " stated below; if one has to be restored, the erasure is repeated before anybody can read it.",
    ),
}


def render_page(envelope: Envelope) -> str:
    """The page, as one self-contained HTML document."""
    certificate = envelope.document
    title, words = OUTCOMES[certificate.outcome]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(  # pyright: ignore[reportUnknownMemberType]  # jinja2 does not say of what
        moment=_moment, day=_day, number=_number, grouped=_grouped, offset=_offset
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        c=certificate, signature=envelope.signature, title=title, words=words, stores=_by_tier(certificate.stores),
        actions=ACTIONS, law=load_laws()[certificate.request.law].title,
        erased=sum(store.actual for store in certificate.stores),
        versions=sum(store.versions_removed for store in certificate.stores),
        looked_at=sum(check.looked_at for check in certificate.verification.checks),
    )  # fmt: skip


def _by_tier(stores: Iterable[Store]) -> list[tuple[str, list[Store]]]:
    order: list[Tier] = list(TIERS)
    ordered = sorted(stores, key=lambda store: (order.index(store.tier), store.system, store.locator, store.action))
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda store: TIERS[store.tier])]


def _moment(value: dt.datetime) -> str:
    return f"{value.day} {value:%B %Y, %H:%M:%S} UTC"


def _day(value: dt.date) -> str:
    return f"{value.day} {value:%B %Y}"


def _number(value: int) -> str:
    return f"{value:,}"


def _grouped(value: str) -> str:
    """A hash that can be read out and compared by eye."""
    return " ".join(value[at : at + 8] for at in range(0, len(value), 8))


def _offset(clock: Clock) -> str:
    milliseconds = round((clock.said - clock.ours) / dt.timedelta(milliseconds=1))
    return "0 ms" if milliseconds == 0 else f"{milliseconds:+,} ms"
