"""A story in pages says of its spans and its critical path what the whole of it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.collector import RunningCollector


@pytest.fixture(scope="module")
def whole(collector: RunningCollector) -> dict[str, Any]:
    finding = next(f for f in collector.findings() if f["cause"] == "requeue")
    trace = finding["messages"][0]["trace_id"]
    return collector.get(f"/api/v1/traces/{trace}", stitch="true")


def _pages(collector: RunningCollector, path: str, limit: int) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = collector.get(path, stitch="true", limit=limit, **({"cursor": cursor} if cursor else {}))  # fmt: skip
        assert 0 < len(page["items"]) <= limit
        yield page
        cursor = page["next_cursor"]
        if cursor is None:
            return


def test_pages_of_spans_are_the_trace(collector: RunningCollector, whole: dict[str, Any]) -> None:
    pages = list(_pages(collector, f"/api/v1/traces/{whole['trace_id']}/spans", 7))
    told = [span for page in pages for span in page["items"]]
    assert {page["span_count"] for page in pages} == {len(whole["spans"])}
    assert {page["start_unix_nano"] for page in pages} == {min(s["start_unix_nano"] for s in whole["spans"])}  # fmt: skip
    assert told == [
        {name: len(span["events"]) if name == "events" else span[name] for name in told[0]}
        for span in whole["spans"]
    ]
    assert any(span["queue_wait_ns"] for span in told)
    assert any(span["findings"] for span in told)


def test_pages_of_the_critical_path_are_the_path(
    collector: RunningCollector, whole: dict[str, Any]
) -> None:
    pages = list(_pages(collector, f"/api/v1/traces/{whole['trace_id']}/critical_path", 6))
    told = [segment for page in pages for segment in page["items"]]
    spans = {(s["trace_id"], s["span_id"]): s for s in whole["spans"]}
    assert told == [
        {**segment, **{name: spans[segment["trace_id"], segment["span_id"]][name] for name in ("service", "name")}}
        for segment in whole["critical_path"]
    ]  # fmt: skip
    lengths = [s["end_unix_nano"] - s["start_unix_nano"] for s in told]
    assert {(p["total_ns"], p["segment_count"]) for p in pages} == {(sum(lengths), len(told))}


def test_one_span_says_who_it_is(collector: RunningCollector, whole: dict[str, Any]) -> None:
    for span in whole["spans"][:3]:
        (one,) = collector.get(f"/api/v1/traces/{span['trace_id']}/spans/{span['span_id']}")["items"]  # fmt: skip
        names = ("service", "name", "kind", "start_unix_nano", "end_unix_nano", "status", "attributes")  # fmt: skip
        assert {name: one[name] for name in names} == {name: span[name] for name in names}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("0/spans", 404, "no trace 0"),
        ("0/critical_path", 404, "no trace 0"),
        ("0/spans?cursor=x", 400, "next_cursor"),
        ("0/spans?limit=0", 400, "limit"),
    ],
)
def test_what_cannot_be_answered_says_why(
    collector: RunningCollector, path: str, status: int, words: str
) -> None:
    answer = httpx.get(f"http://{collector.api}/api/v1/traces/{path}")
    assert answer.status_code == status
    assert words in answer.json()["detail"]
