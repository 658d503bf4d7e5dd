"""What a story holds at most, and that whoever asks is told what was left out."""

from __future__ import annotations

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.query.trace_text import read_trace
from strayline_collector.query.wire import Trace
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.story import CONSUMER, PRODUCER, Told, otlp, trace_id

SENT = [Told(f"s{n}", "shop", PRODUCER, n, n + 0.5, "s0" if n else None) for n in range(6)]
TAKEN = [
    Told(f"t{n}", "mail", CONSUMER, 20 + n, 21 + n, trace="b", links=(f"a:s{n}",)) for n in range(6)
]


@pytest.fixture
def shop(store: DuckDBStore) -> DuckDBStore:
    store.append(decode([otlp([*SENT, *TAKEN])], 1), Position(1, 1), 1)
    return store


def told(store: DuckDBStore, *, stitched: bool = True) -> tuple[Trace, list[str]]:
    with store.read() as session:
        trace = read_trace(session, trace_id("a"), stitched=stitched)
    return trace, [span["name"] for span in trace["spans"]]


def limit(monkeypatch: pytest.MonkeyPatch, **caps: int) -> None:
    for name, most in caps.items():
        monkeypatch.setattr(f"strayline_collector.query.story.{name}", most)
        if name == "MAX_SPANS":
            monkeypatch.setattr(f"strayline_collector.trace.stitch.{name}", most)


def test_a_story_within_its_bounds_is_whole(shop: DuckDBStore) -> None:
    trace, names = told(shop)
    assert (len(names), trace["truncated"], trace["truncated_by"]) == (12, False, [])


@pytest.mark.parametrize("stitched", [False, True])
def test_of_more_spans_the_earliest_are_told(
    shop: DuckDBStore, monkeypatch: pytest.MonkeyPatch, stitched: bool
) -> None:
    limit(monkeypatch, MAX_SPANS=4, MAX_ROWS=8)
    trace, names = told(shop, stitched=stitched)
    assert names == ["s0", "s1", "s2", "s3"]
    assert (trace["truncated"], trace["truncated_by"]) == (True, ["spans"])


def test_of_more_links_than_are_followed_it_is_said(
    shop: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, MAX_LINKS=2)
    trace, names = told(shop)
    assert set(names) >= {span.name for span in SENT}
    assert trace["truncated_by"] == ["links"]
