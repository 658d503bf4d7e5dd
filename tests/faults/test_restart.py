"""A collector that is stopped and started keeps spans, findings and what was said of them."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.collector import running_collector
from tests.support.corpus import truth


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
