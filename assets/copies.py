"""The asset of copies that persons asked for: every night those go that are past their day."""

import datetime as dt

import dagster as dg

from assets import keys
from assets.failures import failed
from resources import exports
from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.errors import DrivetrainError


def copies_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The asset, if any system knows persons."""
    return [copies_asset()] if any(system.person for system in catalog.systems.values()) else []


def copies_asset() -> dg.AssetsDefinition:
    """One for all systems: a copy is of a person in several."""

    @dg.asset(
        key=keys.copies(),
        group_name=keys.REQUESTS,
        description=(
            "Copies of their data that persons asked for (`drivetrain export list`) go when they are past their day;"
            " after a day, what is left of one whose run was cut off."
        ),
        kinds={"postgres"},
    )
    def copies(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        try:
            removed = exports.expire(Settings.load(), dt.datetime.now(dt.UTC))
        except DrivetrainError as error:
            raise failed(error, context.retry_number) from error
        if removed.residual:
            raise dg.Failure(
                description=f"{removed.residual:,} copies that are past their day cannot be removed",
                metadata={"what to do": "May the platform delete below _drivetrain/exports?"},
            )
        return dg.MaterializeResult(metadata={"removed": removed.removed})

    return copies
