"""The one composition root: catalog in, Dagster definitions out. ``workspace.yaml`` names this module."""

from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource

from assets.capture import capture_assets
from assets.copies import copies_assets
from assets.ingestion import ingestion_assets
from assets.models import model_assets
from assets.partitions import partition_assets
from assets.quality import quality_checks
from assets.recomputation import recomputation_checks
from assets.requests import requests_asset, requests_events
from assets.retention import retention_assets
from assets.tiers import tier_assets
from pipelines.erasure_job import erasure_job
from pipelines.jobs import (
    capture_job,
    ingest_jobs,
    models_job,
    partitions_job,
    refresh_jobs,
    requests_job,
    retention_jobs,
    tiers_job,
)
from resources.alerts import Alerts
from resources.databases import SourceSnapshots, Warehouse
from resources.dbt import DBT_EXECUTABLE, DBT_PROJECT, ensure_manifest
from resources.settings import Settings
from sensors.erasure import erasure_sensor
from sensors.failures import failed_runs, models_sensor
from warehouse.catalog import Catalog

# Pinned, and its beta parts are used knowingly (backfill policies): its warnings say nothing to a user of ours.
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def build_definitions(catalog: Catalog, manifest: Path) -> dg.Definitions:
    """All definitions for a catalog and a parsed dbt project.

    Args:
        catalog: the policies.
        manifest: path of dbt's ``manifest.json``.
    """
    recomputation = recomputation_checks(manifest, catalog)
    quality = quality_checks(catalog)
    nightly, before_models = dg.AssetSelection.checks(recomputation), dg.AssetSelection.checks(*quality)
    partitions = partition_assets(catalog)
    tiers = tier_assets(catalog)
    retention = [*retention_assets(catalog), *copies_assets(catalog)]
    requests = requests_asset()
    captured = capture_assets(catalog)
    maintained = dg.AssetSelection.assets(*partitions, *tiers, *retention, *captured, requests)
    models = models_job(catalog, nightly, before_models, maintained)
    return dg.Definitions(
        assets=[
            *ingestion_assets(catalog),
            model_assets(manifest, catalog),
            *partitions,
            *tiers,
            *retention,
            *captured,
            requests,
        ],
        asset_checks=[*quality, recomputation],
        jobs=[*ingest_jobs(catalog, before_models), models, erasure_job],
        schedules=[
            *refresh_jobs(catalog, nightly, maintained),
            partitions_job(dg.AssetSelection.assets(*partitions)),
            *([tiers_job(dg.AssetSelection.assets(*tiers))] if tiers else []),
            *(retention_jobs(catalog, dg.AssetSelection.assets(*retention)) if retention else []),
            *([capture_job(dg.AssetSelection.assets(*captured))] if captured else []),
            requests_job(dg.AssetSelection.assets(requests)),
        ],
        sensors=[failed_runs, models_sensor(models), erasure_sensor(erasure_job, requests_events)],
        resources={
            "snapshots": SourceSnapshots(),
            "destination": Warehouse(),
            "alerts": Alerts(),
            "dbt": DbtCliResource(project_dir=str(DBT_PROJECT), dbt_executable=str(DBT_EXECUTABLE)),
        },
        # One process per run: starting a process for every step costs more than most steps do.
        executor=dg.in_process_executor,
    )


def load_definitions() -> dg.Definitions:
    """Definitions of the catalog and project that the settings name."""
    settings = Settings.load()
    return build_definitions(settings.catalog(), ensure_manifest(settings))


defs = load_definitions()
