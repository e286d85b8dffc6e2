"""A certificate that tests of several modules read, sign and spoil: as an erasure over two systems would give it.

What does not belong here: expectations of any one test.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from warehouse.erasure.certificate import Certificate

NOON = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


def facts(**changed: Any) -> dict[str, Any]:
    """All fields; some of them others than usual."""
    hour = dt.timedelta(hours=1)
    stores = [
        ("operational", "logistics", "location_logs", "delete", 104_233),
        ("operational", "logistics", "riders", "delete", 1),
        ("operational", "logistics", "wallet_ledger", "pseudonymise", 812),
        ("warehouse", "logistics", "location_logs", "delete", 96_100),
        ("models", "logistics", "rider_leaderboard", "rebuild", 1),
        ("lake", "logistics", "location_logs", "rewrite", 1_204_551),
        ("objects", "logistics", "aadhaar-documents", "delete", 2),
        ("cache", "logistics", "rider:*", "delete", 3),
    ]
    return {
        "number": "C-2026-000017",
        "issuer": "Example Deliveries Pvt Ltd",
        "issued_at": NOON + 3 * hour,
        "outcome": "completed_pending_backup_expiry",
        "request": {
            "number": "E-2026-000017", "hash": "1a" * 32, "systems": ["logistics"], "persons": 1, "law": "dpdp",
            "received_at": NOON - 20 * 24 * hour, "due": dt.date(2027, 1, 31), "requester": "asha (officer)",
            "approver": "vikram (counsel)", "approved_at": NOON - hour,
        },
        "plan": {"hash": "2b" * 32, "sealed_at": NOON - 2 * hour, "policy_version": "3c" * 32},
        "execution": {"started_at": NOON, "finished_at": NOON + hour},
        "clocks": [
            {"server": "logistics (operational)", "said": NOON + dt.timedelta(milliseconds=12), "ours": NOON},
            {"server": "warehouse", "said": NOON, "ours": NOON},
        ],
        "stores": [
            {"tier": tier, "system": system, "locator": locator, "action": action, "expected": rows, "actual": rows,
             "residual": 0, "versions_removed": 4 if tier in ("lake", "objects") else 0}
            for tier, system, locator, action, rows in stores
        ],
        "kept": [{
            "system": "logistics", "table": "wallet_ledger", "rows": 812, "pseudonymised": True,
            "basis": "Income-tax Act 1961 (s. 44AA) and Companies Act 2013 (s. 128) - books of account",
            "review_on": dt.date(2034, 11, 22),
        }],
        "backups": {"expire_on": dt.date(2026, 12, 22), "how": "Full backups and the log of changes are kept 30 days."},
        "verification": {
            "verifier": "drivetrain_verifier", "started_at": NOON + hour, "finished_at": NOON + 2 * hour,
            "checks": [
                {"what": "rows by key, in every table", "looked_at": 4_820_112, "found": 0},
                {"what": "bytes of files: statistics, dictionaries, former versions", "looked_at": 96, "found": 0},
                {"what": "statistics of the servers (pg_stats)", "looked_at": 412, "found": 0},
            ],
            "mentions": 1,
        },
        "out_of_scope": ["Copies that partners received before the request: they were told on 22 November 2026."],
        **changed,
    }  # fmt: skip


def certificate(**changed: Any) -> Certificate:
    """The document."""
    return Certificate.model_validate(facts(**changed))
