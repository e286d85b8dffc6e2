"""What makes raw tables and models anew after a person was erased, the same on the command line and in Dagster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from resources.erasure import forget_in_models
from resources.settings import Settings
from warehouse.erasure.carrying import Rebuild
from warehouse.erasure.scope import Scope
from warehouse.errors import DrivetrainError, TransientError

if TYPE_CHECKING:
    import dagster as dg


def rebuild_for(settings: Settings, request: int | None, within: dg.DagsterInstance | None = None) -> Rebuild:
    """For ``resources.erasure.run``: runs of their own, tagged with the request, ingest and build.

    Args:
        settings: where everything is.
        request: which is carried out; None: several.
        within: the open instance of the run that carries it out; of the settings if left out.
    """

    def rebuild(scopes: Mapping[str, Scope]) -> dict[str, int]:
        """Raw tables become what their sources are now, where what stays was changed; then models follow."""
        from assets import keys
        from assets.ingestion import history_starts
        from pipelines.cli.output import counted
        from pipelines.cli.running import made_from, run_job
        from pipelines.jobs import INGEST, MODELS, month_tags
        from resources.attempts import REQUEST

        systems, catalog, tags = sorted(scopes), settings.catalog(), {} if request is None else {REQUEST: str(request)}
        months = month_tags(history_starts(catalog), dt.datetime.now(dt.UTC).date().replace(day=1))
        raw = [keys.raw(system, name) for system in systems for name in catalog.systems[system].tables]
        summary = run_job(INGEST, tags={**months, **tags}, keys=raw, within=within)
        if summary.success:  # others' models name nobody of these
            summary = run_job(MODELS, tags=tags, keys=made_from(MODELS, raw), within=within)
        if not summary.success:
            reasons = (
                ", ".join(sorted(set(summary.failures.values()))) or f"{counted(len(summary.checks_failed), 'check')}"
            )
            raise (TransientError if summary.may_pass else DrivetrainError)(
                f"models of {', '.join(systems)} could not be made anew: {reasons}",
                hint="What was erased stays so. Mend them, then run the request again.",
            )
        return forget_in_models(settings, scopes)

    return rebuild
