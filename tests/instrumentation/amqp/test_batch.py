"""A batch's handling is one span with a link to each message, whatever the client calls a message."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aio_pika
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import strayline
from tests.instrumentation.conftest import Spans

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TABLE: dict[str, Any] = {"traceparent": PARENT, "x-strayline": "1.0123456789abcdef.1.1.abcd"}


@pytest.mark.broker
def test_messages_gathered_from_a_queue_are_handled_in_one_span_linked_to_each(
    vhost: str, spans: Spans
) -> None:
    async def main() -> None:
        connection = await aio_pika.connect(vhost)
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("work")
            for _ in range(3):
                await channel.default_exchange.publish(aio_pika.Message(b"x"), "work")
            messages = [await queue.get() for _ in range(3)]
            with strayline.batch(messages):
                assert trace.get_current_span().is_recording()
                await asyncio.sleep(0)
            await messages[-1].ack(multiple=True)

    asyncio.run(main())
    (batch,) = [span for span in spans() if (span.attributes or {}).get("strayline.batch")]
    assert (batch.name, batch.kind) == ("process work", SpanKind.CONSUMER)
    assert (batch.attributes or {})["messaging.batch.message_count"] == 3
    assert [link.context.span_id for link in batch.links] == [
        span.context.span_id for span in spans("publish work")
    ]


@pytest.mark.parametrize(
    "message",
    [
        SimpleNamespace(headers=TABLE),
        SimpleNamespace(properties={"application_headers": TABLE}),
        SimpleNamespace(header=SimpleNamespace(properties=SimpleNamespace(headers=TABLE))),
        (SimpleNamespace(delivery_tag=1), SimpleNamespace(headers=TABLE), b"body"),
    ],
    ids=["headers", "py-amqp", "aiormq", "pika"],
)
def test_each_client_s_messages_are_understood(message: Any, spans: Spans) -> None:
    with strayline.batch([message]):
        pass
    (batch,) = spans("process")
    (link,) = batch.links
    assert f"{link.context.span_id:016x}" == "b7ad6b7169203331"
    assert (link.attributes or {})["strayline.stamp"] == TABLE["x-strayline"]


def test_an_error_in_a_batch_is_told_and_raised_and_odd_messages_are_survived(spans: Spans) -> None:
    with pytest.raises(ValueError, match="broken"), strayline.batch([None, 7, object(), ()]):
        raise ValueError("broken")
    (batch,) = spans("process")
    assert batch.status.status_code is StatusCode.ERROR
    assert not batch.links


def test_an_iterator_is_left_to_the_application(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    messages = (SimpleNamespace(headers=TABLE) for _ in range(2))
    with strayline.batch(messages):
        assert len(list(messages)) == 2
    assert not spans("process")[0].links
    assert "give it a list" in caplog.text
