"""aio-pika on a real broker: every way to publish, receive and settle."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import strayline
from strayline.conventions import STAMP_HEADER
from strayline.stamp import parse
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker


def on_channel(url: str, work: Callable[[AbstractRobustChannel], Awaitable[Any]]) -> Any:
    """Runs ``work`` with a channel of its own connection."""

    async def main() -> Any:
        connection = await aio_pika.connect_robust(url)
        async with connection:
            return await asyncio.wait_for(work(await connection.channel()), 20)

    return asyncio.run(main())


def test_a_handled_message_is_a_child_of_its_publish_with_every_fact(
    vhost: str, spans: Spans
) -> None:
    inside: list[Any] = []

    async def work(channel: AbstractRobustChannel) -> None:
        exchange = await channel.declare_exchange("events", "topic", durable=True)
        queue = await channel.declare_queue("work", durable=True)
        await queue.bind(exchange, "order.*")
        done = asyncio.Event()

        async def handle(message: AbstractIncomingMessage) -> None:
            inside.append(
                (trace.get_current_span().get_span_context(), message.headers[STAMP_HEADER])
            )
            await message.ack()
            done.set()

        await queue.consume(handle)
        headers = {"mine": "untouched"}
        with strayline.ordering_key("o-1"):
            message = aio_pika.Message(
                b"{}", message_id="m1", type="order", headers=headers, priority=3
            )
            await exchange.publish(message, "order.created")
        assert headers == {"mine": "untouched"}
        await done.wait()

    on_channel(vhost, work)
    (publish,) = spans("publish events:order.created")
    (process,) = spans("process work")
    sent, got = publish.attributes or {}, process.attributes or {}
    stamp = parse(sent["strayline.stamp"])
    assert stamp is not None
    assert (stamp.n, stamp.k) == (1, 1)
    assert got["strayline.stamp"] == inside[0][1] == sent["strayline.stamp"]
    assert (publish.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert process.parent is not None
    assert process.parent.span_id == publish.context.span_id
    assert [link.context.span_id for link in process.links] == [publish.context.span_id]
    assert inside[0][0].span_id == process.context.span_id
    assert sent["strayline.outcome"] == "confirmed"
    assert sent["strayline.message_type"] == "order"
    assert got["strayline.settlement"] == "ack"
    assert got["strayline.queue"] == "work"
    assert got["messaging.rabbitmq.message.delivery_tag"] == 1
    assert got["strayline.redelivered"] is False
    assert (
        got["strayline.received_unix_nano"]
        <= process.start_time
        <= got["strayline.settled_unix_nano"]
    )
    assert got["strayline.broker"] == sent["strayline.broker"] != ""


def test_an_iterator_is_handled_where_its_loop_is_and_not_when_prefetched(
    vhost: str, spans: Spans
) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("work")
        for number in range(3):
            await channel.default_exchange.publish(aio_pika.Message(b"%d" % number), "work")
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    assert trace.get_current_span().is_recording()
                    await asyncio.sleep(0.01)
                if message.body == b"2":
                    break
        assert not trace.get_current_span().is_recording()

    on_channel(vhost, work)
    handled = spans("process work")
    assert [(span.attributes or {})["strayline.settlement"] for span in handled] == ["ack"] * 3
    for before, after in itertools.pairwise(handled):
        assert before.end_time is not None
        assert after.start_time is not None
        assert before.end_time <= after.start_time


def test_get_is_a_receive_span_and_its_late_ack_a_settle_span(vhost: str, spans: Spans) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("work")
        await channel.default_exchange.publish(aio_pika.Message(b"x"), "work")
        message = await queue.get()
        await message.ack()
        assert await queue.get(fail=False) is None

    on_channel(vhost, work)
    (got,) = spans("get work")
    (settled,) = spans("ack work")
    assert got.kind is SpanKind.CLIENT
    assert [link.context.span_id for link in settled.links] == [got.context.span_id]
    assert (settled.attributes or {})["strayline.settlement"] == "ack"


def test_a_requeue_and_its_redelivery_are_told_apart(vhost: str, spans: Spans) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("work")
        done = asyncio.Event()

        async def handle(message: AbstractIncomingMessage) -> None:
            if message.redelivered:
                await message.ack()
                done.set()
            else:
                await message.nack(requeue=True)

        await queue.consume(handle)
        await channel.default_exchange.publish(aio_pika.Message(b"x"), "work")
        await done.wait()

    on_channel(vhost, work)
    told = [
        (
            (s.attributes or {})["strayline.redelivered"],
            (s.attributes or {})["strayline.settlement"],
        )
        for s in spans("process work")
    ]
    assert told == [(False, "nack_requeue"), (True, "ack")]


def test_acking_several_at_once_settles_each(vhost: str, spans: Spans) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("work")
        seen: list[AbstractIncomingMessage] = []
        done = asyncio.Event()

        async def handle(message: AbstractIncomingMessage) -> None:
            seen.append(message)
            if len(seen) == 3:
                done.set()

        await queue.consume(handle)
        for _ in range(3):
            await channel.default_exchange.publish(aio_pika.Message(b"x"), "work")
        await done.wait()
        await seen[-1].ack(multiple=True)

    on_channel(vhost, work)
    (settled,) = spans("ack work")
    assert {link.context.span_id for link in settled.links} == {
        span.context.span_id for span in spans("process work")
    }


def test_an_unroutable_publish_says_that_it_was_returned(vhost: str, spans: Spans) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        await channel.default_exchange.publish(aio_pika.Message(b"x"), "nowhere")

    on_channel(vhost, work)
    (publish,) = spans("publish nowhere")
    assert (publish.attributes or {})["strayline.outcome"] == "returned"
    assert publish.status.status_code is StatusCode.ERROR


def test_a_failing_handler_is_an_error_and_its_exception_reaches_the_client(
    vhost: str, spans: Spans
) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("work")
        await channel.default_exchange.publish(aio_pika.Message(b"x"), "work")

        async def consume() -> None:
            async with queue.iterator() as messages:
                async for message in messages:
                    async with message.process(requeue=False):
                        raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await consume()

    on_channel(vhost, work)
    (process,) = spans("process work")
    assert (process.attributes or {})["strayline.settlement"] == "reject_drop"


def test_hostile_headers_are_survived(vhost: str, spans: Spans) -> None:
    hostile: dict[str, Any] = {
        "traceparent": "x" * 50_000,
        "x-strayline": 12,
        "x-death": "no",
        "x-delivery-count": "many",
        "tracestate": [1, 2],
    }

    async def work(channel: AbstractRobustChannel) -> None:
        strayline.uninstrument()
        queue = await channel.declare_queue("work")
        await channel.default_exchange.publish(aio_pika.Message(b"x", headers=hostile), "work")
        strayline.instrument()
        async with queue.iterator() as messages:
            async for message in messages:
                await message.ack()
                break

    on_channel(vhost, work)
    (process,) = spans("process work")
    assert process.parent is None
    assert "strayline.stamp" not in (process.attributes or {})


def test_a_header_table_near_the_frame_limit_goes_out_as_it_was(vhost: str, spans: Spans) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("work")
        big = {"big": "y" * 130_700}
        await channel.default_exchange.publish(aio_pika.Message(b"x", headers=big), "work")
        message = await queue.get()
        assert dict(message.headers) == big
        await message.ack()

    on_channel(vhost, work)


def test_declares_and_binds_are_reported_once_the_broker_agreed(vhost: str, spans: Spans) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        exchange = await channel.declare_exchange("events", "topic", durable=True)
        queue = await channel.declare_queue("work", arguments={"x-max-priority": 5})
        await queue.bind(exchange, "a.*")
        await queue.unbind(exchange, "a.*")

    on_channel(vhost, work)
    items = [
        json.loads(str((span.attributes or {})["strayline.topology"]))["items"][0]
        for span in spans("strayline.topology")
    ]
    assert [(item["action"], item["kind"]) for item in items] == [
        ("declare", "exchange"),
        ("declare", "queue"),
        ("bind", "binding"),
        ("unbind", "binding"),
    ]
    assert items[1]["arguments"] == {"x-max-priority": 5}
    assert (items[2]["source_name"], items[2]["destination"], items[2]["routing_key"]) == (
        "events",
        "work",
        "a.*",
    )


def test_uninstrumented_nothing_is_touched(vhost: str, spans: Spans) -> None:
    strayline.uninstrument()

    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("work")
        await channel.default_exchange.publish(aio_pika.Message(b"x"), "work")
        message = await queue.get()
        assert not message.headers
        await message.ack()

    on_channel(vhost, work)
    # the census of channels used before is the last word
    assert {span.name for span in spans()} <= {"strayline.census"}


def test_an_rpc_over_direct_reply_to_is_no_error_though_the_broker_returns_the_reply(
    vhost: str, spans: Spans
) -> None:
    async def work(channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue("rpc")

        async def answer(message: AbstractIncomingMessage) -> None:
            async with message.process():
                reply = aio_pika.Message(b"yes", correlation_id=message.correlation_id)
                await channel.default_exchange.publish(reply, message.reply_to or "")

        await queue.consume(answer)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def on_reply(message: AbstractIncomingMessage) -> None:
            answered.set_result(message.body)

        replies = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await replies.consume(on_reply, no_ack=True)
        request = aio_pika.Message(b"?", correlation_id="1", reply_to="amq.rabbitmq.reply-to")
        await channel.default_exchange.publish(request, "rpc")
        assert await answered == b"yes"

    on_channel(vhost, work)
    assert not [span.name for span in spans() if span.status.status_code is StatusCode.ERROR]
    (reply,) = spans("process amq.rabbitmq.reply-to")
    assert (reply.attributes or {})["strayline.settlement"] == "auto"
    assert (
        len(
            {
                span.context.trace_id
                for span in spans()
                if "rpc" in span.name or "reply-to" in span.name
            }
        )
        == 1
    )


def test_an_excluded_exchange_is_not_stamped(
    vhost: str, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRAYLINE_STAMP_EXCLUDE", "partners, other")
    strayline.instrument()

    async def work(channel: AbstractRobustChannel) -> None:
        exchange = await channel.declare_exchange("partners", "fanout")
        queue = await channel.declare_queue("work")
        await queue.bind(exchange)
        await exchange.publish(aio_pika.Message(b"x", headers={STAMP_HEADER: "copied"}), "")
        message = await queue.get()
        assert STAMP_HEADER not in message.headers
        assert "traceparent" in message.headers
        await message.ack()

    on_channel(vhost, work)
    monkeypatch.undo()
    strayline.instrument()
