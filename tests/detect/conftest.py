"""A test that says which verdict it shows is held to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def shown(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test marked ``shows``, its store holds such a verdict."""
    marks = list(request.node.iter_markers("shows"))
    store = request.getfixturevalue("store") if marks else None
    yield
    if store is None:
        return
    with store.read() as session:
        rows = session.rows("SELECT DISTINCT kind, verdict, cause, severity FROM verdicts")
    there = {tuple(row[n] or "" for n in ("kind", "verdict", "cause", "severity")) for row in rows}
    assert {mark.args for mark in marks} <= there
