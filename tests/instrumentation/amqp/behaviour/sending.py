"""Publishing: the span, the headers that go out, the numbers."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

import strayline
from strayline.conventions import STAMP_HEADER
from strayline.stamp import Stamp, parse
from tests.instrumentation.amqp.behaviour.base import Behaviour, is_child_and_linked, needs, told
from tests.instrumentation.amqp.client import Channel, Received
from tests.instrumentation.conftest import Spans


def stamp_of(span: ReadableSpan) -> Stamp:
    """The stamp that a span tells."""
    found = parse(told(span, "stamp"))
    assert found is not None
    return found


class Sending(Behaviour):
    def test_a_handled_message_is_a_child_of_its_publish_with_every_fact(
        self, vhost: str, spans: Spans
    ) -> None:
        inside: list[Any] = []

        async def work(channel: Channel) -> None:
            await channel.declare_exchange("events", "topic")
            await channel.declare_queue("work")
            await channel.bind("work", "events", "order.*")

            async def handle(message: Received) -> None:
                current = trace.get_current_span().get_span_context()
                await channel.ack(message)
                inside.append((current, message.headers[STAMP_HEADER]))

            await channel.consume("work", handle)
            message = self.client.message(b"{}", message_id="m1", correlation_id="c1")
            await channel.publish(message, "events", "order.created")
            await channel.until(lambda: spans("process work"))

        self.on_channel(vhost, work)
        (publish,) = spans("publish events:order.created")
        (process,) = spans("process work")
        assert (publish.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
        assert is_child_and_linked(process, publish)
        assert inside[0][0].span_id == process.context.span_id
        assert told(process, "stamp") == inside[0][1] == told(publish, "stamp")
        for span in (publish, process):
            assert told(span, "exchange") == "events"
            assert told(span, "messaging.rabbitmq.destination.routing_key") == "order.created"
            assert told(span, "messaging.message.id") == "m1"
            assert told(span, "messaging.message.conversation_id") == "c1"
            assert told(span, "messaging.message.body.size") == 2
            assert told(span, "channel") == stamp_of(publish).channel
            assert told(span, "epoch") == stamp_of(publish).epoch
            assert told(span, "vhost") == vhost.rpartition("/")[2]
            assert told(span, "server.address")
            assert told(span, "server.port")
        assert told(publish, "broker") == told(process, "broker") != None  # noqa: E711
        assert told(publish, "messaging.destination.name") == "events:order.created"
        assert told(process, "messaging.destination.name") == "events:order.created:work"
        assert told(process, "queue") == "work"
        assert told(process, "messaging.rabbitmq.message.delivery_tag") == 1
        assert told(process, "consumer_tag")
        assert told(process, "redelivered") is False
        assert told(process, "settlement") == "ack"
        if "confirms" not in self.client.lacks:
            assert told(publish, "outcome") == "confirmed"
        times = (
            told(process, "received_unix_nano"),
            process.start_time,
            told(process, "settled_unix_nano"),
            process.end_time,
        )
        assert times == tuple(sorted(times))

    @needs("properties")
    def test_a_publish_tells_the_properties_that_matter(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            message = self.client.message(
                type="order", priority=3, expiration_ms=60_000, reply_to="answers",
                headers={"x-delay": 5},
            )  # fmt: skip
            await channel.publish(message, "", "work")

        self.on_channel(vhost, work)
        (publish,) = spans("publish work")
        facts = ("message_type", "priority", "expiration_ms", "reply_to", "delay_ms", "mandatory")
        assert [told(publish, fact) for fact in facts] == ["order", 3, 60_000, "answers", 5, False]

    def test_the_users_message_and_headers_stay_as_they_were(
        self, vhost: str, spans: Spans
    ) -> None:
        headers = {"mine": "untouched", "nested": {"deep": [1, 2]}}
        message = self.client.message(headers=headers)
        bare = self.client.message()
        before = self.client.contents(message), self.client.contents(bare)

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            for _ in range(2):
                await channel.publish(message, "", "work")
                await channel.publish(bare, "", "work")

        self.on_channel(vhost, work)
        assert (self.client.contents(message), self.client.contents(bare)) == before
        assert headers == {"mine": "untouched", "nested": {"deep": [1, 2]}}
        assert len(spans("publish work")) == 4

    @needs("get")
    def test_the_users_headers_arrive_beside_ours(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> Any:
            await channel.declare_queue("work")
            message = self.client.message(headers={"mine": "untouched", "nested": {"deep": [1]}})
            await channel.publish(message, "", "work")
            got = await channel.get("work", no_ack=True)
            assert got is not None
            return dict(got.headers)

        arrived = self.on_channel(vhost, work)
        (publish,) = spans("publish work")
        assert arrived.pop(STAMP_HEADER) == told(publish, "stamp")
        assert f"{publish.context.span_id:016x}" in arrived.pop("traceparent")
        assert arrived == {"mine": "untouched", "nested": {"deep": [1]}}

    def test_a_publish_inside_a_span_is_its_child(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            with trace.get_tracer("app").start_as_current_span("order placed"):
                await channel.publish(self.client.message(), "", "work")

        self.on_channel(vhost, work)
        (publish,), (around,) = spans("publish work"), spans("order placed")
        assert publish.parent is not None
        assert publish.parent.span_id == around.context.span_id

    def test_a_publish_inside_a_handler_is_a_child_of_the_handling(
        self, vhost: str, spans: Spans
    ) -> None:
        done: list[int] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("first")
            await channel.declare_queue("second")

            async def pass_on(message: Received) -> None:
                await channel.publish(self.client.message(), "", "second")
                await channel.ack(message)

            async def end(message: Received) -> None:
                await channel.ack(message)
                done.append(1)

            await channel.consume("first", pass_on)
            await channel.consume("second", end)
            await channel.publish(self.client.message(), "", "first")
            await channel.until(lambda: spans("process first") and spans("process second"))

        self.on_channel(vhost, work)
        (first,), (second,) = spans("process first"), spans("publish second")
        assert second.parent is not None
        assert second.parent.span_id == first.context.span_id
        (last,) = spans("process second")
        assert last.context.trace_id == spans("publish first")[0].context.trace_id

    def test_stamps_number_the_publishes_of_each_channel_object(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(connection: Any) -> None:
            confirms = "confirms" not in self.client.lacks
            one = await connection.channel(confirms=confirms)
            two = await connection.channel(confirms=confirms)
            for channel, key in ((one, "a"), (two, "b"), (one, "c"), (one, "d"), (two, "e")):
                await channel.publish(self.client.message(), "", key)

        self.client.run(vhost, work)
        stamps = {key: stamp_of(spans(f"publish {key}")[0]) for key in "abcde"}
        assert [stamps[key].n for key in "acd"] == [1, 2, 3]
        assert [stamps[key].n for key in "be"] == [1, 2]
        assert len({stamps[key].channel for key in "acd"}) == 1
        assert stamps["a"].channel != stamps["b"].channel == stamps["e"].channel

    def test_an_ordering_key_holds_for_its_block(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            with strayline.ordering_key("order-1"):
                await channel.publish(self.client.message(), "", "a")
                with strayline.ordering_key(2):
                    await channel.publish(self.client.message(), "", "b")
                await channel.publish(self.client.message(), "", "c")
            await channel.publish(self.client.message(), "", "d")

        self.on_channel(vhost, work)
        a, b, c, d = (stamp_of(spans(f"publish {key}")[0]) for key in "abcd")
        assert a.key is not None
        assert (a.key == c.key, a.key == b.key, d.key) == (True, False, None)
        assert a.k is not None
        assert c.k == a.k + 1
        assert told(spans("publish a")[0], "ordering_key") == a.key

    def test_an_ordering_rule_names_the_key_of_every_other_publish(
        self, vhost: str, spans: Spans
    ) -> None:
        asked: list[tuple[str, str]] = []

        def rule(exchange: str, routing_key: str, properties: Any) -> str | None:
            asked.append((exchange, routing_key))
            return "one" if routing_key.startswith("order") else None

        async def work(channel: Channel) -> None:
            for key in ("order.a", "other", "order.b"):
                await channel.publish(self.client.message(), "", key)

        strayline.instrument(ordering_key=rule)
        self.on_channel(vhost, work)
        keys = [stamp_of(spans(f"publish {key}")[0]).key for key in ("order.a", "other", "order.b")]
        assert asked == [("", "order.a"), ("", "other"), ("", "order.b")]
        assert keys[0] == keys[2] is not None
        assert keys[1] is None

    @needs("get")
    def test_an_excluded_exchange_is_not_stamped(
        self, vhost: str, spans: Spans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STRAYLINE_STAMP_EXCLUDE", "partners, other")
        strayline.instrument()

        async def work(channel: Channel) -> Any:
            await channel.declare_exchange("partners", "fanout")
            await channel.declare_queue("work")
            await channel.bind("work", "partners")
            copied = self.client.message(headers={STAMP_HEADER: "copied"})
            await channel.publish(copied, "partners", "")
            return await channel.get("work", no_ack=True)

        try:
            got = self.on_channel(vhost, work)
        finally:
            monkeypatch.undo()
            strayline.instrument()
        assert STAMP_HEADER not in got.headers
        assert "traceparent" in got.headers
        assert told(spans("publish partners")[0], "stamp") is None

    @needs("get")
    def test_headers_near_the_frame_limit_go_out_as_they_were(
        self, vhost: str, spans: Spans
    ) -> None:
        big = {"big": "y" * 130_700}

        async def work(channel: Channel) -> Any:
            await channel.declare_queue("work")
            await channel.publish(self.client.message(headers=big), "", "work")
            return await channel.get("work", no_ack=True)

        assert dict(self.on_channel(vhost, work).headers) == big
        assert len(spans("publish work")) == 1

    @needs("direct_reply_to")
    def test_an_rpc_over_direct_reply_to_is_one_trace_without_errors(
        self, vhost: str, spans: Spans
    ) -> None:
        answered: list[bytes] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("rpc")

            async def answer(message: Received) -> None:
                reply = self.client.message(b"yes", correlation_id=message.correlation_id)
                await channel.publish(reply, "", message.reply_to or "")
                await channel.ack(message)

            async def on_reply(message: Received) -> None:
                answered.append(message.body)

            await channel.consume("rpc", answer)
            await channel.consume("amq.rabbitmq.reply-to", on_reply, no_ack=True)
            request = self.client.message(
                b"?", correlation_id="1", reply_to="amq.rabbitmq.reply-to"
            )
            await channel.publish(request, "", "rpc")
            await channel.until(lambda: len(spans(messaging__system="rabbitmq")) == 4)

        self.on_channel(vhost, work)
        assert answered == [b"yes"]
        (reply,) = spans("process amq.rabbitmq.reply-to")
        assert told(reply, "settlement") == "auto"
        messaging = [span for span in spans() if told(span, "messaging.system")]
        assert len(messaging) == 4
        assert len({span.context.trace_id for span in messaging}) == 1
        assert {span.status.status_code for span in messaging} == {trace.StatusCode.UNSET}
