"""How rows of a query look: on a terminal, on one that is too narrow, and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.cli import query

NAMES = ["id", "count(*)", "a very long heading of a column"]
LONG = "x" * 150
ROWS = [(1, None, LONG), (2, 7, "[bold]short[/]")]


def shown(monkeypatch: pytest.MonkeyPatch, width: int, *, terminal: bool) -> str:
    printed = Console(file=io.StringIO(), width=width, force_terminal=terminal, no_color=True, highlight=False)
    monkeypatch.setattr(query, "console", printed)
    query._show(NAMES, ROWS)
    assert isinstance(printed.file, io.StringIO)
    return printed.file.getvalue()


def test_a_pipe_takes_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    head, first, second = shown(monkeypatch, 80, terminal=False).splitlines()
    assert head.split(maxsplit=2)[:2] == NAMES[:2]
    assert NAMES[2] in head
    assert first.split() == ["1", LONG]
    assert second.split() == ["2", "7", "[bold]short[/]"]


def test_a_wide_terminal_has_a_line_for_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shown(monkeypatch, 200, terminal=True).splitlines()) == 3


@pytest.mark.parametrize("width", [80, 30])
def test_a_narrow_terminal_has_a_line_for_each_column_and_cuts_nothing(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    text = shown(monkeypatch, width, terminal=True)
    assert "…" not in text
    assert text.count("x") == len(LONG)
    assert text.index("row 1") < text.index("row 2")
    assert "".join(text.split()).count("".join(NAMES[2].split())) == (2 if width == 80 else 0)
