"""Every route of the API's own description, with parameters of any kind: answered or refused with a
problem document, never broken; the long round while data comes and is judged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.collector import RunningCollector

ENDLESS = {"/api/v1/stream"}
"""What does not end by itself."""
WORDS = (
    "", " ", "0", "-1", "1", "2", "true", "no", "null", "NaN", "1e999", "-0", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "1" * 40, "²", "٣", "😀", "\x00", "a\x00b", "'", '"', "' OR 1=1 --", "%", "%00", "../..", "$[*]", "\\", "\ud7ff",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "2026-02-30", "2026-W01-1",
    "service=billing", "duration>1h", "has:", "!", "x" * 5000, "service", "messaging", "raw", "corrected", "delivery", "billing",
    "billing.orders", "1~2~3~4", "1~2~3~99999999999999999999", "-1~-1~-1~-1", "1s", "-1s", "99999999999999999h", ".s",
    '{"a": 1}', '{"a": "b"}', "[" * 3000, "a:b", ":", "f" * 32, "0" * 32, "f" * 16, "0" * 33, "all", "none", "jaeger", "start", "-duration",
)  # fmt: skip
values = st.sampled_from(WORDS) | st.text(max_size=30) | st.integers(-(2**70), 2**70).map(str)


@pytest.fixture(scope="module")
def routes(collector: RunningCollector) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Method, path and parameters of each call."""
    paths = collector.get("/openapi.json")["paths"]
    return [
        (method, path, call.get("parameters", []))
        for path, calls in sorted(paths.items())
        for method, call in sorted(calls.items())
        if path not in ENDLESS
    ]


def known(collector: RunningCollector) -> dict[str, str]:
    """Values that exist, so that a walk goes past the first check."""
    trace = collector.get("/api/v1/traces", service="billing", limit=1)["items"][0]["trace_id"]
    span = collector.get(f"/api/v1/traces/{trace}")["spans"][0]["span_id"]
    found = collector.findings()[0]["id"]
    message = collector.get("/api/v1/messages", limit=1)["items"][0]["id"]
    return {
        "trace_id": trace, "a": trace, "b": trace, "span_id": span, "finding_id": found, "message": message, "service": "billing",
        "name": "billing.orders", "text": "billing", "picked": "0~9223372036854775807~0~9223372036854775807", "position": "0",
    }  # fmt: skip


def walk(collector: RunningCollector, routes: list[Any], data: Any, right: dict[str, str]) -> None:
    method, path, parameters = data.draw(st.sampled_from(routes), label="route")
    asked: list[tuple[str, str | int | float | bool | None]] = []
    for parameter in parameters:
        name, required = parameter["name"], parameter.get("required", False)
        usual = right.get(name)
        value = values if usual is None else st.just(usual) | values
        if parameter["in"] == "path":
            told = data.draw(value.filter(lambda text: text not in ("", ".", "..")), label=name)
            path = path.replace(f"{{{name}}}", quote(told, safe=""))
        else:
            least = 1 if required and data.draw(st.integers(0, 9)) else 0
            several = data.draw(st.lists(value, min_size=least, max_size=2), label=name)
            asked += [(name, told) for told in several]
    if path.startswith("/api/") and not path.startswith("/api/v1/"):  # read by hand, not described
        names = ("service", "operation", "tag", "tags", "start", "end", "lookback", "minDuration", "maxDuration", "limit", "traceID", "spanKind", "endTs", "prettyPrint")  # fmt: skip
        for name in data.draw(st.lists(st.sampled_from(names), max_size=4), label="names"):
            asked.append((name, data.draw(values, label=name)))
    body = data.draw(
        st.none() | st.sampled_from([b"", b"{}", b"[]", b"\xff", b'{"sql": 1}', b'{"sql": "SELECT 1"}', b'{"triage": "muted"}', b'{"queues": [1]}', b"[" * 9000]),
        label="body",
    ) if method not in ("get", "head") else None  # fmt: skip
    answer = httpx.request(
        method, f"http://{collector.api}{path}", params=asked, content=body,
        headers={"content-type": "application/json"}, timeout=30,
    )  # fmt: skip
    said = (method, path, asked, body, answer.status_code, answer.text[:300])
    assert answer.status_code < 500, said
    if answer.status_code >= 400:
        document = answer.json()
        if path.startswith("/api/v1/"):
            assert answer.headers["content-type"] == "application/problem+json", said
            assert document["status"] == answer.status_code, said
            assert document["detail"], said
        elif "errors" in document:
            assert document["data"] is None, said
            assert document["errors"][0]["code"] == answer.status_code, said


quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])  # fmt: skip


@settings(quick, max_examples=100)
@given(data=st.data())
def test_any_call_is_answered_or_refused(
    collector: RunningCollector, routes: list[Any], data: Any
) -> None:
    walk(collector, routes, data, known_once(collector))


@pytest.fixture(scope="module")
def loading(collector: RunningCollector) -> Iterator[None]:
    """The same recordings again and again: loads, derivations and judgements go on."""
    stop = threading.Event()

    def replay() -> None:
        while not stop.is_set():
            collector.replay("b_misroute")
            stop.wait(0.2)

    loader = threading.Thread(target=replay)
    loader.start()
    yield
    stop.set()
    loader.join()


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("loading")
@settings(quick, max_examples=3000)
@given(data=st.data())
def test_any_call_is_answered_or_refused_while_data_comes(
    collector: RunningCollector, routes: list[Any], data: Any
) -> None:
    walk(collector, routes, data, known_once(collector))


_KNOWN: dict[str, dict[str, str]] = {}


def known_once(collector: RunningCollector) -> dict[str, str]:
    if collector.api not in _KNOWN:
        _KNOWN[collector.api] = known(collector)
    return _KNOWN[collector.api]
