"""Jaeger's query API, asked as Grafana's Jaeger data source and Jaeger's UI ask it.

Calls and fields are those that the data source's backend (``pkg/tsdb/jaeger``) and frontend read;
shapes those of Jaeger's own query service.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from strayline_collector.formats.jaeger import jaeger_to_otlp
from tests.support.collector import RunningCollector, collector_command
from tests.support.corpus import truth

STRICT = ConfigDict(extra="forbid", strict=True)


@with_config(STRICT)
class KeyValue(TypedDict):
    key: str
    type: str
    value: Any


@with_config(STRICT)
class Reference(TypedDict):
    refType: str
    traceID: str
    spanID: str


@with_config(STRICT)
class Log(TypedDict):
    timestamp: int
    fields: list[KeyValue]


@with_config(STRICT)
class JaegerSpan(TypedDict):
    """Grafana's ``Span`` as it is read from the answer; times in microseconds."""

    traceID: str
    spanID: str
    flags: int
    operationName: str
    references: list[Reference]
    startTime: int
    duration: int
    tags: list[KeyValue]
    logs: list[Log]
    processID: str
    warnings: list[str] | None


@with_config(STRICT)
class Process(TypedDict):
    serviceName: str
    tags: list[KeyValue]


@with_config(STRICT)
class JaegerTrace(TypedDict):
    traceID: str
    spans: list[JaegerSpan]
    processes: dict[str, Process]
    warnings: list[str] | None


@with_config(STRICT)
class Traces(TypedDict):
    data: list[JaegerTrace]
    total: int
    limit: int
    offset: int
    errors: list[Any] | None


def _search(collector: RunningCollector, **params: Any) -> list[Any]:
    answer = collector.get("/api/traces", **params)
    TypeAdapter(Traces).validate_python(answer)
    return answer["data"]


def _services(trace: Any) -> set[str]:
    return {process["serviceName"] for process in trace["processes"].values()}


def test_services_and_operations_are_names(collector: RunningCollector) -> None:
    ours = sorted(item["name"] for item in collector.get("/api/v1/services")["items"])
    answer = collector.get("/api/services")
    assert answer == {"data": ours, "total": len(ours), "limit": 0, "offset": 0, "errors": None}
    names = collector.get("/api/services/billing/operations")["data"]
    assert names == sorted(set(names))
    assert "billing.orders process" in names
    with_kinds = collector.get("/api/operations", service="billing", spanKind="consumer")["data"]
    assert {"name": "billing.orders process", "spanKind": "consumer"} in with_kinds
    assert {one["spanKind"] for one in with_kinds} == {"consumer"}
    assert collector.get("/api/services/no%2Fsuch/operations")["data"] == []


def test_a_search_is_for_one_span_and_gives_whole_traces_newest_first(
    collector: RunningCollector,
) -> None:
    found = _search(collector, service="billing", operation="billing.orders process", limit=1000)
    starts = [min(span["startTime"] for span in trace["spans"]) for trace in found]
    assert starts == sorted(starts, reverse=True)
    for trace in found[:20]:
        whole = collector.get(f"/api/traces/{trace['traceID']}")["data"]
        assert whole == [trace]
        ours = collector.get(f"/api/v1/traces/{trace['traceID']}")["spans"]
        assert {s["spanID"] for s in trace["spans"]} == {s["span_id"] for s in ours}
        assert _services(trace) == {s["service"] for s in ours}
    # as Grafana sends its tags: logfmt made to a JSON object of strings
    tags = json.dumps({"messaging.conversation_id": "ord-011003"})
    (one,) = _search(collector, service="gateway", tags=tags) or _search(
        collector, service="orders", tags=tags
    )
    shown = [t["value"] for s in one["spans"] for t in s["tags"] if t["key"] == "messaging.conversation_id"]  # fmt: skip
    assert "ord-011003" in shown


def test_errors_kinds_and_status_are_tags(collector: RunningCollector) -> None:
    failed = {
        item["trace_id"]
        for item in collector.get("/api/v1/traces", q="status=error", limit=1000)["items"]
    }
    assert len(failed) == 13
    by_error = _search(collector, service="billing", tags='{"error": "true"}', limit=1000)
    assert {trace["traceID"] for trace in by_error} == failed
    by_tag = _search(collector, service="billing", tag="otel.status_code:ERROR", limit=1000)
    assert {trace["traceID"] for trace in by_tag} == failed
    both = _search(collector, service="billing", tags='{"error": "true", "span.kind": "server"}')
    assert both == []  # the spans that failed are consumers: no one span is both


def test_times_are_microseconds_and_durations_one_spans(collector: RunningCollector) -> None:
    everything = _search(collector, service="billing", limit=1000)
    spans = [s for t in everything for s in t["spans"] if t["processes"][s["processID"]]["serviceName"] == "billing"]  # fmt: skip
    middle = sorted(span["startTime"] for span in spans)[len(spans) // 2]
    early = _search(collector, service="billing", end=middle, limit=1000)
    late = _search(collector, service="billing", start=middle + 1, limit=1000)
    ids = {span["traceID"] for span in spans if span["startTime"] <= middle}
    assert {trace["traceID"] for trace in early} == ids
    assert {t["traceID"] for t in late} == {s["traceID"] for s in spans if s["startTime"] > middle}
    back = _search(collector, service="billing", end=middle, lookback="1s", limit=1000)
    assert {t["traceID"] for t in back} == {
        s["traceID"] for s in spans if middle - 1_000_000 <= s["startTime"] <= middle
    }
    slow = {s["traceID"] for s in spans if s["duration"] >= 50_000}
    assert slow
    found = _search(collector, service="billing", minDuration="0.05s", limit=1000)
    assert {trace["traceID"] for trace in found} == slow
    none = _search(collector, service="billing", minDuration="50ms", maxDuration="50001us")
    assert len(none) < len(slow)
    assert len(_search(collector, service="billing", limit=3)) == 3


def test_what_is_answered_reads_back_as_what_was_sent(collector: RunningCollector) -> None:
    trace_id = next(iter(truth("d_reorder_nack")["gateway_trace_of_order"].values()))
    answer = collector.get(f"/api/traces/{trace_id}")
    TypeAdapter(Traces).validate_python(answer)
    request = jaeger_to_otlp(answer)
    back = {
        span.span_id.hex(): (span.name, span.parent_span_id.hex())
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    ours = collector.get(f"/api/v1/traces/{trace_id}")["spans"]
    assert back == {s["span_id"]: (s["name"], s["parent_span_id"] or "") for s in ours}
    short = collector.get("/api/traces", traceID=[trace_id, "abc"])
    assert [trace["traceID"] for trace in short["data"]] == [trace_id]
    assert short["errors"] == [{"msg": "trace not found", "traceID": "abc".zfill(32)}]


def test_dependencies_are_the_graphs_calls(collector: RunningCollector) -> None:
    links = {(one["parent"], one["child"]): one["callCount"] for one in collector.get("/api/dependencies")["data"]}  # fmt: skip
    graph: dict[tuple[str, str], int] = {}
    for edge in collector.get("/api/v1/graph")["edges"]:
        pair = (edge["source"].partition(":")[2], edge["target"].partition(":")[2])
        if edge["target"].startswith("service:"):
            graph[pair] = graph.get(pair, 0) + edge["calls"]
    assert links == graph
    assert links["orders", "billing"] == 213
    alone = collector.get("/api/dependencies", service="billing", endTs=4_000_000_000_000)["data"]
    assert all("billing" in (one["parent"], one["child"]) for one in alone)
    assert collector.get("/api/dependencies", endTs=1000, lookback=1000)["data"] == []


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/api/traces", 400, "parameter 'service' is required"),
        ("/api/operations", 400, "parameter 'service' is required"),
        ("/api/traces?service=a&start=now", 400, "unable to parse param 'start'"),
        ("/api/traces?service=a&limit=-1", 400, "unable to parse param 'limit'"),
        ("/api/traces?service=a&minDuration=5", 400, "unable to parse param 'minDuration'"),
        ("/api/traces?service=a&minDuration=2s&maxDuration=1s", 400, "'maxDuration' should be"),
        ("/api/traces?service=a&tag=x", 400, "malformed 'tag' parameter"),
        ("/api/traces?service=a&tags=x", 400, "malformed 'tags' parameter"),
        ("/api/traces?service=a&tags=[1]", 400, "malformed 'tags' parameter"),
        ("/api/traces/xyz", 400, "cannot parse trace ID"),
        ("/api/traces/abc", 404, "trace not found"),
        ("/api/metrics/latencies?service=a&quantile=0.95", 501, "no metrics over time"),
        ("/api/metrics/minstep", 501, "no metrics over time"),
    ],
)
def test_errors_come_in_jaegers_envelope(
    collector: RunningCollector, path: str, code: int, message: str
) -> None:
    answer = httpx.get(f"http://{collector.api}{path}")
    assert answer.status_code == code
    body = answer.json()
    assert body["data"] is None
    assert body["errors"][0]["code"] == code
    assert message in body["errors"][0]["msg"]


def test_any_tag_is_a_value_never_sql(collector: RunningCollector) -> None:
    for name in ("a'b", 'a"b', "a\\b", "a/b~c", "", "event", "$[*]", "a\x00b"):
        tags = json.dumps({name: "x' OR '1'='1"})
        assert _search(collector, service="billing", tags=tags) == []


def test_the_token_is_asked_for_here_too() -> None:
    with collector_command("--token", "s3cret-s3cret-s3cret") as guarded:
        url = f"http://{guarded.api}/api/services"
        assert httpx.get(url).status_code == 401
        with_token = httpx.get(url, headers={"authorization": "Bearer s3cret-s3cret-s3cret"})
        assert with_token.json()["data"] == []


# --- as the data source's backend asks: its parameters, and the fields that it reads ---


def _backend(collector: RunningCollector, path: str, **params: str) -> Any:
    """A request as it sends it: what is empty is left out, names sorted; 200 is all it takes."""
    told = {name: value for name, value in sorted(params.items()) if value}
    answer = httpx.get(f"http://{collector.api}{path}", params=told)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    return answer.json()["data"]


def test_a_grafana_panel_is_filled_from_services_to_a_trace(collector: RunningCollector) -> None:
    services = _backend(collector, "/api/services")  # also "Save & test"
    assert "billing" in services
    operations = _backend(collector, "/api/services/billing/operations")
    assert "billing.orders process" in operations
    ours = collector.get("/api/v1/traces", service="billing", sort="start", limit=1000)["items"]
    first_us, last_us = (int(ours[at]["start_unix_nano"]) // 1000 for at in (0, -1))
    asked = {
        "service": "billing", "operation": "billing.orders process", "tags": json.dumps({"messaging.system": "rabbitmq"}),
        "minDuration": "", "maxDuration": "1.2s", "limit": "20", "start": str(first_us - 10**7), "end": str(last_us + 10**7),
    }  # fmt: skip
    rows = _backend(collector, "/api/traces", **asked)
    assert 0 < len(rows) <= 20
    for trace in rows:  # a row of its table: id, first span's service and name, start, duration
        first = trace["spans"][0]
        assert trace["processes"][first["processID"]]["serviceName"]
        assert first["operationName"]
        begun, ended = first["startTime"], first["startTime"] + first["duration"]
        assert first_us - 10**7 <= ended
        assert begun <= last_us + 10**7
    trace_id = rows[0]["traceID"]
    times = {"start": str(first_us // 1000), "end": str(last_us // 1000 + 1)}  # traceIdTimeParams
    (one,) = _backend(collector, f"/api/traces/{trace_id}", **times)
    ids = {span["spanID"] for span in one["spans"]}
    for span in one["spans"]:
        parents = [ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"]
        assert len(parents) <= 1
        assert set(parents) <= ids
        assert isinstance(span["startTime"], int)
        assert span["duration"] >= 0


def test_a_grafana_node_graph_is_of_the_range_it_shows(collector: RunningCollector) -> None:
    ours = collector.get("/api/v1/traces", sort="start", limit=1000)["items"]
    first_ms, last_ms = (int(ours[at]["start_unix_nano"]) // 10**6 for at in (0, -1))
    end_ms = last_ms + 60_000
    asked = {"endTs": str(end_ms), "lookback": str(end_ms - first_ms + 1)}
    links = _backend(collector, "/api/dependencies", **asked)
    assert links
    assert links == _backend(collector, "/api/dependencies")
    for link in links:
        assert set(link) == {"parent", "child", "callCount"}
        assert isinstance(link["callCount"], int)
    before = {"endTs": str(first_ms - 60_000), "lookback": "3600000"}
    assert _backend(collector, "/api/dependencies", **before) == []
