"""PROOFS.md names tests that there are."""

from __future__ import annotations

import ast
import re

from resources.settings import PROJECT

_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`( \(slow\))?")


def test_every_promise_is_held_by_a_test_that_there_is() -> None:
    text = (PROJECT / "PROOFS.md").read_text()
    promises = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert promises and all(_NAMED.search(line) for line in promises)
    named = _NAMED.findall(text)
    assert text.count("tests/") == len(named)
    for path, name, slow in named:
        tree = ast.parse((PROJECT / path).read_text())
        found = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
        assert name in found, f"{path}::{name}"
        assert not slow or "mark.slow" in ast.unparse(tree), f"{path}::{name} is not slow"
