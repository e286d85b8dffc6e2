"""The tier map of a system in Dagster: a picture, tables, and numbers that the UI plots over runs.

What does not belong here: what was moved and proven (``tiers``).
"""

import base64
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import dagster as dg

from warehouse.tiering.map import PLACES, SHELVES, Holding, Prices, Shelf, TableMap, freed, summary, total

#: Hot to cold, told apart in print and by the colour-blind; what is only kept is hatched.
_COLOURS = {"hot": "#d55e00", "warm": "#e6a817", "cold": "#0072b2"}
#: Read on white and on black alike, as the UI has either.
_INK = "#808890"
_WIDTH, _BAR, _DPI = 7.2, 0.34, 80


def map_metadata(maps: Sequence[TableMap], prices: Prices) -> dict[str, Any]:
    """What the page of a system's tiers shows of its map; what could not be read is left out, and said."""
    picture = base64.b64encode(png(maps)).decode()
    shelves = total(maps)
    known = not any(each.failure for each in maps)
    kept = shelves["hot_kept"].bytes + shelves["warm_kept"].bytes
    later = freed(maps, now=False)
    lags = [lag.total_seconds() for each in maps for lag in each.lag.values()]
    return {
        "map": dg.MetadataValue.md(
            f"![Bytes per tier](data:image/png;base64,{picture})\n\n"
            f"{_shelves(maps, prices)}\n\n{_back(maps)}{_coming(maps)}"
        ),
        "tonight": summary(maps),
        **({"hot_bytes": shelves["hot"].bytes, "kept_bytes": kept} if known else {}),
        "warm_bytes": shelves["warm"].bytes,
        "cold_bytes": shelves["cold"].bytes,
        "frees_at_source_bytes": later["hot"],
        "frees_in_warehouse_bytes": later["warm"],
        "cost_a_month": float(round(sum((each.cost(prices) for each in maps), Decimal()), 6)),
        "lag_days": round(max(lags, default=0) / 86400, 2),
    }


def _shelves(maps: Sequence[TableMap], prices: Prices) -> str:
    rows: list[str] = []
    for each in maps:
        named = each.table
        for shelf, held in each.stock.shelves.items():
            if held.bytes:
                cost = f"{prices.cost(shelf, held.bytes):,.4f}"
                rows.append(f"| {named} | {SHELVES[shelf][1]} | {held.span} | {held.rows:,} | {_mb(held)} | {cost} |")
                named = ""
    unknown = [f"\n\n**{each.table}**: not all is known: {each.failure.message}" for each in maps if each.failure]
    return (
        f"| table | tier | months | rows | MB | {prices.currency} a month |\n|---|---|---|--:|--:|--:|\n"
        + "\n".join(rows)
        + f"\n\nAt {prices}."
        + "".join(unknown)
    )


def _back(maps: Sequence[TableMap]) -> str:
    # Why is what somebody wrote: kept in its cell.
    rows = [
        f"| {each.table} | {back.month:%Y-%m} | {back.rows:,} | {back.bytes / 1e6:,.1f} "
        f"| {back.until:%Y-%m-%d %H:%M} | {' '.join(back.reason.split()).replace('|', '&#124;')} |"
        for each in maps
        for back in each.stock.back
    ]
    head = "| back from the lake | month | rows | MB | until (UTC) | why |\n|---|---|--:|--:|---|---|\n"
    return head + "\n".join(rows) + "\n\n" if rows else ""


def _coming(maps: Sequence[TableMap]) -> str:
    rows: list[str] = []
    for each in maps:
        named = each.table
        for coming in each.coming:
            what = coming.what
            rows.append(
                f"| {named} | {coming.title} | {what.span} | {len(what.months)} | {what.rows:,} | {_mb(what)} "
                f"| {PLACES[coming.from_tier]} | {coming.reason} |"
            )
            named = ""
    head = "| tonight | step | months | count | rows | frees MB | where | why |\n|---|---|---|--:|--:|--:|---|---|\n"
    return head + "\n".join(rows) if rows else "Tonight nothing moves, and nothing waits."


def _mb(held: Holding) -> str:
    return f"{held.bytes / 1e6:,.1f}"


def png(maps: Sequence[TableMap]) -> bytes:
    """A bar for each table, stacked from hot to cold; transparent, for a light page and a dark one."""
    # Not at the top: matplotlib takes a second to import.
    from matplotlib.figure import Figure

    unit, factor = _unit(max((_bytes(each) for each in maps), default=0))
    figure = Figure(figsize=(_WIDTH, 0.9 + _BAR * len(maps)), dpi=_DPI, layout="constrained")
    axes: Any = figure.subplots()
    names = [each.table + (" (source not known)" if each.failure else "") for each in maps]
    places = range(len(maps))
    shelf: Shelf
    before = [0.0] * len(maps)
    for shelf, (tier, title) in SHELVES.items():
        sizes = [each.stock.shelves.get(shelf, Holding()).bytes / factor for each in maps]
        if any(sizes):
            kept = {"alpha": 0.45, "hatch": "////"} if shelf.endswith("_kept") else {}
            axes.barh(places, sizes, left=before, label=title, color=_COLOURS[tier], height=0.7, **kept)
        before = [left + size for left, size in zip(before, sizes, strict=True)]
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlabel(unit, fontsize=9, color=_INK)
    axes.tick_params(labelsize=9, colors=_INK)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    if any(before):
        figure.legend(loc="outside upper left", ncols=5, fontsize=9, frameon=False, labelcolor=_INK)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", transparent=True)
    return picture.getvalue()


def _bytes(each: TableMap) -> int:
    return sum(held.bytes for held in each.stock.shelves.values())


def _unit(largest: int) -> tuple[str, int]:
    return ("TB", 10**12) if largest >= 10**13 else ("GB", 10**9) if largest >= 10**10 else ("MB", 10**6)
