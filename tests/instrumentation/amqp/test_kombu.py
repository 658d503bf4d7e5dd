"""kombu: the suite, and what is its own."""

from __future__ import annotations

import json
from typing import Any

import kombu
import kombu.mixins
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from tests.instrumentation.amqp.behaviour.base import is_child_and_linked, told
from tests.instrumentation.amqp.drivers.kombu import Kombu
from tests.instrumentation.amqp.suite import AmqpSuite
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker


class TestKombu(AmqpSuite):
    client = Kombu()


@pytest.mark.parametrize("block", [True, False], ids=["waiting", "at once"])
def test_a_simple_queue_gives_a_message_when_asked_not_when_prefetched(
    vhost: str, spans: Spans, block: bool
) -> None:
    with kombu.Connection(vhost) as connection, connection.SimpleQueue("simple") as queue:
        for number in range(3):
            queue.put({"number": number})
        first = queue.get(block=block, timeout=5)
        assert not trace.get_current_span().is_recording()
        assert first.payload == {"number": 0}
        assert len(spans("get simple")) == 1  # whatever else is there by now
        first.ack()
        queue.get(block=block, timeout=5).reject()
        queue.get(block=block, timeout=5).requeue()
    got = spans("get simple")
    assert {span.kind for span in got} == {SpanKind.CLIENT}
    stamps = [told(span, "stamp") for span in spans("publish simple:simple")]
    assert [told(span, "stamp") for span in got] == stamps
    settled = [
        (told(span, "settlement"), [link.context.span_id for link in span.links])
        for span in spans(messaging__operation__type="settle")
    ]
    wanted = ("ack", "reject_drop", "reject_requeue")
    assert settled == [(w, [s.context.span_id]) for w, s in zip(wanted, got, strict=True)]


def test_a_simple_buffer_settles_by_itself(vhost: str, spans: Spans) -> None:
    with kombu.Connection(vhost) as connection, connection.SimpleBuffer("buffer") as buffer:
        buffer.get(block=False) if len(buffer) else buffer.put("x")
        assert buffer.get(timeout=5).payload == "x"
    (got,) = spans("get buffer")
    assert told(got, "settlement") == "auto"


def test_what_a_simple_queue_settles_unasked_is_told(vhost: str, spans: Spans) -> None:
    with kombu.Connection(vhost) as connection, connection.SimpleQueue("simple") as queue:
        queue.put("x")
        queue.put("y")
        queue.get(timeout=5)
        while not queue.buffer:
            connection.drain_events(timeout=5)
        queue.buffer[0].ack(multiple=True)
    (unhandled,) = spans("receive simple")
    assert told(unhandled, "settlement") == "ack"
    assert told(unhandled, "messaging.rabbitmq.message.delivery_tag") == 2
    (publish,) = (
        s for s in spans("publish simple:simple") if told(s, "stamp") == told(unhandled, "stamp")
    )
    assert is_child_and_linked(unhandled, publish)


def test_a_consumer_mixin_handles_in_its_callbacks(vhost: str, spans: Spans) -> None:
    inside: list[Any] = []
    queue = kombu.Queue("tasks", kombu.Exchange("jobs", "topic"), routing_key="job.#")

    class Worker(kombu.mixins.ConsumerMixin):
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: N803 - kombu's
            return [Consumer([queue], callbacks=[self.first, self.second])]

        def first(self, body: Any, message: Any) -> None:
            inside.append(trace.get_current_span().get_span_context().span_id)

        def second(self, body: Any, message: Any) -> None:
            inside.append(trace.get_current_span().get_span_context().span_id)
            message.ack()
            self.should_stop = True

    with kombu.Connection(vhost) as connection:
        connection.Producer().publish(
            {"a": 1}, exchange=queue.exchange, routing_key="job.now", declare=[queue], retry=True
        )
        Worker(connection).run()
    (publish,), (process,) = spans("publish jobs:job.now"), spans("process tasks")
    assert inside == [process.context.span_id] * 2
    assert is_child_and_linked(process, publish)
    assert told(process, "settlement") == "ack"
    items = [json.loads(str(told(s, "topology")))["items"][0] for s in spans("strayline.topology")]
    said = {(item["action"], item.get("name") or item["destination"]) for item in items}
    assert said == {("declare", "jobs"), ("declare", "tasks"), ("bind", "tasks")}


def test_a_body_that_cannot_be_read_is_an_error_of_its_handling(vhost: str, spans: Spans) -> None:
    refused: list[Any] = []

    def on_decode_error(message: Any, error: Any) -> None:
        refused.append(error)
        message.reject()

    with kombu.Connection(vhost) as connection:
        queue = kombu.Queue("tasks")
        with connection.channel() as channel:
            kombu.Producer(channel).publish(
                b"{", content_type="application/json", content_encoding="utf-8",
                routing_key="tasks", declare=[queue],
            )  # fmt: skip
            consumer = kombu.Consumer(
                channel, [queue], callbacks=[lambda *_: None], on_decode_error=on_decode_error
            )
            with consumer:
                while not refused:
                    connection.drain_events(timeout=5)
    (process,) = spans("process tasks")
    assert told(process, "settlement") == "reject_drop"
