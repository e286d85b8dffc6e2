"""Data Docs: a page per table of what became of its rules at the last check, and an index.

Great Expectations' own renderer makes pages that load styles, scripts and fonts from half a dozen public networks, and
can hardly be read without them. Here every page stands by itself, from the disk, without a network or a script.

What does not belong here: checking (``suites``).
"""

from __future__ import annotations

import datetime as dt
import html
import json
from dataclasses import dataclass
from pathlib import Path

from warehouse.quality.suites import Outcome, Verdict


@dataclass(frozen=True)
class DataDocs:
    """The site's folder."""

    folder: Path

    def write(self, verdict: Verdict) -> Path:
        """Write a table's page, and note what the index says of it."""
        suite = verdict.suite
        page = self.folder / suite.system / f"{suite.table}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        now = dt.datetime.now(dt.UTC)
        state = "stops models" if verdict.blocks else "warns" if verdict.broken else "holds"
        rules = [_rule(outcome) for outcome in sorted(verdict.outcomes, key=lambda outcome: outcome.holds)]
        key = f"keys of some ({', '.join(suite.shown)})" if suite.shown else "keys of some"
        page.write_text(
            _page(
                suite.name,
                f"<p><a href='../index.html'>All tables</a></p><h1>{suite.name}</h1>"
                f"<p>{verdict.rows:,} rows looked at ({html.escape(str(suite.window))}), {now:%Y-%m-%d %H:%M} UTC:"
                f" <b class={_CLASSES[state]}>{state}</b>.</p>"
                + _table(["rule", "severity", "result", "rows that break it", key, "expectation"], rules),
            ),
            encoding="utf-8",
        )
        said = {
            "system": suite.system, "table": suite.table, "rows": verdict.rows, "rules": len(verdict.outcomes),
            "broken": len(verdict.broken), "state": state, "window": str(suite.window),
            "checked": f"{now:%Y-%m-%d %H:%M}",
        }  # fmt: skip
        page.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
        return page

    def index(self) -> Path:
        """Write the index of all tables that were ever checked."""
        rows: list[list[str]] = []
        for path in sorted(self.folder.glob("*/*.json")):
            said = json.loads(path.read_text(encoding="utf-8"))
            rows.append([
                said["system"],
                f"<a href='{said['system']}/{said['table']}.html'>{said['table']}</a>",
                f"<span class={_CLASSES[said['state']]}>{said['state']}</span>",
                f"{said['broken']} of {said['rules']}",
                f"{said['rows']:,}",
                html.escape(said["window"]),
                said["checked"],
            ])  # fmt: skip
        page = self.folder / "index.html"
        head = ["system", "table", "verdict", "rules broken", "rows looked at", "which rows", "checked (UTC)"]
        page.write_text(
            _page(
                "Data Docs",
                "<h1>Data Docs</h1>"
                "<p>What the catalog expects of every raw table, and what was found at its last check.</p>"
                + _table(head, rows),
            ),
            encoding="utf-8",
        )
        return page


_CLASSES = {"stops models": "error", "warns": "warn", "holds": "holds"}


def _rule(outcome: Outcome) -> list[str]:
    expectation = outcome.expectation
    result = "<span class=holds>holds</span>" if outcome.holds else f"<span class={expectation.severity}>broken</span>"
    keys = "; ".join(html.escape(", ".join(key)) for key in outcome.keys)
    return [
        html.escape(expectation.rule), expectation.severity, result, f"{outcome.failed:,}", keys,
        f"<code>{outcome.asked_as}</code>",
    ]  # fmt: skip


def _table(head: list[str], rows: list[list[str]]) -> str:
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;margin:.5em 0 1.5em}
th,td{border-bottom:1px solid #ddd;padding:.35em .7em;text-align:left;vertical-align:top}
.holds{color:#17703a}.warn{color:#8a5a00}.error{color:#b3261e;font-weight:600}
"""
