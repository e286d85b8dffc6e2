"""A look at two marts, as the demo ends with: who leads, and what the shops sell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from rich.table import Table

from pipelines.cli.output import console
from resources.settings import Settings
from warehouse.postgres.sessions import connect, translated


@dataclass(frozen=True)
class Highlight:
    """A mart, and the query whose rows are shown, with headings as it names its columns."""

    title: str
    mart: str
    query: LiteralString


HIGHLIGHTS = (
    Highlight(
        "Riders who earned most",
        "marts.rider_leaderboard",
        """
        SELECT earnings_rank AS place, to_char(rank_movement, 'FMS999990') AS "since yesterday", name AS rider, city,
               city_rank AS "in city", to_char(total_earnings, 'FM999,999,990.00') AS "earned (INR)",
               completed_orders AS delivered, avg_rating AS rating
          FROM marts.rider_leaderboard ORDER BY earnings_rank, rider_id LIMIT 5
        """,
    ),
    Highlight(
        "Shops that sold most",
        "marts.shop_analytics",
        """
        SELECT name AS shop, total_orders AS orders, avg_order_value AS "mean value",
               round(avg_fulfillment_time / 86400, 1) AS "mean days to delivery", avg_rating AS rating
          FROM marts.shop_analytics ORDER BY total_orders DESC, shop_id LIMIT 5
        """,
    ),
)


def show_highlights(settings: Settings) -> None:
    """Print the first rows of each highlighted mart that is there."""
    with connect(settings.warehouse(), read_only=True) as connection, translated("warehouse"):
        for highlight in HIGHLIGHTS:
            found = connection.execute("SELECT to_regclass(%s)", (highlight.mart,)).fetchone()
            if found is None or found[0] is None:
                continue
            cursor = connection.execute(highlight.query)
            headings = [column.name for column in cursor.description or ()]
            title = f"{highlight.title} ({highlight.mart})"
            table = Table(*headings, title=title, title_justify="left", box=None, header_style="bold")
            for row in cursor:
                table.add_row(*("" if value is None else str(value) for value in row))
            console.print()
            console.print(table)
