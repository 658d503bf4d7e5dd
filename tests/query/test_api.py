"""The API on a real recording, and against what the outside may send."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from strayline_collector.decode.otlp import DECODER
from strayline_collector.query import wire
from tests.support.collector import RunningCollector
from tests.support.corpus import truth


def test_status_and_health(collector: RunningCollector) -> None:
    status = collector.get("/api/v1/status")
    assert (status["spans"], status["decoder"], status["store"]["kind"]) == (
        truth("d_reorder_nack")["spans"],
        DECODER,
        "duckdb",
    )
    assert collector.get("/health") == {"status": "alive"}
    assert collector.get("/ready") == {"status": "ready"}


def test_the_messaging_graph_shows_exchanges_and_queues_between_services(
    collector: RunningCollector,
) -> None:
    graph = collector.get("/api/v1/graph", level="messaging")
    edges = {
        (e["source"].split("|")[-1], e["target"].split("|")[-1]): e["calls"]
        for e in graph["edges"]
        if e["protocol"] == "amqp"
    }
    assert edges["service:orders", "orders.events"] == 200
    assert edges["orders.events", "billing.orders"] == 213
    assert edges["billing.orders", "service:billing"] == 213
    names = {node["name"] for node in graph["nodes"]}
    assert "(default)" in names
    assert not any("reply-to" in name for name in names)


def test_every_trace_opens_in_drawing_order_with_its_critical_path(
    collector: RunningCollector,
) -> None:
    for trace_id in list(truth("d_reorder_nack")["gateway_trace_of_order"].values())[:20]:
        trace = collector.get(f"/api/v1/traces/{trace_id}", stitch="true")
        seen: set[str] = set()
        for span in trace["spans"]:
            assert span["display_parent"] is None or span["display_parent"] in seen
            seen.add(f"{span['trace_id']}-{span['span_id']}")
        path = trace["critical_path"]
        assert path[0]["start_unix_nano"] == trace["spans"][0]["start_unix_nano"]
        assert all(a["end_unix_nano"] == b["start_unix_nano"] for a, b in itertools.pairwise(path))
        consumers = [s for s in trace["spans"] if s["kind"] == "consumer"]
        assert consumers
        assert all(s["queue_wait_ns"] is not None and s["queue_wait_ns"] >= 0 for s in consumers)


@pytest.mark.parametrize(
    ("q", "count"),
    [("status=error", 13), ("has:finding", 83), ("queue=billing.orders", 200), ("!service=audit service=gateway", 0), ('"request handler"', 200), ("messaging.conversation_id=ord-011003", 1), ("duration>1h", None)],
)  # fmt: skip
def test_the_query_line(collector: RunningCollector, q: str, count: int | None) -> None:
    answer = httpx.get(f"http://{collector.api}/api/v1/traces", params={"q": q, "limit": 1000})
    if count is None:
        assert answer.status_code == 400
        assert answer.json()["position"] == 10
        assert "duration such as 200ms" in answer.json()["expected"]
    else:
        assert len(answer.json()["items"]) == count


def test_pages_follow_their_cursor_without_gap_or_repeat(collector: RunningCollector) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = collector.get("/api/v1/traces", limit=60, **({"cursor": cursor} if cursor else {}))
        seen += [item["trace_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == truth("d_reorder_nack")["traces"]


@pytest.mark.parametrize(
    "path",
    ["services", "services/seen", "operations?service=orders", "queues", "queues/routes?name=billing.orders", "messages?exchange=orders.events", "findings", "coverage", "latency"],
)  # fmt: skip
def test_every_list_comes_in_pages_too(collector: RunningCollector, path: str) -> None:
    url = f"http://{collector.api}/api/v1/{path}{'&' if '?' in path else '?'}limit="
    whole = httpx.get(url + "1000").json()
    assert (bool(whole["items"]), whole["next_cursor"]) == (True, None)
    seen: list[Any] = []
    cursor = ""
    while True:
        page = httpx.get(f"{url}{1 + len(whole['items']) // 3}{cursor}").json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == whole["items"]
    assert httpx.get(f"{url}1&cursor=next").status_code == 400


def test_messages_are_found_by_what_others_call_their_trace_and_exchange(
    collector: RunningCollector,
) -> None:
    def found(**asked: str) -> list[str]:
        return [message["id"] for message in collector.get("/api/v1/messages", **asked)["items"]]

    assert found(exchange="(default)") == found(exchange="") != []
    trace_id = found(exchange="")[0][:32]
    assert found(trace_id=trace_id.upper()) == found(trace_id=trace_id) != []


def test_a_queues_order_shows_what_the_detectors_say(collector: RunningCollector) -> None:
    by = {
        basis: collector.get("/api/v1/queues/order", name="billing.orders", basis=basis)
        for basis in ("delivery", "completion")
    }
    assert (by["delivery"]["late"], by["completion"]["late"]) == (11, 83)
    assert by["delivery"]["late_by"] == by["completion"]["late_by"]
    assert by["delivery"]["late_by"] == {"delivery": 11, "completion": 83, "either": 83}
    assert by["delivery"]["messages"] == 200
    assert sorted(p["sequence"] for p in by["delivery"]["points"]) == list(range(200))
    few = collector.get("/api/v1/queues/order", name="billing.orders", limit=20)
    assert few["truncated"]
    assert len(few["points"]) <= 20
    assert sum(p["late"] for p in few["points"]) == 11


def test_a_finding_leads_to_its_messages_and_their_journey(collector: RunningCollector) -> None:
    findings = {f["cause"]: f for f in collector.findings()}
    finding = findings["requeue"]
    late = [m for m in finding["messages"] if m["role"] == "late"]
    assert finding["count"] == len(late) == 11
    message = collector.get(
        f"/api/v1/messages/{late[0]['trace_id']}-{late[0]['producer_span_id']}/journey"
    )
    assert message["message_id"] == late[0]["message_id"]
    assert [d["settled"] for d in message["deliveries"]] == ["nack_requeue", None]
    assert collector.get(f"/api/v1/findings/{finding['id']}")["title"] == finding["title"]
    assert "WHERE kind = 'reordered'" in finding["sql"]


def test_openapi_describes_every_call(collector: RunningCollector) -> None:
    document = collector.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    wanted = (
        "status",
        "detection/settle",
        "services",
        "graph",
        "traces",
        "traces/{trace_id}",
        "queues/order",
        "messages",
        "findings",
        "topology",
    )
    assert {f"/api/v1/{name}" for name in wanted} <= document["paths"].keys()


def test_every_example_has_the_shape_it_stands_for(collector: RunningCollector) -> None:
    document = collector.get("/openapi.json")
    shapes = {
        "Status",
        "Graph",
        "Traces",
        "Trace",
        "Queues",
        "QueueOrder",
        "Messages",
        "Message",
        "Findings",
        "Finding",
        "Topology",
        "Rates",
        "Coverage",
        "Settled",
        "SqlAnswer",
    }
    checked: set[str] = set()
    for calls in document["paths"].values():
        for call in calls.values():
            answer = call["responses"]["200"]["content"].get("application/json")
            if answer is None:  # text, such as /metrics
                continue
            name = answer["schema"].get("$ref", "").rpartition("/")[2]
            if name in shapes:
                TypeAdapter(getattr(wire, name)).validate_python(answer["example"], strict=True)
                checked.add(name)
            else:
                assert answer["example"]
    assert checked == shapes


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("GET", "/api/v1/status", {"host": "evil.example"}, 421),
        ("POST", "/api/v1/detection/settle", {"origin": "https://evil.example"}, 403),
        ("POST", "/api/v1/detection/settle?now=9999-12-31T23:59:59Z", {}, 400),
        ("POST", "/api/v1/detection/settle?now=9223372036854775807", {}, 400),
        ("GET", "/api/v1/messages?queue=none&limit=-1", {}, 400),
        ("GET", "/api/v1/findings?since=9999-12-31T23:59:59Z", {}, 200),
        ("GET", "/api/v1/traces/%00%27--", {}, 404),
        ("GET", "/api/v1/traces?limit=1000000", {}, 400),
        ("GET", "/api/v1/traces?cursor=-1", {}, 400),
        ("GET", "/api/v1/traces?start=yesterday", {}, 400),
        ("GET", "/api/v1/traces?start=2&end=1", {}, 400),
        ("GET", "/api/v1/messages?queue=%27%20OR%201=1", {}, 200),
        ("GET", "/api/v1/queues/order?name=none", {}, 404),
        ("GET", "/api/v1/findings/fnd_0", {}, 404),
        ("DELETE", "/api/v1/status", {}, 405),
        ("PUT", "/api/v1/topology", {}, 400),
        ("GET", "/docs", {}, 404),
        ("HEAD", "/api/v1/stream", {}, 405),
    ],
)  # fmt: skip
def test_bad_requests_are_problem_documents(
    collector: RunningCollector, method: str, path: str, headers: dict[str, str], code: int
) -> None:
    answer = httpx.request(method, f"http://{collector.api}{path}", headers=headers)
    assert answer.status_code == code, answer.text
    assert answer.headers.get("allow") == ("GET" if code == 405 else None)
    body: dict[str, Any] = answer.json() if method != "HEAD" else {"status": code}
    if code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["status"] == code
    else:
        assert body["items"] == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/v1/findings?servce=billing", "servce: /api/v1/findings takes no such parameter; it takes"),
        ("/api/v1/operations?servce=billing", "servce: /api/v1/operations takes no such parameter, the nearest is service; it takes cursor, end, limit, service, start"),
        ("/api/v1/traces?q=errors%3E0&Limit=3", "Limit: /api/v1/traces takes no such parameter, the nearest is limit;"),
        ("/api/v1/status?verbose=1", "verbose: /api/v1/status takes no parameters in its query"),
        ("/api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans?stich=1", "stich: /api/v1/traces/{trace_id}/spans takes no such parameter, the nearest is stitch;"),
        ("/api/v1/findings?kind=lost&kind=stalled", "kind: given 2 times, and only one would count"),
        ("/api/v1/nothing", "GET /api/v1/nothing: no such call; /openapi.json lists them"),
        (f"/api/v1/queues?{'x' * 5000}=1", "x" * 80 + ": /api/v1/queues takes no such parameter"),
    ],
)  # fmt: skip
def test_a_parameter_that_a_call_does_not_take_is_refused_by_name(
    collector: RunningCollector, path: str, said: str
) -> None:
    answer = httpx.get(f"http://{collector.api}{path}")
    assert answer.status_code == (404 if "no such call" in said else 400), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(said)


@pytest.mark.parametrize(
    "path", ["/health?probe=1", "/ready?probe=1", "/metrics?probe=1", "/api/services?_=1"]
)
def test_probes_and_jaegers_clients_may_send_more_than_is_known(
    collector: RunningCollector, path: str
) -> None:
    url = f"http://{collector.api}{path}"
    assert httpx.get(url).status_code == httpx.head(url).status_code == 200
    assert httpx.head(url).content == b""


def test_operations_tell_their_kind_as_a_word(collector: RunningCollector) -> None:
    told = collector.get("/api/v1/operations", service="billing")["items"]
    assert {"consumer", "producer"} <= {one["kind"] for one in told}


def test_triage_takes_only_what_a_person_may_say(collector: RunningCollector) -> None:
    finding = collector.findings()[0]
    url = f"http://{collector.api}/api/v1/findings/{finding['id']}"
    assert httpx.patch(url, json={"severity": "info"}).status_code == 400
    assert httpx.patch(url, json={"triage": "gone"}).status_code == 400
    muted = httpx.patch(url, json={"triage": "muted", "muted_until": "2030-01-01T00:00:00Z"}).json()
    assert (muted["triage"], muted["muted_until"]) == ("muted", "2030-01-01T00:00:00.000000000Z")


def test_a_definitions_document_is_kept_and_replaced_as_a_whole(
    collector: RunningCollector,
) -> None:
    def put(queue: str) -> list[str]:
        collector.put(
            "/api/v1/topology",
            {"queues": [{"name": queue, "durable": True}]},
            vhost="shop",
            role="intended",
        )
        return [
            q["name"]
            for q in collector.get("/api/v1/topology")["queues"]
            if q["possibly_to"] is None
        ]

    assert put("first") == ["first"]
    assert put("second") == ["second"]
    bad = httpx.put(f"http://{collector.api}/api/v1/topology", json={"bindings": [{"source": 1}]})
    assert bad.status_code == 400
    assert "bindings[0]" in bad.json()["detail"]
    for other in ({}, {"nodes": []}):
        refused = httpx.put(f"http://{collector.api}/api/v1/topology?vhost=shop&role=intended", json=other)  # fmt: skip
        assert (refused.status_code, "none of exchanges, queues" in refused.text) == (400, True)
    assert put("second") == ["second"]
