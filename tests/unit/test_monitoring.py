"""Metrics for Prometheus: names, labels, what they say of readings; alerts and documents name those that there are."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from pipelines.cli.monitor import _address
from pipelines.monitoring import Readers, families
from pipelines.proofs import Proof, whole_systems
from resources.capture import CaptureState
from resources.monitoring import Readings
from resources.proof import provable_tables
from resources.settings import PROJECT
from warehouse.catalog import load_catalog
from warehouse.catalog.partition import RangePartition
from warehouse.errors import ConfigurationError, ServerUnavailable
from warehouse.partitions.sizes import PartitionSize
from warehouse.partitions.targets import Target
from warehouse.proof.conservation import TableProof
from warehouse.state.agenda import Case
from warehouse.state.capture import Position
from warehouse.state.freshness import Freshness
from warehouse.state.requests import Request
from warehouse.state.tallies import Tally
from warehouse.tiering.map import Holding, Stock, TableMap
from warehouse.tiering.plan import Step

AT = dt.datetime(2026, 3, 15, tzinfo=dt.UTC)
JANUARY = dt.date(2026, 1, 1)
DAY = dt.timedelta(days=1)
TARGET = Target("s", "t", "source", RangePartition(range="at", name="{table}_y{year}m{month}"))


def readings() -> Readings:
    """Something of everything."""
    shelves = {"hot": Holding(5, 50, (JANUARY,)), "cold": Holding(7, 70, (JANUARY,))}
    states, outcomes = {"planned": 1, "dropped": 2}, {"flipped": 2, "dropped": 2, "undone": 0, "failed": 3}
    return Readings(
        AT,
        True,
        {"s": True, "u": False},
        {"s": True},
        {"s": 0.25},
        [PartitionSize(TARGET, "t_y2026m01", 4096)],
        {"s": [Freshness("t", 12, False, AT - dt.timedelta(hours=1)), Freshness("never", 0, True, None)]},
        [
            TableMap("s", "t", "", Stock(shelves), (Step("leave", JANUARY, ""),), (), {"hot": dt.timedelta(days=3)}),  # type: ignore[arg-type]
            TableMap("u", "t", "", Stock(), failure=ServerUnavailable("away")),
        ],
        [Tally("s", "t", "warm", states, outcomes, 700, 7000, AT)],
        [
            Case(Request(7, "erasure", "gdpr", "", AT, None, AT - DAY, AT, None, "executing", None, "somebody", AT)),
            Case(Request(8, "erasure", "gdpr", "", AT, None, AT + DAY, AT, None, "received", None, "somebody", AT)),
            Case(Request(9, "export", "ccpa", "", AT, None, AT - DAY, AT, None, "completed", None, "somebody", AT)),
        ],
        [
            CaptureState("s", {"t": Position(7, "3:3:", None), "new": None}, 50, 100, 2, AT),
            CaptureState("u", {"t": None}, failure=ServerUnavailable("away")),
        ],
        ["u: away"],
    )


def said(found: list[Metric]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What Prometheus reads of the exposition."""
    registry = CollectorRegistry()
    registry.register(Readers(lambda _: found, dt.timedelta()))
    text = generate_latest(registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


FOUND = list(families(readings(), {"s": Proof(False, 1000.0, 900.0)}))
SAID = said(FOUND)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("monitor_timestamp_seconds", {}, AT.timestamp()),
        ("monitor_failures", {}, 1),
        ("source_up", {"system": "u"}, 0),
        ("replication_lag_seconds", {"system": "s"}, 0.25),
        ("ingest_agreed_timestamp_seconds", {"system": "s", "table": "t"}, AT.timestamp() - 3600),
        ("ingest_differs", {"system": "s", "table": "never"}, 1),
        ("raw_rows", {"system": "s", "table": "t"}, 12),
        ("partition_size_bytes", {"system": "s", "table": "t", "where": "source", "partition": "t_y2026m01"}, 4096),
        ("tier_bytes", {"system": "s", "table": "t", "tier": "cold"}, 70),
        ("tier_rows", {"system": "s", "table": "t", "tier": "hot"}, 5),
        ("tier_months", {"system": "s", "table": "t", "tier": "hot"}, 1),
        ("tier_planned_steps", {"system": "s", "table": "t", "step": "leave"}, 1),
        ("tier_planned_steps", {"system": "s", "table": "t", "step": "go_on"}, 0),
        ("tier_lag_seconds", {"system": "s", "table": "t", "from_tier": "hot"}, 3 * 86400),
        ("tier_moves", {"system": "s", "table": "t", "from_tier": "warm", "state": "planned"}, 1),
        ("tier_transitions_total", {"system": "s", "table": "t", "from_tier": "warm", "outcome": "failed"}, 3),
        ("tier_moved_rows_total", {"system": "s", "table": "t", "from_tier": "warm"}, 700),
        ("lake_written_bytes_total", {"system": "s", "table": "t"}, 7000),
        ("tier_last_success_timestamp_seconds", {"system": "s", "table": "t", "from_tier": "warm"}, AT.timestamp()),
        ("capture_retained_bytes", {"system": "s"}, 50),
        ("capture_budget_bytes", {"system": "s"}, 100),
        ("capture_unread_bytes", {"system": "s"}, 2),
        ("capture_tables_to_compare", {"system": "s"}, 1),
        ("capture_read_timestamp_seconds", {"system": "s"}, AT.timestamp()),
        ("requests", {"state": "received"}, 1),
        ("requests", {"state": "denied"}, 0),
        ("requests_open", {"kind": "erasure", "law": "gdpr"}, 2),
        ("requests_open", {"kind": "export", "law": "ccpa"}, 0),
        ("requests_overdue", {"kind": "erasure", "law": "gdpr"}, 1),
        ("requests_overdue", {"kind": "export", "law": "ccpa"}, 0),
        ("requests_next_due_timestamp_seconds", {"kind": "erasure", "law": "gdpr"}, AT.timestamp() - 86400),
        ("proof_passed", {"system": "s"}, 0),
        ("proof_timestamp_seconds", {"system": "s"}, 1000),
        ("proof_last_success_timestamp_seconds", {"system": "s"}, 900),
    ],
)
def test_what_was_read_is_said(name: str, labels: dict[str, str], value: float) -> None:
    assert SAID[f"drivetrain_{name}", frozenset(labels.items())] == value


def test_what_is_not_known_is_not_said() -> None:
    assert not [key for key in SAID if re.search("tier|capture", key[0]) and ("system", "u") in key[1]]
    assert ("drivetrain_ingest_agreed_timestamp_seconds", frozenset({("system", "s"), ("table", "never")})) not in SAID
    due = {key[1] for key in SAID if key[0] == "drivetrain_requests_next_due_timestamp_seconds"}
    assert due == {frozenset({("kind", "erasure"), ("law", "gdpr")})}
    away = said(list(families(Readings(AT), None)))
    assert not [name for name, _ in away if "requests" in name]
    assert away["drivetrain_warehouse_up", frozenset()] == away["drivetrain_dagster_up", frozenset()] == 0


def test_names_are_as_prometheus_has_them() -> None:
    assert len({family.name for family in FOUND}) == len(FOUND)
    for family in FOUND:
        assert re.fullmatch(r"drivetrain_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter")
        assert not re.search(r"_(total|days|hours|minutes|ms|mb|kb)$", family.name)  # a counter's is added
        if family.type == "gauge" and "timestamp" in family.name:
            assert family.name.endswith("_timestamp_seconds")


#: Values of each are as many as the catalog, the tiers' code and the partitions have.
BOUNDED = {"system", "table", "tier", "from_tier", "step", "state", "outcome", "where", "partition", "kind", "law"}


def test_labels_are_few_and_none_is_a_value_of_a_row() -> None:
    assert {label for family in FOUND for sample in family.samples for label in sample.labels} == BOUNDED


def _names() -> dict[str, set[str]]:
    """Every series by its full name, with its labels."""
    return {sample.name: set(sample.labels) for family in FOUND for sample in family.samples}


def _rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((PROJECT / "docs" / "monitoring" / "alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_alerts_name_metrics_and_labels_that_exist() -> None:
    names = _names()
    for rule in _rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        used = re.findall(r"drivetrain_\w+", rule["expr"])
        assert rule["alert"].startswith("Drivetrain") == bool(used)
        assert set(used) <= set(names)
        labels = set[str]().union(*(names[name] for name in used))
        wanted = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
        wanted += re.findall(r"[{,](\w+)=", rule["expr"]) if used else []
        assert not used or set(wanted) <= labels


def test_metrics_and_alerts_are_documented() -> None:
    runbook = (PROJECT / "docs" / "runbooks" / "monitoring.md").read_text()
    metrics, _, alerts = runbook.partition("## Alerts")
    documented = set(re.findall(r"`(drivetrain_\w+[a-z])`", metrics))
    assert documented == set(_names())
    assert set(re.findall(r"`(Drivetrain\w+)`", alerts)) == {
        rule["alert"] for rule in _rules() if rule["alert"].startswith("Drivetrain")
    }


def test_who_scrapes_often_reads_seldom() -> None:
    read: list[dt.datetime] = []

    def reading(at: dt.datetime) -> list[Metric]:
        read.append(at)
        return []

    registry = CollectorRegistry()
    readers = Readers(reading, dt.timedelta(minutes=1))
    registry.register(readers)
    assert read == []
    generate_latest(registry)
    generate_latest(registry)
    assert len(read) == 1
    readers._at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2)
    generate_latest(registry)
    assert len(read) == 2


@pytest.mark.parametrize(
    ("text", "address"), [("127.0.0.1:9187", ("127.0.0.1", 9187)), ("[::1]:0", ("::1", 0)), ("host:1", ("host", 1))]
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert _address(text) == address


@pytest.mark.parametrize("text", ["", "9187", "127.0.0.1", "host:", ":9187", "host:99999", "host:-1", "host:http"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        _address(text)


def test_a_system_is_proven_when_all_that_it_keeps_by_month_is() -> None:
    catalog = load_catalog()
    every = [TableProof(system.system, name) for system, name in provable_tables(catalog)]
    rides = [proof for proof in every if proof.system == "bikenode"]
    deliveries = [proof for proof in every if proof.system == "logistics"]
    assert whole_systems(catalog, rides) == {"bikenode": rides}
    assert set(whole_systems(catalog, [*rides[1:], *deliveries])) == {"logistics"}
