"""Findings as the API tells them: filters, pages of messages, their SQL, triage over a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.said import Judge, verdict
from tests.support.collector import RunningCollector, running_collector

NAMES = ("it's", 'a "b"', "ü;--", "x\\y", "billing.orders")


def stored(path: str) -> None:
    """A file with a finding of 120 messages and context, findings of odd names, a retracted one."""
    store = DuckDBStore.open(path)
    judge = Judge(store)
    rows = [verdict(f"m{n:03}", n / 100, message_id=f"id{n}", queue="many") for n in range(120)]
    rows += [verdict("first", queue="many", role="overtaker")]
    rows += [
        verdict(f"odd{n}", 1000 + n, queue=name, routing_key=name, severity="error", cause="broker")
        for n, name in enumerate(NAMES)
    ]
    rows += [verdict("none", queue=None, broker=None, kind="unroutable", role="missing", cause=None, severity="info",
                     confidence="inferred", evidence='{"expected_queues": [], "actual_queues": []}')]  # fmt: skip
    judge(*rows, verdict("gone", queue="gone"))
    judge(*rows)
    store.close()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    # detectors of the collector's own find nothing; what is stored stays until its keys are touched
    path = str(tmp_path_factory.mktemp("findings") / "x.duckdb")
    stored(path)
    with running_collector(path) as found:
        yield found


def messages(finding: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("trace_id", "producer_span_id", "message_id", "queue", "role", "cause", "confidence")
    return [tuple(m[name] for name in names) for m in finding["messages"]]


def test_a_findings_own_sql_gives_its_messages(collector: RunningCollector) -> None:
    found = collector.findings()
    assert len(found) == 7
    for finding in found:
        answer = collector.post("/api/v1/sql", {"sql": finding["sql"], "max_rows": 10_000})
        names = [column["name"] for column in answer["columns"]]
        rows = [dict(zip(names, row, strict=True)) for row in answer["rows"]]
        told = (
            "trace_id",
            "producer_span_id",
            "message_id",
            "queue",
            "role",
            "cause",
            "confidence",
        )
        assert [tuple(row[name] for name in told) for row in rows] == messages(finding)


def test_messages_are_cut_off_at_100_unless_all_are_asked_for(collector: RunningCollector) -> None:
    page = collector.get("/api/v1/findings", queue="many")["items"][0]
    assert (len(page["messages"]), page["messages_truncated"], page["count"]) == (100, True, 120)
    for path in ("/api/v1/findings", f"/api/v1/findings/{page['id']}"):
        got = collector.get(path, messages="all", **({"queue": "many"} if path[-1] == "s" else {}))
        finding = got["items"][0] if "items" in got else got
        assert (len(finding["messages"]), finding["messages_truncated"]) == (121, False)
        assert finding["messages"][-1]["role"] == "overtaker"


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 7),
        ({"kind": "reordered"}, 6),
        ({"kind": "lost"}, 0),
        ({"severity": "error"}, 5),
        ({"severity": "info"}, 1),
        ({"status": "open"}, 7),
        ({"status": "retracted"}, 1),
        ({"status": "provisional"}, 0),
        ({"triage": "new"}, 7),
        ({"triage": "muted"}, 0),
        ({"confidence": "inferred"}, 1),
        ({"queue": "it's"}, 1),
        ({"since": str(1002 * 60 * 1_000_000_000)}, 3),
        ({"kind": "reordered", "severity": "warning", "confidence": "proven"}, 1),
    ],
)
def test_lists_are_narrowed(collector: RunningCollector, asked: dict[str, str], count: int) -> None:
    assert len(collector.get("/api/v1/findings", **asked)["items"]) == count


@pytest.mark.parametrize("asked", ["severity=bad", "status=closed", "triage=old", "since=soon"])
def test_a_filter_that_cannot_be_is_refused(collector: RunningCollector, asked: str) -> None:
    answer = httpx.get(f"http://{collector.api}/api/v1/findings?{asked}", timeout=30)
    assert answer.status_code == 400
    assert asked.partition("=")[0] in answer.json()["detail"]


def test_a_list_pages_without_gap_or_repetition(collector: RunningCollector) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 3} | ({} if cursor is None else {"cursor": cursor})
        page = collector.get("/api/v1/findings", **params)
        seen += [f["id"] for f in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


def test_only_triage_can_be_changed_and_it_survives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    stored(path)
    with running_collector(path) as first:
        finding = first.get("/api/v1/findings", queue="many")["items"][0]
        url = f"http://{first.api}/api/v1/findings/{finding['id']}"
        for name in ("severity", "status", "count", "title"):
            refused = httpx.patch(url, json={name: "x"}, timeout=30)
            assert (refused.status_code, name in refused.text) == (400, True)
        said = {"triage": "muted", "muted_until": "2100-01-01T00:00:00Z", "note": "deploy window"}
        assert httpx.patch(url, json=said, timeout=30).status_code == 200
        first.terminate()
    with running_collector(path) as second:
        again = second.get(f"/api/v1/findings/{finding['id']}")
        changed = {"updated_at", "triage", "muted_until", "note"}
        assert {k: v for k, v in again.items() if k not in changed} == {
            k: v for k, v in finding.items() if k not in changed
        }
        assert (again["triage"], again["note"]) == ("muted", "deploy window")
        assert again["muted_until"].startswith("2100-01-01")
        assert second.get("/api/v1/findings", triage="muted")["items"][0]["id"] == finding["id"]


def test_settling_at_a_time_ends_the_waiting_too(collector: RunningCollector) -> None:
    answer = httpx.post(
        f"http://{collector.api}/api/v1/detection/settle",
        params={"now": time.time_ns()},
        timeout=60,
    )
    assert answer.json()["provisional"] == 0
