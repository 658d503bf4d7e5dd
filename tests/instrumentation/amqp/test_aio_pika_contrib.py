"""OpenTelemetry's own aio-pika instrumentation beside ours: its spans are kept and tell our facts,
and no message has two of a kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from opentelemetry import trace
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

import strayline
from tests.instrumentation.amqp.aio_pika_programs import on_channel, send
from tests.instrumentation.amqp.behaviour.base import told
from tests.instrumentation.amqp.drivers.aiormq import holds
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker
CONTRIB = "opentelemetry.instrumentation.aio_pika"


@pytest.fixture(params=["contrib first", "contrib last"])
def contrib(request: pytest.FixtureRequest, spans: Spans) -> Iterator[None]:
    """contrib's instrumentation, switched on before ours or after."""
    first = request.param == "contrib first"
    if first:
        strayline.uninstrument()
    AioPikaInstrumentor().instrument()
    if first:
        strayline.instrument()
    yield
    AioPikaInstrumentor().uninstrument()


def of_kind(spans: Spans, kind: SpanKind) -> list[Any]:
    return [span for span in spans() if span.kind is kind]


@pytest.mark.usefixtures("contrib")
def test_a_callbacks_message_has_one_publish_and_one_process_span(vhost: str, spans: Spans) -> None:
    inside: list[int] = []

    async def work(channel: Any) -> None:
        queue = await channel.declare_queue("work")

        async def handle(message: AbstractIncomingMessage) -> None:
            inside.append(trace.get_current_span().get_span_context().span_id)
            await message.ack()

        await queue.consume(handle)
        await send(channel, b"x")
        await holds(lambda: of_kind(spans, SpanKind.CONSUMER))

    on_channel(vhost, work)
    (publish,), (process,) = of_kind(spans, SpanKind.PRODUCER), of_kind(spans, SpanKind.CONSUMER)
    for span in (publish, process):
        assert span.instrumentation_scope.name == CONTRIB
        assert told(span, "stamp") == told(publish, "stamp") is not None
        assert told(span, "messaging.operation.name")
    assert told(publish, "outcome") == "confirmed"
    assert told(process, "queue") == "work"
    assert told(process, "settlement") == "ack"
    assert process.parent.span_id == publish.context.span_id
    assert inside == [process.context.span_id]


@pytest.mark.usefixtures("contrib")
def test_a_loops_message_is_handled_in_the_loop_alone(vhost: str, spans: Spans) -> None:
    """contrib takes the prefetching for the handling: there it is kept from making a span."""

    async def work(channel: Any) -> None:
        queue = await channel.declare_queue("work")
        await send(channel, b"1", b"2")
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    await send(channel, b"x", key="onward")
                if message.body == b"2":
                    break

    on_channel(vhost, work)
    handled = of_kind(spans, SpanKind.CONSUMER)
    assert [told(span, "settlement") for span in handled] == ["ack", "ack"]
    assert [told(span, "messaging.operation.type") for span in handled] == ["process"] * 2
    published = of_kind(spans, SpanKind.PRODUCER)
    assert {span.instrumentation_scope.name for span in published} == {CONTRIB}
    by_id = {span.context.span_id: span for span in published}
    for span in handled:
        assert told(by_id[span.parent.span_id], "stamp") == told(span, "stamp")
    onward = [span for span in published if "onward" in span.name]
    assert {s.parent.span_id for s in onward} == {s.context.span_id for s in handled}


@pytest.mark.usefixtures("contrib")
def test_two_publishes_of_one_span_are_two_spans(vhost: str, spans: Spans) -> None:
    """What publishes again while contrib's span is current is a message of its own."""

    async def work(channel: Any) -> None:
        await channel.declare_queue("work")
        under = await channel.get_underlay_channel()
        original = under.basic_publish

        async def twice(body: bytes, **kwargs: Any) -> Any:
            await original(body, **kwargs)
            return await original(body, **kwargs)

        under.basic_publish = twice
        await send(channel, b"x")

    on_channel(vhost, work)
    stamps = [told(span, "stamp") for span in of_kind(spans, SpanKind.PRODUCER)]
    assert len(set(stamps)) == 2


@pytest.mark.usefixtures("contrib")
def test_without_ours_contrib_is_as_before(vhost: str, spans: Spans) -> None:
    strayline.uninstrument()

    async def work(channel: Any) -> None:
        queue = await channel.declare_queue("work")
        message = aio_pika.Message(b"x")
        await channel.default_exchange.publish(message, "work")
        got = await queue.get(no_ack=True)
        assert set(got.headers) == {"traceparent"}

    on_channel(vhost, work)
    (publish,) = of_kind(spans, SpanKind.PRODUCER)
    assert told(publish, "stamp") is None


def test_where_contrib_traces_to_a_provider_of_its_own_our_facts_are_told_all_the_same(
    vhost: str, spans: Spans
) -> None:
    async def work(channel: Any) -> None:
        queue = await channel.declare_queue("work")

        async def handle(message: AbstractIncomingMessage) -> None:
            await message.ack()

        await queue.consume(handle)
        await send(channel, b"x")
        await holds(lambda: spans("process work"))

    AioPikaInstrumentor().instrument(tracer_provider=TracerProvider(shutdown_on_exit=False))
    try:
        on_channel(vhost, work)
    finally:
        AioPikaInstrumentor().uninstrument()
    (process,) = spans("process work")
    assert told(process, "settlement") == "ack"
    assert told(process, "stamp") is not None
