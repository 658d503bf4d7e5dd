"""Bare aiormq: the suite, and what only it does."""

from __future__ import annotations

import aiormq
import pytest
from aiormq.abc import DeliveredMessage
from opentelemetry import trace

from tests.instrumentation.amqp.behaviour.base import told
from tests.instrumentation.amqp.client import Channel
from tests.instrumentation.amqp.drivers.aiormq import Aiormq, AiormqChannel
from tests.instrumentation.amqp.suite import AmqpSuite
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker


class TestAiormq(AmqpSuite):
    client = Aiormq()

    def test_a_message_that_aiormq_names_has_its_name_on_span_and_users_object(
        self, vhost: str, spans: Spans
    ) -> None:
        properties = aiormq.spec.Basic.Properties(headers={"mine": 1})

        async def work(channel: Channel) -> None:
            await channel.publish((b"x", properties), "", "work")

        self.on_channel(vhost, work)
        (publish,) = spans("publish work")
        assert properties.message_id
        assert told(publish, "messaging.message.id") == properties.message_id
        assert properties.headers == {"mine": 1}

    def test_a_publish_without_properties_is_stamped(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> dict[str, object]:
            assert isinstance(channel, AiormqChannel)
            await channel.declare_queue("work")
            await channel.raw.basic_publish(b"x", routing_key="work")
            got = await channel.get("work", no_ack=True)
            assert got is not None
            return dict(got.headers)

        headers = self.on_channel(vhost, work)
        assert headers["x-strayline"] == told(spans("publish work")[0], "stamp")

    def test_recover_gives_everything_unsettled_back(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            assert isinstance(channel, AiormqChannel)
            await channel.declare_queue("work")
            for _ in range(2):
                await channel.publish(self.client.message(), "", "work")
                assert await channel.get("work") is not None
            await channel.raw.basic_recover(requeue=True)
            await channel.until(lambda: spans("nack work"))

        self.on_channel(vhost, work)
        (recovered,) = spans("nack work")
        assert told(recovered, "settlement") == "nack_requeue"
        assert len(recovered.links) == 2

    def test_a_plain_function_may_be_the_callback(self, vhost: str, spans: Spans) -> None:
        inside: list[int] = []

        def handle(message: DeliveredMessage) -> None:
            inside.append(trace.get_current_span().get_span_context().span_id)

        async def work(channel: Channel) -> None:
            assert isinstance(channel, AiormqChannel)
            await channel.declare_queue("work")
            await channel.raw.basic_consume("work", handle, no_ack=True)  # type: ignore[arg-type]
            await channel.publish(self.client.message(), "", "work")
            await channel.until(lambda: spans("process work"))

        self.on_channel(vhost, work)
        assert inside == [spans("process work")[0].context.span_id]

    def test_a_queue_named_by_nothing_is_the_channels_last(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            assert isinstance(channel, AiormqChannel)
            await channel.declare_queue("work")
            await channel.publish(self.client.message(), "", "work")
            got = await channel.get("", no_ack=True)
            assert got is not None

        self.on_channel(vhost, work)
        assert told(spans("get work")[0], "queue") == "work"

    def test_an_ack_that_cannot_be_sent_settles_nothing(self, vhost: str, spans: Spans) -> None:
        refused: list[Exception] = []

        async def work(channel: Channel) -> None:
            assert isinstance(channel, AiormqChannel)
            await channel.declare_queue("work")
            raw = channel.raw

            async def handle(message: DeliveredMessage) -> None:
                raw.connection.server_properties["capabilities"]["basic.nack"] = False
                try:
                    await raw.basic_nack(message.delivery_tag or 0)
                except Exception as error:
                    refused.append(error)

            await raw.basic_consume("work", handle)
            await channel.publish(self.client.message(), "", "work")
            await channel.until(lambda: spans("process work"))

        # a broker that knows no nack: aiormq refuses to send one
        self.on_channel(vhost, work)
        assert len(refused) == 1
        assert told(spans("process work")[0], "settlement") == "none"
