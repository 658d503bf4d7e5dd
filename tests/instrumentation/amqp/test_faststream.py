"""FastStream: the suite, and its own telemetry beside ours."""

from __future__ import annotations

import asyncio
from typing import Any

import aio_pika
import pytest
from faststream.rabbit import RabbitBroker
from faststream.rabbit.opentelemetry import RabbitTelemetryMiddleware
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.instrumentation.amqp.behaviour.base import told
from tests.instrumentation.amqp.client import Received
from tests.instrumentation.amqp.drivers.faststream import FastStream
from tests.instrumentation.amqp.suite import AmqpSuite
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker


class TestFastStream(AmqpSuite):
    client = FastStream()


@pytest.mark.parametrize("fails", [False, True])
def test_with_its_own_telemetry_a_message_has_one_publish_and_one_process_span(
    vhost: str, spans: Spans, fails: bool
) -> None:
    traced = FastStream([RabbitTelemetryMiddleware()])
    inside: list[int] = []

    async def work(connection: Any) -> None:
        channel = await connection.channel()
        await channel.declare_queue("work")

        async def handle(message: Received) -> None:
            inside.append(trace.get_current_span().get_span_context().span_id)
            await channel.ack(message)
            if fails:
                raise ValueError("broken")

        await channel.consume("work", handle)
        await channel.publish(traced.message(), "", "work")
        await channel.until(lambda: spans("default.work process"))

    traced.run(vhost, work)
    ours = [span for span in spans() if told(span, "stamp") is not None]
    assert [span.kind for span in ours] == [SpanKind.PRODUCER, SpanKind.CONSUMER]
    publish, process = ours
    assert publish.name == "default.work publish"
    assert process.name == "default.work process"
    assert told(publish, "stamp") == told(process, "stamp")
    assert told(publish, "outcome") == "confirmed"
    assert told(process, "settlement") == "ack"
    assert process.parent is not None
    assert process.parent.span_id == publish.context.span_id
    assert inside == [process.context.span_id]
    assert (process.status.status_code is StatusCode.ERROR) == fails


def test_with_its_own_telemetry_a_message_without_context_has_one_process_span(
    vhost: str, spans: Spans, uninstrumented: Any
) -> None:
    traced = FastStream([RabbitTelemetryMiddleware()])

    async def work(connection: Any) -> None:
        channel = await connection.channel()
        await channel.declare_queue("work")

        async def handle(message: Received) -> None:
            await channel.ack(message)

        await channel.consume("work", handle)
        with uninstrumented():
            await channel.raw.default_exchange.publish(aio_pika.Message(b"x"), "work")
        await channel.until(lambda: spans("default.work process"))

    traced.run(vhost, work)
    (process,) = [span for span in spans() if told(span, "queue") is not None]
    assert process.name == "default.work process"
    assert told(process, "settlement") == "ack"


def test_a_reply_is_published_within_the_handling(vhost: str, spans: Spans) -> None:
    async def main() -> Any:
        broker = RabbitBroker(vhost, logger=None)

        @broker.subscriber("rpc")
        async def answer(body: str) -> str:
            return body.upper()

        async with broker:
            await broker.start()
            response = await broker.request("quiet", "rpc", timeout=10)
            return await response.decode()

    assert asyncio.run(main()) == "QUIET"
    messaging = [span for span in spans() if told(span, "stamp") is not None]
    assert len(messaging) == 4
    assert len({span.context.trace_id for span in messaging}) == 1
