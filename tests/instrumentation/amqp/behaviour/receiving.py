"""Receiving and handling."""

from __future__ import annotations

import itertools
from contextlib import aclosing
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.instrumentation.amqp.behaviour.base import Behaviour, is_child_and_linked, needs, told
from tests.instrumentation.amqp.client import Channel, Received
from tests.instrumentation.conftest import Spans


class Receiving(Behaviour):
    @needs("get")
    def test_a_get_is_a_receive_span_linked_to_its_publish(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            await channel.publish(self.client.message(), "", "work")
            got = await channel.get("work")
            assert got is not None
            assert not trace.get_current_span().is_recording()
            await channel.ack(got)
            assert await channel.get("work") is None

        self.on_channel(vhost, work)
        (publish,), (got,) = spans("publish work"), spans("get work")
        assert got.kind is SpanKind.CLIENT
        assert [link.context.span_id for link in got.links] == [publish.context.span_id]
        assert told(got, "queue") == "work"
        assert told(got, "stamp") == told(publish, "stamp")
        assert told(got, "messaging.rabbitmq.message.delivery_tag") == 1
        assert got.start_time is not None
        assert got.start_time <= told(got, "received_unix_nano")

    @needs("iterator")
    def test_a_loop_is_handled_where_its_body_is_and_not_when_prefetched(
        self, vhost: str, spans: Spans
    ) -> None:
        inside: list[int] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            for number in range(3):
                await channel.publish(self.client.message(b"%d" % number), "", "work")
            async with aclosing(channel.iterate("work")) as messages:  # type: ignore[type-var]
                async for message in messages:
                    inside.append(trace.get_current_span().get_span_context().span_id)
                    await channel.ack(message)
                    if message.body == b"2":
                        break
            assert not trace.get_current_span().is_recording()

        self.on_channel(vhost, work)
        handled = spans("process work")
        assert [told(span, "settlement") for span in handled] == ["ack"] * 3
        assert [span.context.span_id for span in handled] == inside
        published = {told(span, "stamp"): span for span in spans("publish work")}
        assert all(is_child_and_linked(span, published[told(span, "stamp")]) for span in handled)
        for before, after in itertools.pairwise(handled):
            assert before.end_time is not None
            assert after.start_time is not None
            assert before.end_time <= after.start_time

    def test_messages_of_one_channel_are_tagged_in_their_order(
        self, vhost: str, spans: Spans
    ) -> None:
        seen: list[bytes] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                seen.append(message.body)

            await channel.consume("work", handle)
            for number in range(5):
                await channel.publish(self.client.message(b"%d" % number), "", "work")
            await channel.until(lambda: len(spans("process work")) == 5)

        self.on_channel(vhost, work)
        tags = [
            told(span, "messaging.rabbitmq.message.delivery_tag") for span in spans("process work")
        ]
        assert sorted(tags) == [1, 2, 3, 4, 5]
        assert sorted(seen) == [b"0", b"1", b"2", b"3", b"4"]

    def test_a_message_without_context_begins_a_trace(
        self, vhost: str, spans: Spans, uninstrumented: Any
    ) -> None:
        seen: list[int] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            with uninstrumented():
                await channel.publish(self.client.message(), "", "work")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                seen.append(1)

            await channel.consume("work", handle)
            await channel.until(lambda: spans("process work"))

        self.on_channel(vhost, work)
        (process,) = spans("process work")
        assert (process.parent, list(process.links)) == (None, [])
        assert told(process, "stamp") is None
        assert spans("publish work") == []

    @needs("get", "settle_late")
    def test_a_dead_lettered_message_tells_its_path(self, vhost: str, spans: Spans) -> None:
        seen: list[int] = []

        async def work(channel: Channel) -> None:
            onward = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
            await channel.declare_queue("work", arguments=onward)
            await channel.declare_queue("dead")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                seen.append(1)

            await channel.consume("dead", handle)
            await channel.publish(self.client.message(), "", "work")
            first = None
            while first is None:
                first = await channel.get("work")
            await channel.reject(first, requeue=False)
            await channel.until(lambda: spans("process dead"))

        self.on_channel(vhost, work)
        (publish,), (dead,) = spans("publish work"), spans("process dead")
        assert told(dead, "death") == ("work|rejected|1||work",)
        assert told(dead, "stamp") == told(publish, "stamp")
        assert is_child_and_linked(dead, publish)

    def test_a_quorum_queue_tells_how_often_it_delivered(self, vhost: str, spans: Spans) -> None:
        seen: list[bool] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work", durable=True, arguments={"x-queue-type": "quorum"})

            async def handle(message: Received) -> None:
                if len(seen) < 2:
                    await channel.nack(message, requeue=True)
                else:
                    await channel.ack(message)
                seen.append(message.redelivered)

            await channel.consume("work", handle)
            await channel.publish(self.client.message(), "", "work")
            await channel.until(lambda: len(spans("process work")) == 3)

        self.on_channel(vhost, work)
        handled = sorted(spans("process work"), key=lambda span: span.start_time or 0)
        assert [told(span, "delivery_count") or 0 for span in handled] == [0, 1, 2]
        assert [told(span, "redelivered") for span in handled] == seen == [False, True, True]

    def test_a_failing_handler_is_an_error(self, vhost: str, spans: Spans) -> None:
        broken = ValueError("broken")

        async def work(connection: Any) -> list[BaseException]:
            channel = await connection.channel(confirms="confirms" not in self.client.lacks)
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                raise broken

            await channel.consume("work", handle)
            await channel.publish(self.client.message(), "", "work")
            await channel.until(lambda: spans("process work"))
            if "handler_errors" not in self.client.lacks:
                await channel.until(lambda: connection.failures)
            return connection.failures

        failures = self.client.run(vhost, work)
        (process,) = spans("process work")
        assert process.status.status_code is StatusCode.ERROR
        assert told(process, "error.type") == "ValueError"
        (event,) = process.events
        assert event.name == "exception"
        assert (event.attributes or {})["exception.message"] == "broken"
        if "handler_errors" not in self.client.lacks:
            assert set(failures) == {broken}
