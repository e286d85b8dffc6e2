"""The tier map, for people and scripts: whole (``drivetrain tiers map``), and in short (``drivetrain status``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich.markup import escape
from rich.table import Table

from pipelines.cli.output import console
from warehouse.tiering.map import PLACES, SHELVES, Holding, Prices, Shelf, TableMap, freed, sized, summary, total

#: From so many columns on, size and rows of a tier stand on one line.
_WIDE = 100


def show_map(maps: Sequence[TableMap], prices: Prices) -> None:
    """Print what lies where, and what the next run does."""
    shown = Table("table", "tier", "months", "rows", "size", f"{prices.currency}/month", box=None, header_style="bold")
    for column in (3, 4, 5):
        shown.columns[column].justify = "right"
    for each in maps:
        _add(shown, each.name, each.stock.shelves, prices)
    if len(maps) > 1:
        shown.add_section()
        shown.add_row()
        _add(shown, "all", total(maps), prices, style="bold")
    console.print(shown)
    console.print(_costs(maps, prices), soft_wrap=True)
    console.print()
    _show_back(maps)
    _show_coming(maps)
    for each in maps:
        if each.failure is not None:
            console.print(f"  [red]not known[/] {each.name}: {escape(str(each.failure))}", soft_wrap=True)


def show_map_briefly(maps: Sequence[TableMap], prices: Prices) -> None:
    """Print a line for each table, size and rows of each tier, and what comes in a sentence."""
    console.print()
    shown = Table("tiers", "hot", "warm", "kept", "cold", "tonight", box=None, header_style="bold")
    shown.columns[0].no_wrap = True
    for column in (1, 2, 3, 4):
        shown.columns[column].justify = "right"
    for system, tables in groupby(maps, key=lambda each: each.system):
        shown.add_row(system)
        for each in tables:
            shelves = each.stock.shelves
            kept = sum((held for shelf, held in shelves.items() if shelf.endswith("_kept")), Holding())
            cells = [_cell(held) for held in (shelves.get("hot"), shelves.get("warm"), kept, shelves.get("cold"))]
            shown.add_row(f"  {each.table}", *cells, "[red]not known[/]" if each.failure else _tonight(each))
    console.print(shown)
    console.print(summary(maps), soft_wrap=True)
    console.print(_costs(maps, prices) + "\n`drivetrain tiers map` says more.", soft_wrap=True)


def map_as_json(maps: Sequence[TableMap], prices: Prices) -> dict[str, Any]:
    """For scripts. A tier that could not be looked at is missing."""
    return {
        "prices": {"hot": float(prices.hot), "warm": float(prices.warm), "cold": float(prices.cold)},
        "prices_are_assumed": prices.assumed,
        "currency": prices.currency,
        "cost": float(sum((each.cost(prices) for each in maps), Decimal())),
        "frees": {
            when: {PLACES[tier]: size for tier, size in freed(maps, now=now).items()}
            for when, now in (("tonight", True), ("after_grace", False))
        },
        "tables": [
            {
                "system": each.system,
                "table": each.table,
                "tiers": {
                    shelf: {**_held(held), "cost": float(prices.cost(shelf, held.bytes))}
                    for shelf, held in each.stock.shelves.items()
                },
                "cost": float(each.cost(prices)),
                "tonight": [
                    {"step": coming.kind, "at": PLACES[coming.from_tier], **_held(coming.what), "reason": coming.reason}
                    for coming in each.coming
                ],
                "back": [
                    {
                        "month": f"{back.month:%Y-%m}",
                        "rows": back.rows,
                        "bytes": back.bytes,
                        "until": back.until.isoformat(),
                        "reason": back.reason,
                    }
                    for back in each.stock.back
                ],
                "lag_seconds": {tier: lag.total_seconds() for tier, lag in each.lag.items()},
                **({"error": each.failure.message, "hint": each.failure.hint} if each.failure else {}),
            }
            for each in maps
        ],
    }


def _held(held: Holding) -> dict[str, Any]:
    first, last = (f"{month:%Y-%m}" for month in (held.months[0], held.months[-1])) if held.months else (None, None)
    return {"rows": held.rows, "bytes": held.bytes, "months": len(held.months), "first": first, "last": last}


def _add(shown: Table, name: str, shelves: Mapping[Shelf, Holding], prices: Prices, style: str | None = None) -> None:
    first = True
    for shelf, (_, title) in SHELVES.items():
        held: Holding | None = shelves.get(shelf)
        if held is None and shelf == "hot":
            shown.add_row(name if first else "", title, "[red]not known[/]", style=style)
        elif held is None or (not held.bytes and shelf not in ("hot", "warm")):
            continue
        else:
            cost = money(prices.cost(shelf, held.bytes))
            shown.add_row(
                name if first else "", title, held.span, f"{held.rows:,}", sized(held.bytes), cost, style=style
            )
        first = False


def _show_back(maps: Sequence[TableMap]) -> None:
    shown = Table("back from the lake", "month", "rows", "size", "until (UTC)", "why", box=None, header_style="bold")
    for column in (2, 3):
        shown.columns[column].justify = "right"
    for column in (0, 1, 4):
        shown.columns[column].no_wrap = True
    for each in maps:
        for back in each.stock.back:
            first = back is each.stock.back[0]
            shown.add_row(
                each.name if first else "",
                f"{back.month:%Y-%m}",
                f"{back.rows:,}",
                sized(back.bytes),
                f"{back.until:%Y-%m-%d %H:%M}",
                escape(back.reason),
            )
    if shown.row_count:
        console.print(shown)
        console.print()


def _show_coming(maps: Sequence[TableMap]) -> None:
    shown = Table("tonight", "step", "months", "", "rows", "frees", "why", box=None, header_style="bold")
    for column in (3, 4, 5):
        shown.columns[column].justify = "right"
    for column in (0, 1, 2):
        shown.columns[column].no_wrap = True
    for each in maps:
        for coming in each.coming:
            what, first = coming.what, coming is each.coming[0]
            shown.add_row(
                each.name if first else "",
                coming.title,
                what.span,
                str(len(what.months)),
                f"{what.rows:,}",
                sized(what.bytes) if what.bytes else "",
                escape(coming.reason),
                style="dim" if coming.kind in ("keep", "wait") else None,
            )
    if shown.row_count:
        console.print(shown)
    console.print(summary(maps), soft_wrap=True)


def _costs(maps: Sequence[TableMap], prices: Prices) -> str:
    cost = sum((each.cost(prices) for each in maps), Decimal())
    but = ", without what is not known" if any(each.failure for each in maps) else ""
    return f"{money(cost)} {prices.currency} a month{but}, at {prices}."


def money(amount: Decimal) -> str:
    """Two decimals; four where these would be lost."""
    return f"{amount:,.2f}" if amount >= 1 or not amount else f"{amount:,.4f}"


def _cell(held: Holding | None) -> str:
    if held is None:
        return "[red]?[/]"
    between = " · " if console.width >= _WIDE else "\n"
    return f"{sized(held.bytes)}{between}{_short(held.rows)}" if held.bytes else ""


def _short(rows: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if rows >= size:
            return f"{rows / size:,.0f}{unit}" if rows >= 10 * size else f"{rows / size:,.1f}{unit}"
    return str(rows)


def _tonight(each: TableMap) -> str:
    """``29 → warm, 18 wait``."""
    moves = dict[str, int]()
    for coming in each.coming:
        if coming.kind in ("go on", "leave", "join", "cool"):
            to = "→ warm" if coming.from_tier == "hot" else "→ cold"
            moves[to] = moves.get(to, 0) + len(coming.what.months)
        elif coming.kind == "wait":
            moves["wait"] = moves.get("wait", 0) + len(coming.what.months)
    return ", ".join(f"{count} {what}" for what, count in moves.items())
