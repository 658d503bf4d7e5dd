"""Every page of the dashboard over the recording ``d_reorder_nack``."""

from __future__ import annotations

from tests.support.collector import RunningCollector


def every_page(collector: RunningCollector) -> tuple[tuple[str, str], ...]:
    """(path, what is there once it has been drawn), the documentation left out: it asks no collector."""
    finding = next(f for f in collector.findings() if f["cause"] == "requeue")
    late = finding["messages"][0]
    trace, span = late["trace_id"], late["producer_span_id"]
    traces = collector.get("/api/v1/traces", limit=2)["items"]
    other = next(t["trace_id"] for t in traces if t["trace_id"] != trace)
    return (
        ("/", "#tail tbody tr"),
        ("/map", ".map .node"),
        ("/traces", "#traces tbody tr"),
        (f"/trace/{trace}?span={span}", ".wf-row.selected"),
        (f"/traces/{trace}/compare/{other}", "#calls tbody tr"),
        (f"/findings/{finding['id']}", "#messages tbody tr"),
        ("/queues", "#page tbody tr"),
        ("/queue?name=billing.orders", "#order circle"),
        (f"/message/{trace}-{span}", "#journey .delivery"),
        ("/sql?q=SELECT 1 AS one", "#answer td"),
        ("/settings", "#settings dl"),
    )
