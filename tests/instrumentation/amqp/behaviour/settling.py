"""Acks, nacks and rejects, inside the handling and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from tests.instrumentation.amqp.behaviour.base import Behaviour, needs, told
from tests.instrumentation.amqp.client import Channel, Received
from tests.instrumentation.conftest import Spans

Settle = Callable[[Channel, Received], Awaitable[None]]
SETTLEMENTS: dict[str, Settle] = {
    "ack": lambda channel, message: channel.ack(message),
    "nack_requeue": lambda channel, message: channel.nack(message, requeue=True),
    "nack_drop": lambda channel, message: channel.nack(message, requeue=False),
    "reject_requeue": lambda channel, message: channel.reject(message, requeue=True),
    "reject_drop": lambda channel, message: channel.reject(message, requeue=False),
}


class Settling(Behaviour):
    @pytest.mark.parametrize("settlement", SETTLEMENTS)
    def test_a_settlement_inside_the_handling_is_told_by_its_span(
        self, vhost: str, spans: Spans, settlement: str
    ) -> None:
        seen: list[bool] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                if seen:
                    await channel.ack(message)
                else:
                    await SETTLEMENTS[settlement](channel, message)
                seen.append(message.redelivered)

            await channel.consume("work", handle)
            await channel.publish(self.client.message(), "", "work")
            await channel.until(
                lambda: len(spans("process work")) == (2 if "requeue" in settlement else 1)
            )

        self.on_channel(vhost, work)
        handled = sorted(spans("process work"), key=lambda span: span.start_time or 0)
        if "requeue" in settlement:
            facts = [(told(s, "redelivered"), told(s, "settlement")) for s in handled]
            assert facts == [(False, settlement), (True, "ack")]
        else:
            assert [told(s, "settlement") for s in handled] == [settlement]
        assert not spans(messaging__operation__type="settle")

    @needs("get", "settle_late")
    @pytest.mark.parametrize("settlement", SETTLEMENTS)
    def test_a_later_settlement_is_a_span_of_its_own(
        self, vhost: str, spans: Spans, settlement: str
    ) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            await channel.publish(self.client.message(), "", "work")
            got = await channel.get("work")
            assert got is not None
            await SETTLEMENTS[settlement](channel, got)

        self.on_channel(vhost, work)
        (got,) = spans("get work")
        (settled,) = spans(f"{settlement.partition('_')[0]} work")
        assert settled.kind is SpanKind.CLIENT
        assert [link.context.span_id for link in settled.links] == [got.context.span_id]
        assert told(settled, "settlement") == settlement
        assert told(settled, "queue") == "work"
        assert told(settled, "messaging.rabbitmq.message.delivery_tag") == 1
        assert told(got, "settlement") is None

    @needs("settle_late", "multiple")
    @pytest.mark.parametrize("everything", [False, True], ids=["up to a tag", "tag 0"])
    def test_settling_several_at_once_settles_each(
        self, vhost: str, spans: Spans, everything: bool
    ) -> None:
        seen: list[Received] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                seen.append(message)

            await channel.consume("work", handle)
            for _ in range(4):
                await channel.publish(self.client.message(), "", "work")
            await channel.until(lambda: len(spans("process work")) == 4)
            if everything:
                await channel.ack_all()
            else:
                seen.sort(key=lambda message: message.delivery_tag)  # handlers are tasks
                await channel.ack(seen[2], multiple=True)
                await channel.nack(seen[3], requeue=False)

        self.on_channel(vhost, work)
        by_tag = {
            told(span, "messaging.rabbitmq.message.delivery_tag"): span.context.span_id
            for span in spans("process work")
        }
        (settled,) = spans("ack work")
        wanted = (1, 2, 3, 4) if everything else (1, 2, 3)
        assert {link.context.span_id for link in settled.links} == {by_tag[tag] for tag in wanted}
        if not everything:
            (dropped,) = spans("nack work")
            assert [link.context.span_id for link in dropped.links] == [by_tag[4]]

    def test_a_message_taken_without_acks_is_settled_by_itself(
        self, vhost: str, spans: Spans
    ) -> None:
        seen: list[int] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                seen.append(1)

            await channel.consume("work", handle, no_ack=True)
            await channel.publish(self.client.message(), "", "work")
            await channel.until(lambda: spans("process work"))

        self.on_channel(vhost, work)
        (process,) = spans("process work")
        assert told(process, "settlement") == "auto"
        assert told(process, "settled_unix_nano") == told(process, "received_unix_nano")

    @needs("settle_late")
    def test_what_is_never_settled_is_told_as_such(self, vhost: str, spans: Spans) -> None:
        seen: list[Any] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                seen.append(message)

            await channel.consume("work", handle)
            await channel.publish(self.client.message(), "", "work")
            await channel.until(lambda: spans("process work"))

        self.on_channel(vhost, work)
        (process,) = spans("process work")
        assert told(process, "settlement") is None
        assert not spans(messaging__operation__type="settle")
