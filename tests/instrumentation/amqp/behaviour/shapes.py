"""Whole spans, beside recorded ones in ``tests/golden/amqp/``: the same from every library.

Ids become ordinals, times and what else differs from run to run become words. The recordings are
written anew by ``STRAYLINE_WRITE_GOLDEN=1``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from strayline.stamp import parse
from tests.instrumentation.amqp.behaviour.base import Behaviour, needs
from tests.instrumentation.amqp.client import Channel, Received
from tests.instrumentation.conftest import Spans

GOLDEN: Final = Path(__file__).parents[3] / "golden" / "amqp"
WORDS: Final = {
    "strayline.epoch": "epoch",
    "strayline.broker": "broker",
    "strayline.vhost": "vhost",
    "strayline.consumer_tag": "tag",
    "strayline.body_hash": "hash",
    "server.address": "host",
    "server.port": "port",
    "exception.stacktrace": "trace",
}
_OPERATIONS: Final = ("send", "receive", "process", "settle")


class _Names:
    """Values in the order of their first sight: 1, 2, …"""

    def __init__(self) -> None:
        self._seen: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        return self._seen.setdefault(value, len(self._seen) + 1)


def shape(spans: Iterable[ReadableSpan]) -> list[dict[str, Any]]:
    """Spans as they are compared: in the order of their operations."""
    ordered = sorted(spans, key=_rank)
    traces, ids, channels = _Names(), _Names(), _Names()
    for span in ordered:
        ids(span.context.span_id)
    return [
        {
            "name": span.name,
            "kind": span.kind.name,
            "scope": (span.instrumentation_scope.name if span.instrumentation_scope else None),
            "trace": traces(span.context.trace_id),
            "span": ids(span.context.span_id),
            "parent": None if span.parent is None else ids(span.parent.span_id),
            "links": [ids(link.context.span_id) for link in span.links],
            "status": [span.status.status_code.name, span.status.description],
            "attributes": _attributes(span.attributes or {}, channels),
            "events": [
                {"name": event.name, "attributes": _attributes(event.attributes or {}, channels)}
                for event in span.events
            ],
        }
        for span in ordered
    ]


def _rank(span: ReadableSpan) -> tuple[int, str]:
    operation = (span.attributes or {}).get("messaging.operation.type")
    return (_OPERATIONS.index(str(operation)) if operation in _OPERATIONS else 9, span.name)


def _attributes(attributes: Any, channels: _Names) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in sorted(attributes.items()):
        if name in WORDS:
            found[name] = WORDS[name]
        elif name.endswith("_unix_nano"):
            found[name] = "time"
        elif name == "strayline.channel":
            found[name] = channels(value)
        elif name == "strayline.stamp":
            stamp = parse(value)
            assert stamp is not None
            found[name] = f"1.epoch.{channels(stamp.channel)}.{stamp.n}.{stamp.h}"
        elif name == "strayline.topology":
            items = json.loads(value)["items"]
            assert all(isinstance(item.pop("at_unix_nano"), int) for item in items)
            found[name] = items
        else:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def is_as_recorded(name: str, spans: Iterable[ReadableSpan]) -> bool:
    """Compares with the recording, or makes it where that is asked for."""
    seen = shape(spans)
    path = GOLDEN / f"{name}.json"
    if os.environ.get("STRAYLINE_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")
    recorded = json.loads(path.read_text())
    assert seen == recorded
    return True


class Shapes(Behaviour):
    @needs("properties")
    def test_publish_and_process_spans_are_as_recorded(self, vhost: str, spans: Spans) -> None:
        self._round_trip(vhost, spans)
        assert is_as_recorded("publish_process", spans(messaging__system="rabbitmq"))

    @needs("properties")
    def test_spans_of_a_failing_handler_are_as_recorded(self, vhost: str, spans: Spans) -> None:
        self._round_trip(vhost, spans, ValueError("broken"))
        assert is_as_recorded("process_failed", spans(messaging__operation__type="process"))

    @needs("properties", "get", "settle_late")
    def test_get_and_settle_spans_are_as_recorded(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            await channel.publish(self._message(), "", "work")
            got = await channel.get("work")
            assert got is not None
            await channel.nack(got, requeue=False)

        self.on_channel(vhost, work)
        assert is_as_recorded("get_settle", spans(messaging__system="rabbitmq"))

    @needs("properties", "confirms")
    def test_a_returned_publish_is_as_recorded(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.publish(self._message(), "amq.topic", "nowhere", mandatory=True)

        self.on_channel(vhost, work)
        (returned,) = spans(messaging__system="rabbitmq")
        seen = shape([returned])
        # which exception says so is the library's
        assert seen[0]["attributes"].pop("error.type")
        assert seen[0]["status"].pop()
        assert seen[0]["attributes"]["strayline.outcome"] == "returned"
        assert seen[0]["status"] == ["ERROR"]

    @needs("topology")
    def test_topology_spans_are_as_recorded(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_exchange("events", "topic", durable=True)
            await channel.declare_queue("work", durable=True, arguments={"x-max-priority": 5})
            await channel.bind("work", "events", "a.*")

        self.on_channel(vhost, work)
        assert is_as_recorded("topology", spans("strayline.topology"))

    def _message(self) -> Any:
        return self.client.message(
            b'{"id": 1}',
            message_id="m1",
            correlation_id="c1",
            type="order",
            priority=3,
            content_type="application/json",
            headers={"mine": 1},
        )

    def _round_trip(self, vhost: str, spans: Spans, error: Exception | None = None) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_exchange("events", "topic")
            await channel.declare_queue("work")
            await channel.bind("work", "events", "order.*")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                if error is not None:
                    raise error

            await channel.consume("work", handle)
            await channel.publish(self._message(), "events", "order.created")
            await channel.until(lambda: spans("process work"))

        self.on_channel(vhost, work)
