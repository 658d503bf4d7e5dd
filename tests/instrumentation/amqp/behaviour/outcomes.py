"""What became of a publish."""

from __future__ import annotations

from opentelemetry.trace import StatusCode

from tests.instrumentation.amqp.behaviour.base import Behaviour, needs, told
from tests.instrumentation.amqp.client import Channel, Received
from tests.instrumentation.conftest import Spans


class Outcomes(Behaviour):
    @needs("confirms")
    def test_a_publish_with_confirms_is_confirmed(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            for _ in range(3):
                await channel.publish(self.client.message(), "", "work", mandatory=True)

        self.on_channel(vhost, work, confirms=True)
        published = spans("publish work")
        assert [told(span, "outcome") for span in published] == ["confirmed"] * 3
        assert {span.status.status_code for span in published} == {StatusCode.UNSET}

    @needs("unconfirmed")
    def test_a_publish_without_confirms_is_unconfirmed(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            await channel.publish(self.client.message(), "", "work")

        self.on_channel(vhost, work, confirms=False)
        (publish,) = spans("publish work")
        assert told(publish, "outcome") == "unconfirmed"
        assert publish.status.status_code is StatusCode.UNSET

    @needs("confirms")
    def test_an_unroutable_mandatory_publish_is_returned(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.publish(self.client.message(), "", "nowhere", mandatory=True)
            await channel.publish(self.client.message(), "", "nobody-minds")

        self.on_channel(vhost, work, confirms=True)
        (publish,) = spans("publish nowhere")
        assert told(publish, "outcome") == "returned"
        assert told(publish, "mandatory") is True
        assert publish.status.status_code is StatusCode.ERROR
        assert told(publish, "error.type")
        (quiet,) = spans("publish nobody-minds")
        assert told(quiet, "outcome") == "confirmed"

    @needs("unconfirmed", "returns_unconfirmed")
    def test_an_unroutable_mandatory_publish_is_returned_without_confirms_too(
        self, vhost: str, spans: Spans
    ) -> None:
        def returned() -> bool:
            return any(told(span, "outcome") == "returned" for span in spans())

        async def work(channel: Channel) -> None:
            await channel.publish(self.client.message(), "", "nowhere", mandatory=True)
            await channel.until(returned)

        self.on_channel(vhost, work, confirms=False)
        stamps = {told(span, "stamp") for span in spans() if told(span, "outcome") == "returned"}
        assert stamps == {told(spans("publish nowhere")[0], "stamp")}

    @needs("confirms")
    def test_a_publish_that_a_full_queue_rejects_is_nacked(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
            await channel.declare_queue("full", arguments=limits)
            await channel.publish(self.client.message(), "", "full")
            await channel.publish(self.client.message(), "", "full")

        self.on_channel(vhost, work, confirms=True)
        first, second = spans("publish full")
        assert [told(span, "outcome") for span in (first, second)] == ["confirmed", "nacked"]
        assert second.status.status_code is StatusCode.ERROR
        assert told(second, "error.type")

    @needs("transactions", "unconfirmed")
    def test_publishes_of_a_transaction_are_committed_or_rolled_back(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            await channel.tx_select()
            await channel.publish(self.client.message(b"1"), "", "work")
            await channel.publish(self.client.message(b"2"), "", "work")
            assert spans("publish work") == []
            await channel.tx_commit()
            assert len(spans("publish work")) == 2
            await channel.publish(self.client.message(b"3"), "", "work")
            await channel.tx_rollback()

        self.on_channel(vhost, work, confirms=False)
        outcomes = [told(span, "outcome") for span in spans("publish work")]
        assert outcomes == ["committed", "committed", "rolled_back"]

    @needs("transactions", "unconfirmed")
    def test_a_channel_closed_within_a_transaction_has_rolled_it_back(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            await channel.tx_select()
            await channel.publish(self.client.message(), "", "work")
            await channel.close()

        self.on_channel(vhost, work, confirms=False)
        (publish,) = spans("publish work")
        assert told(publish, "outcome") == "rolled_back"

    @needs("transactions", "unconfirmed", "get", "settle_late")
    def test_acks_of_a_transaction_hold_once_it_is_committed(
        self, vhost: str, spans: Spans
    ) -> None:
        async def take(channel: Channel) -> Received:
            got = await channel.get("work")
            assert got is not None
            return got

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            await channel.publish(self.client.message(), "", "work")
            await channel.tx_select()
            await channel.ack(await take(channel))
            assert spans("ack work") == []
            await channel.tx_rollback()
            assert spans("ack work") == []

        self.on_channel(vhost, work, confirms=False)

        async def again(channel: Channel) -> None:
            await channel.tx_select()
            await channel.ack(await take(channel))
            await channel.tx_commit()

        self.on_channel(vhost, again, confirms=False)
        (settled,) = spans("ack work")
        assert told(settled, "settlement") == "ack"
