"""Jobs and schedules, derived from the catalog and from the cadence tag of each dbt model."""

import datetime as dt
from typing import Any

import dagster as dg

from assets import keys
from assets.ingestion import history_starts
from resources.retention import short_lived
from warehouse.catalog import Catalog

#: Cron (UTC) and months looked at before the current one; None is all history. The minutes keep the schedules out of
#: each other's way and of the 02:00 backup. The daily run proves every month again, so that a row of any age is found.
CADENCES: dict[str, tuple[str, int | None]] = {
    "hourly": ("5 * * * *", 1),
    "six_hourly": ("25 */6 * * *", 1),
    "daily": ("45 3 * * *", None),
}

# The tags by which Dagster selects a range of partitions for one run.
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

EVERYTHING = "daily"
INGEST = "ingest"
MODELS = "models"
PARTITIONS = "partitions"
TIERS = "tiers"
RETENTION = "retention"
REQUESTS = "requests"
CAPTURE = "capture"


def month_tags(first: dt.date, last: dt.date) -> dict[str, str]:
    """Run tags that select months (first days) for the tables that are ingested by month."""
    return {_RANGE_START: f"{first:%Y-%m-%d}", _RANGE_END: f"{last:%Y-%m-%d}"}


def recent_months(catalog: Catalog, today: dt.date, back: int | None) -> tuple[dt.date, dt.date]:
    """The current month and ``back`` months before it, or all history where ``back`` is None."""
    last, start = today.replace(day=1), history_starts(catalog)
    if back is None:
        return start, last
    index = last.year * 12 + last.month - 1 - back
    return max(start, dt.date(index // 12, index % 12 + 1, 1)), last


def refresh_jobs(
    catalog: Catalog, nightly: dg.AssetSelection, others: dg.AssetSelection
) -> list[dg.ScheduleDefinition]:
    """One scheduled job per cadence: the models tagged so, and all that they are made from.

    The daily one covers every raw table, every model and the checks ``nightly``, which cost a look at all rows; the
    assets ``others`` have a schedule of their own.
    """
    return [_refresh(catalog, cadence, cron, back, nightly, others) for cadence, (cron, back) in CADENCES.items()]


def ingest_jobs(catalog: Catalog, before_models: dg.AssetSelection) -> list[Any]:
    """Jobs for launching by hand: ingest all systems, or one, and build nothing.

    They leave the checks ``before_models`` to whatever builds models.
    """
    return [
        dg.define_asset_job(
            INGEST, selection=_raw(catalog) - before_models, description="Ingest every table of every system."
        ),
        *(
            dg.define_asset_job(
                f"{INGEST}_{name}",
                selection=dg.AssetSelection.key_prefixes([system.raw_schema]) - before_models,
                description=f"Ingest every table of {system.title}, under one snapshot.",
            )
            for name, system in catalog.systems.items()
        ),
    ]


def models_job(
    catalog: Catalog, nightly: dg.AssetSelection, before_models: dg.AssetSelection, others: dg.AssetSelection
) -> Any:
    """The job that ingests nothing, checks the raw tables and builds all models; without the checks ``nightly`` and
    the assets ``others``.
    """
    selection = (dg.AssetSelection.all() - _raw(catalog) - others - nightly) | before_models
    return dg.define_asset_job(MODELS, selection=selection, description="Build and test every dbt model.")


def partitions_job(partitions: dg.AssetSelection) -> dg.ScheduleDefinition:
    """Maintenance of partitions, daily: long before anything is due, so that a day that fails costs nothing."""
    job = dg.define_asset_job(
        PARTITIONS, selection=partitions, description="Keep the partitions of every system ahead of time."
    )
    return _schedule(
        job, "40 1 * * *", "Makes the partitions of the coming periods, and mends what differs from their parents."
    )


def tiers_job(tiers: dg.AssetSelection) -> dg.ScheduleDefinition:
    """Months that are due move at night, after the partitions that take their late rows were looked after."""
    job = dg.define_asset_job(
        TIERS, selection=tiers, description="Move months hot → warm → cold, and account for every row."
    )
    return _schedule(job, "20 4 * * *", "Moves months down the tiers, and proves that every row is accounted for.")


def retention_jobs(catalog: Catalog, retention: dg.AssetSelection) -> list[dg.ScheduleDefinition]:
    """Rows that reached their retention go at night, after months have moved; those of a short life every hour."""
    job = dg.define_asset_job(
        RETENTION, selection=retention, description="Delete what is past its age from every tier, but for legal holds."
    )  # and copies for persons, which go on their day whatever is held
    schedules = [_schedule(job, "50 4 * * *", "Deletes rows that are past the age that their policy gives them.")]
    for name, system in catalog.systems.items():
        if tables := short_lived(system):
            key = keys.retention(name)
            hourly = dg.define_asset_job(
                f"{RETENTION}_{name}_short_lived",
                selection=dg.AssetSelection.assets(key),
                config={"ops": {key.to_python_identifier(): {"config": {"tables": tables}}}},
                description=f"Delete what is past its age from {', '.join(tables)} of {system.title}.",
            )
            said = "Tables whose rows live for less than a week are looked at every hour."
            schedules.append(_schedule(hourly, "35 * * * *", said))
    return schedules


def capture_job(captured: dg.AssetSelection) -> dg.ScheduleDefinition:
    """Every five minutes: a run costs seconds, and little else where nothing changed."""
    job = dg.define_asset_job(
        CAPTURE, selection=captured, description="Apply what changed in captured tables since the last run."
    )
    return _schedule(job, "*/5 * * * *", "Reads the log of every system with captured tables, and applies it.")


def requests_job(requests: dg.AssetSelection) -> dg.ScheduleDefinition:
    """Requests of persons are looked at in the morning, so that there is a day to do what is due."""
    job = dg.define_asset_job(
        REQUESTS, selection=requests, description="Show how all requests of persons stand; fail if one is overdue."
    )
    return _schedule(job, "10 6 * * *", "Alerts on requests of persons that are overdue or soon due.")


def _schedule(job: Any, cron: str, description: str) -> dg.ScheduleDefinition:
    """On from the start, by UTC."""
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


def _raw(catalog: Catalog) -> dg.AssetSelection:
    return dg.AssetSelection.key_prefixes(*([system.raw_schema] for system in catalog.systems.values()))


def _refresh(
    catalog: Catalog,
    cadence: str,
    cron: str,
    back: int | None,
    nightly: dg.AssetSelection,
    others: dg.AssetSelection,
) -> dg.ScheduleDefinition:
    everything = cadence == EVERYTHING
    selection = (
        dg.AssetSelection.all() - others if everything else dg.AssetSelection.tag(cadence, "").upstream() - nightly
    )
    job = dg.define_asset_job(
        cadence,
        selection=selection,
        description=(
            "Every raw table, all its months, every model, and whether incremental models equal their recomputation."
            if everything
            else f"Models refreshed {cadence.replace('_', '-')} and the raw tables that they are made from."
        ),
    )

    @dg.schedule(
        name=f"{cadence}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Refreshes what is due {cadence.replace('_', '-')}: "
        + (f"the current month and {back} before." if back is not None else "all months, proven against the sources."),
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        moment = context.scheduled_execution_time.astimezone(dt.UTC)
        return dg.RunRequest(run_key=moment.isoformat(), tags=month_tags(*recent_months(catalog, moment.date(), back)))

    return schedule
