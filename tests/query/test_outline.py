"""A trace as columns, what one span says, and where a text is said: the same as the whole answer."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, CONSUMER, PRODUCER, SERVER, Told, send, span_id, trace_id

AMQP: dict[str, str | int] = {"messaging.system": "rabbitmq"}
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
PROTOCOLS = (None, "http", "grpc", "amqp", "other")


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as running:
        running.replay("d_reorder_nack")
        send(
            running.otlp_http,
            (
                Told("client", "shop", CLIENT, 0, 100, attributes={"http.request.method": "GET"}),
                Told("server", "stock", SERVER, 5010, 5090, "client", failed=True),
                Told("send", "stock", PRODUCER, 5020, 5030, "server", attributes=AMQP),
                Told(
                    "process", "mail", CONSUMER, -1000, -900, trace="b", links=("a:send",),
                    attributes={**AMQP, "said": 'a "quoted" \\ WORD'},
                ),
                # as Zipkin tells calls: both sides by one id
                Told("root", "shop", SERVER, 0, 90, trace="z"),
                Told("both", "shop", CLIENT, 10, 80, "root", trace="z"),
                Told("both", "stock", SERVER, 20, 70, "root", trace="z"),
                Told("within", "stock", CLIENT, 30, 60, "both", trace="z"),
                Told("after", "shop", CLIENT, 82, 88, "root", trace="z"),
            ),
        )  # fmt: skip
        running.settle()
        yield running


def _messages_trace(collector: RunningCollector) -> str:
    finding = next(f for f in collector.findings() if f["cause"] == "requeue")
    return finding["messages"][0]["trace_id"]


@pytest.mark.parametrize("clock", ["raw", "corrected"])
@pytest.mark.parametrize("trace", ["recorded", "a", "z"])
def test_an_outline_says_of_each_span_what_the_whole_answer_says(
    collector: RunningCollector, clock: str, trace: str
) -> None:
    name = _messages_trace(collector) if trace == "recorded" else trace_id(trace)
    whole = collector.get(f"/api/v1/traces/{name}", stitch="true", clock=clock)
    outline = collector.get(f"/api/v1/traces/{name}/outline", stitch="true", clock=clock)
    base = outline["start_unix_nano"]
    columns, keys = outline["spans"], [f"{s['trace_id']}-{s['span_id']}" for s in whole["spans"]]
    told = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]  # fmt: skip
    said = [
        (
            f"{outline['traces'][t['trace']]}-{t['span_id']}",
            None if t["parent"] < 0 else keys[t["parent"]],
            outline["services"][t["service"]],
            outline["names"][t["name"]],
            KINDS[t["kind"]],
            base + t["start_ns"],
            base + t["start_ns"] + t["duration_ns"],
            t["self_ns"],
            ("unset", "ok", "error")[t["status"]],
            PROTOCOLS[t["protocol"]],
            t["events"],
            None if t["queue"] < 0 else outline["queues"][t["queue"]],
            t["queue_wait_ns"],
            bool(t["context_bleed"]),
        )
        for t in told
    ]
    assert said == [
        (
            key, s["display_parent"], s["service"], s["name"], s["kind"], s["start_unix_nano"], s["end_unix_nano"],
            s["self_ns"], s["status"], s["protocol"], len(s["events"]), s["queue"], s["queue_wait_ns"], s["context_bleed"],
        )
        for key, s in zip(keys, whole["spans"], strict=True)
    ]  # fmt: skip
    assert outline["critical_path"] == [
        [
            keys.index(f"{p['trace_id']}-{p['span_id']}"),
            p["kind"],
            p["start_unix_nano"] - base,
            p["end_unix_nano"] - p["start_unix_nano"],
        ]
        for p in whole["critical_path"]
    ]
    assert [link[:3] for link in outline["links"]] == [
        [at, link["trace_id"], link["span_id"]]
        for at, span in enumerate(whole["spans"])
        for link in span["links"]
    ]
    assert all(at < 0 or keys[at] == f"{trace}-{span}" for _, trace, span, at in outline["links"])
    assert {f["finding"]["id"]: f["spans"] for f in outline["findings"]} == {
        name: [at for at, span in enumerate(whole["spans"]) if name in span["findings"]]
        for span in whole["spans"]
        for name in span["findings"]
    }
    for same in ("clock", "clock_mode", "missing", "stitched_trace_ids", "truncated"):
        assert outline[same] == whole[same]


def test_one_span_says_what_it_says_in_the_whole_answer(collector: RunningCollector) -> None:
    name = _messages_trace(collector)
    for span in collector.get(f"/api/v1/traces/{name}")["spans"]:
        (said,) = collector.get(f"/api/v1/traces/{name}/spans/{span['span_id']}")["items"]
        sql = said.pop("sql")
        links, events = said.pop("links"), said.pop("events")
        assert said == {key: span[key] for key in said}
        assert [link["span_id"] for link in links] == [link["span_id"] for link in span["links"]]
        assert [event["name"] for event in events] == [event["name"] for event in span["events"]]
        answer = collector.post("/api/v1/sql", {"sql": sql})
        assert len(answer["rows"]) == 1
    missing = httpx.get(f"http://{collector.api}/api/v1/traces/{name}/spans/{'f' * 16}")
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('A "QUOTED" \\ word', {"process"}),
        ("rabbitmq", {"send", "process"}),
        ("STOCK", {"server", "send"}),
        ("nowhere to be seen", set()),
        ("%", set()),
    ],
)
def test_a_text_is_found_in_whatever_a_span_says(
    collector: RunningCollector, text: str, found: set[str]
) -> None:
    answer = collector.get(f"/api/v1/traces/{trace_id('a')}/find", text=text, also=[trace_id("b")])
    named = {span_id(name): name for name in ("client", "server", "send", "process")}
    assert {named[key.rpartition("-")[2]] for key in answer["spans"]} == found
    assert not answer["truncated"]


def test_both_sides_of_a_call_by_one_id_are_drawn_one_after_another(
    collector: RunningCollector,
) -> None:
    spans = collector.get(f"/api/v1/traces/{trace_id('z')}")["spans"]
    names = {f"{trace_id('z')}-{span_id(name)}": name for name in ("root", "both", "within", "after")}  # fmt: skip
    told = [
        (names[f"{s['trace_id']}-{s['span_id']}"], s["kind"], s["display_parent"] and names[s["display_parent"]])
        for s in spans
    ]  # fmt: skip
    assert told == [
        ("root", "server", None), ("both", "client", "root"), ("both", "server", "root"),
        ("within", "client", "both"), ("after", "client", "root"),
    ]  # fmt: skip
    outline = collector.get(f"/api/v1/traces/{trace_id('z')}/outline")["spans"]
    assert outline["parent"] == [-1, 0, 0, 1, 0]
