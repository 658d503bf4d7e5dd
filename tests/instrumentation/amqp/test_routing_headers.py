"""What is recorded of a message's headers is what its route needs, no more and no less."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import strayline
from strayline.amqp import Broker, Channel, Publish
from tests.instrumentation.conftest import Spans

HERE = Broker(name="rabbit@here", vhost="/")


def _told(spans: Spans, broker: Broker, exchange: str, **headers: Any) -> dict[str, Any] | None:
    strayline.instrument()
    before = len(spans())
    Channel(broker).publishing(Publish(exchange, "", b"", headers)).ended("confirmed")
    told = (spans()[before].attributes or {}).get("strayline.routing_headers")
    return None if told is None else json.loads(str(told))


def test_of_a_headers_exchange_they_are_known_whichever_channel_declared_it(spans: Spans) -> None:
    declared = {"action": "declare", "kind": "exchange", "name": "by.kind", "type": "headers"}
    Channel(HERE).declared(declared)
    assert _told(spans, HERE, "by.kind", kind="a") == {"kind": "a"}
    assert _told(spans, HERE, "another", kind="a") is None
    assert _told(spans, Broker(name="rabbit@here", vhost="other"), "by.kind", kind="a") is None


def test_each_value_is_told_as_routes_compare_it_or_that_it_is_there(spans: Spans) -> None:
    given = {
        "n": 1, "yes": True, "half": 0.5, "text": "1", "void": None, "bytes": b"a", "odd": b"\xff",
        "at": datetime(2026, 1, 1, tzinfo=UTC), "table": {"n": 1}, "list": [1], "CC": ["k", b"l"],
    }  # fmt: skip
    assert _told(spans, HERE, "amq.headers", **given) == {
        **given, "bytes": "a", "odd": {}, "at": 1767225600, "table": {}, "list": {}, "CC": ["k", "l"],
    }  # fmt: skip
    assert _told(spans, HERE, "x", **given) == {"CC": ["k", "l"]}
