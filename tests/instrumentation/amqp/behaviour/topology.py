"""What a service declares, binds and deletes is reported once the broker agreed."""

from __future__ import annotations

import json
from typing import Any

from tests.instrumentation.amqp.behaviour.base import Behaviour, needs, told
from tests.instrumentation.amqp.client import Channel
from tests.instrumentation.conftest import Spans


def reported(spans: Spans) -> list[dict[str, Any]]:
    """Topology items in the order of their reports."""
    return [
        item
        for span in spans("strayline.topology")
        for item in json.loads(str(told(span, "topology")))["items"]
    ]


class Topology(Behaviour):
    @needs("topology")
    def test_declares_binds_and_deletes_are_reported(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_exchange("events", "topic", durable=True)
            await channel.declare_queue("work", durable=True, arguments={"x-max-priority": 5})
            await channel.bind("work", "events", "a.*")
            await channel.unbind("work", "events", "a.*")
            await channel.delete_queue("work")
            await channel.delete_exchange("events")

        self.on_channel(vhost, work)
        items = reported(spans)
        assert [(item["action"], item["kind"]) for item in items] == [
            ("declare", "exchange"),
            ("declare", "queue"),
            ("bind", "binding"),
            ("unbind", "binding"),
            ("delete", "queue"),
            ("delete", "exchange"),
        ]
        exchange, queue, bound, unbound, gone, gone_exchange = items
        assert (exchange["name"], exchange["type"], exchange["durable"]) == (
            "events", "topic", True,
        )  # fmt: skip
        assert (queue["name"], queue["arguments"]["x-max-priority"]) == ("work", 5)
        assert (queue["durable"], queue["exclusive"], queue["auto_delete"]) == (True, False, False)
        for item in (bound, unbound):
            assert item["source_name"] == "events"
            assert (item["destination"], item["destination_kind"]) == ("work", "queue")
            assert item["routing_key"] == "a.*"
        assert (gone["name"], gone_exchange["name"]) == ("work", "events")
        vhosts = {told(span, "vhost") for span in spans("strayline.topology")}
        assert vhosts == {vhost.rpartition("/")[2]}

    @needs("topology", "exchange_binds")
    def test_a_binding_of_exchanges_names_both(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> None:
            await channel.declare_exchange("inner", "fanout")
            await channel.declare_exchange("outer", "topic")
            await channel.bind_exchange("inner", "outer", "a")
            await channel.unbind_exchange("inner", "outer", "a")

        self.on_channel(vhost, work)
        for item in reported(spans)[2:]:
            assert (item["source_name"], item["destination"]) == ("outer", "inner")
            assert item["destination_kind"] == "exchange"
            assert item["routing_key"] == "a"

    @needs("topology")
    def test_a_queue_that_the_user_did_not_name_is_reported_by_its_name(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Channel) -> str:
            name = await channel.declare_queue(exclusive=True)
            await channel.bind(name, "amq.fanout")
            return name

        name = self.on_channel(vhost, work)
        queue, binding = reported(spans)
        assert name
        assert queue["name"] == binding["destination"] == name
        assert queue["exclusive"] is True

    @needs("topology")
    def test_a_declare_that_the_broker_refused_is_not_reported(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(connection: Any) -> None:
            confirms = "confirms" not in self.client.lacks
            channel = await connection.channel(confirms=confirms)
            await channel.declare_queue("work")
            channel = await connection.channel(confirms=confirms)
            try:
                await channel.declare_queue("work", durable=True)
            except Exception:  # each library has its own
                return
            raise AssertionError("the broker agreed")

        self.client.run(vhost, work)
        assert [item["name"] for item in reported(spans)] == ["work"]
