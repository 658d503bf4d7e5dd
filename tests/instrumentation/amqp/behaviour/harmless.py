"""Whatever comes in or goes wrong, the service goes on as if we were not there."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

import strayline
from strayline import guard
from strayline.amqp import Channel as OurChannel
from tests.instrumentation.amqp.behaviour.base import Behaviour, needs, told
from tests.instrumentation.amqp.client import Channel, Received
from tests.instrumentation.conftest import Spans

HOSTILE: dict[str, dict[str, Any]] = {
    "a long traceparent": {"traceparent": "x" * 50_000},
    "a wrong traceparent": {"traceparent": "00-" + "0" * 32 + "-" + "1" * 16 + "-01"},
    "numbers": {"traceparent": 7, "tracestate": 1, "baggage": 3, "x-strayline": 12},
    "lists": {"traceparent": ["a"], "tracestate": [1, 2], "baggage": [{}], "x-strayline": [1]},
    "tables": {"traceparent": {"a": {"b": [1, {"c": 2}]}}, "tracestate": {"k": "v"}},
    "deaths that are none": {"x-death": "no", "x-delivery-count": "many"},
    "deaths of wrong shape": {"x-death": [1, "two", {"queue": 5, "routing-keys": 3}]},
    "a long stamp": {"x-strayline": "1." + "9" * 10_000},
}


class Harmless(Behaviour):
    @pytest.mark.parametrize("kind", HOSTILE)
    def test_hostile_headers_are_survived(
        self, vhost: str, spans: Spans, uninstrumented: Any, kind: str
    ) -> None:
        seen: list[Any] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")
            with uninstrumented():
                await channel.publish(self.client.message(headers=HOSTILE[kind]), "", "work")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                seen.append(dict(message.headers))

            await channel.consume("work", handle)
            await channel.until(lambda: seen and spans("process work"))

        self.on_channel(vhost, work)
        assert seen == [HOSTILE[kind]]
        (process,) = spans("process work")
        assert (process.parent, list(process.links)) == (None, [])
        assert told(process, "stamp") is None
        assert told(process, "settlement") == "ack"

    @needs("get")
    def test_headers_of_ours_that_the_user_sends_are_replaced(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Channel) -> Any:
            await channel.declare_queue("work")
            copied = self.client.message(headers={"x-strayline": "copied", "traceparent": "old"})
            await channel.publish(copied, "", "work")
            return await channel.get("work", no_ack=True)

        got = self.on_channel(vhost, work)
        (publish,) = spans("publish work")
        assert got.headers["x-strayline"] == told(publish, "stamp")
        assert f"{publish.context.trace_id:032x}" in got.headers["traceparent"]

    @needs("get")
    def test_suppressed_instrumentation_leaves_no_trace(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Channel) -> Any:
            await channel.declare_queue("work")
            with suppress_instrumentation():
                await channel.publish(self.client.message(headers={"mine": 1}), "", "work")
                got = await channel.get("work")
                assert got is not None
                await channel.ack(got)
            return got

        got = self.on_channel(vhost, work)
        assert dict(got.headers) == {"mine": 1}
        assert not spans(messaging__system="rabbitmq")

    def test_an_error_of_ours_is_logged_once_and_the_service_goes_on(
        self,
        vhost: str,
        spans: Spans,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def fails(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("ours")

        for name in ("publishing", "received", "settle", "declared", "got", "begin_handling"):
            monkeypatch.setattr(OurChannel, name, fails)
        guard._said.clear()
        seen: list[bytes] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                seen.append(message.body)

            await channel.consume("work", handle)
            for number in range(3):
                await channel.publish(self.client.message(b"%d" % number), "", "work")
            await channel.until(lambda: len(seen) == 3)

        with caplog.at_level(logging.WARNING, "strayline"):
            self.on_channel(vhost, work)
        assert sorted(seen) == [b"0", b"1", b"2"]
        said = [
            record.args[0]
            for record in caplog.records
            if record.name == "strayline" and record.args
        ]  # type: ignore[index]
        assert said
        assert len(said) == len(set(said))
        assert not spans(messaging__system="rabbitmq")

    def test_uninstrumented_functions_are_the_original_objects_again(self, spans: Spans) -> None:
        strayline.uninstrument()
        originals = [dict(vars(owner)) for owner in self.client.owners()]
        strayline.instrument()
        changed = [dict(vars(owner)) for owner in self.client.owners()]
        strayline.uninstrument()
        restored = [dict(vars(owner)) for owner in self.client.owners()]
        assert changed != originals
        for before, after in zip(originals, restored, strict=True):
            assert before.keys() == after.keys()
            assert [name for name in before if before[name] is not after[name]] == []

    @needs("get")
    def test_uninstrumented_nothing_is_touched(self, vhost: str, spans: Spans) -> None:
        strayline.uninstrument()

        async def work(channel: Channel) -> Any:
            await channel.declare_queue("work")
            await channel.publish(self.client.message(), "", "work")
            got = await channel.get("work")
            assert got is not None
            await channel.ack(got)
            return got

        assert not self.on_channel(vhost, work).headers
        assert not spans(messaging__system="rabbitmq")
        assert not spans("strayline.topology")

    def test_switched_off_and_on_amid_a_connection_the_service_goes_on(
        self, vhost: str, spans: Spans, uninstrumented: Any
    ) -> None:
        seen: list[bytes] = []

        async def work(channel: Channel) -> None:
            await channel.declare_queue("work")

            async def handle(message: Received) -> None:
                await channel.ack(message)
                seen.append(message.body)

            await channel.consume("work", handle)
            await channel.publish(self.client.message(b"0"), "", "work")
            with uninstrumented():
                await channel.publish(self.client.message(b"1"), "", "work")
                await channel.until(lambda: len(seen) == 2)
            await channel.publish(self.client.message(b"2"), "", "work")
            await channel.until(lambda: len(seen) == 3)

        self.on_channel(vhost, work)
        assert sorted(seen) == [b"0", b"1", b"2"]
        assert len(spans("publish work")) == 2
