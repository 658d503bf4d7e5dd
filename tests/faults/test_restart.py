"""A collector that is stopped or killed keeps everything that it acknowledged, once."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.collector import running_collector
from tests.support.corpus import truth


def _request(number: int, spans: int = 20) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for index in range(spans):
        scope.spans.add(
            name="s",
            trace_id=number.to_bytes(16, "big"),
            span_id=(index + 1).to_bytes(8, "big"),
            start_time_unix_nano=1,
            end_time_unix_nano=2,
        )
    return request.SerializeToString()


@pytest.mark.parametrize("round_", range(3))
def test_killed_under_load_every_acknowledged_span_is_there_once(
    tmp_path: Path, round_: int
) -> None:
    db = tmp_path / "s.duckdb"
    acknowledged: set[int] = set()
    lock = threading.Lock()
    enough = threading.Event()

    with running_collector(db) as collector:

        def send(start: int) -> None:
            try:
                with httpx.Client(base_url=f"http://{collector.otlp_http}", timeout=10) as client:
                    for number in range(start, start + 10_000):
                        answer = client.post(
                            "/v1/traces",
                            content=_request(number),
                            headers={"content-type": "application/x-protobuf"},
                        )
                        if answer.status_code == 200:
                            with lock:
                                acknowledged.add(number)
                                if len(acknowledged) >= 150 + 200 * round_:
                                    enough.set()
            except httpx.HTTPError:
                return

        senders = [threading.Thread(target=send, args=(1 + i * 100_000,)) for i in range(4)]
        for sender in senders:
            sender.start()
        assert enough.wait(60)
        collector.kill()
        for sender in senders:
            sender.join()

    with running_collector(db) as again:
        again.settle()
        status = again.get("/api/v1/status")
        sent = {int(item["trace_id"], 16): item["spans"] for item in _all_traces(again)}
    assert acknowledged <= sent.keys()
    assert set(sent.values()) == {20}
    assert status["spans"] == 20 * len(sent)


def _all_traces(collector: object) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    cursor: str | None = None
    while True:
        page = collector.get("/api/v1/traces", limit=1000, **({"cursor": cursor} if cursor else {}))  # type: ignore[attr-defined]
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def test_sigterm_and_start_keep_spans_findings_and_triage(tmp_path: Path) -> None:
    db = tmp_path / "s.duckdb"
    with running_collector(db) as collector:
        collector.replay("b_misroute")
        collector.settle()
        (finding,) = collector.findings()
        change = {"triage": "acknowledged", "note": "known"}
        assert (
            httpx.patch(
                f"http://{collector.api}/api/v1/findings/{finding['id']}", json=change
            ).status_code
            == 200
        )
        collector.terminate()
    with running_collector(db) as again:
        assert again.get("/api/v1/status")["spans"] == truth("b_misroute")["spans"]
        again.replay("b_misroute")
        again.settle()
        assert again.get("/api/v1/status")["spans"] == truth("b_misroute")["spans"]
        (kept,) = again.findings()
    assert (kept["id"], kept["triage"], kept["note"], kept["count"]) == (
        finding["id"],
        "acknowledged",
        "known",
        10,
    )
