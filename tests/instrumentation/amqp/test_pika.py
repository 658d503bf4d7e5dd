"""pika: the suite on its blocking and asyncio adapters, and what is pika's own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pika
import pika.exceptions
import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

import strayline
from strayline.shims import pika_wire
from strayline.stamp import parse
from tests.instrumentation.amqp.behaviour.base import is_child_and_linked, told
from tests.instrumentation.amqp.behaviour.topology import reported
from tests.instrumentation.amqp.drivers.pika_asyncio import AsyncioPika
from tests.instrumentation.amqp.drivers.pika_blocking import BlockingPika
from tests.instrumentation.amqp.pika_programs import connected, filled, ready, selected, until
from tests.instrumentation.amqp.suite import AmqpSuite
from tests.instrumentation.conftest import Spans


class TestBlockingPika(AmqpSuite):
    client = BlockingPika()


class TestAsyncioPika(AmqpSuite):
    client = AsyncioPika()


@pytest.mark.broker
class TestHandling:
    def test_prefetched_messages_are_handled_one_after_the_other(
        self, vhost: str, spans: Spans
    ) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, b"0", b"1", b"2")
            seen: list[bytes] = []

            def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
                # its answer is waited for here, and other messages come in meanwhile
                channel.queue_declare("other")
                channel.basic_ack(method.delivery_tag)
                seen.append(body)

            channel.basic_consume("work", handle)
            until(connection, lambda: len(seen) == 3)
        handled = spans("process work")
        assert [told(span, "settlement") for span in handled] == ["ack"] * 3
        for before, after in itertools.pairwise(handled):
            assert (before.end_time or 0) <= (after.start_time or 0)
        assert told(handled[2], "received_unix_nano") < (handled[0].end_time or 0)

    def test_start_consuming_and_an_exclusive_consumer_that_cancels_itself(
        self, vhost: str, spans: Spans
    ) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, b"0", b"1")

            def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
                channel.basic_ack(method.delivery_tag)
                channel.stop_consuming()

            channel.basic_consume("work", handle, exclusive=True, consumer_tag="mine")
            channel.start_consuming()
            assert vars(channel._impl)[pika_wire.STATE].consumers == {}
            (_, _, body) = channel.basic_get("work", auto_ack=True)
            assert body == b"1"
        (process,) = spans("process work")
        assert (told(process, "consumer_tag"), told(process, "settlement")) == ("mine", "ack")
        (again,) = spans("get work")
        assert told(again, "redelivered") is True

    def test_a_consumer_that_the_broker_cancelled_is_forgotten(
        self, vhost: str, spans: Spans
    ) -> None:
        with connected(vhost) as connection:
            channel = filled(connection)
            channel.basic_consume("work", lambda *_: None)
            wire = vars(channel._impl)[pika_wire.STATE]
            assert len(wire.consumers) == 1
            channel.queue_delete("work")
            until(connection, lambda: not wire.consumers)

    def test_a_message_acked_from_another_thread_is_settled_later(
        self, vhost: str, spans: Spans
    ) -> None:
        with connected(vhost) as connection, ThreadPoolExecutor(1) as pool:
            channel = filled(connection, b"x")
            done: list[int] = []

            def work(tag: int) -> None:
                connection.add_callback_threadsafe(
                    lambda: (channel.basic_ack(tag), done.append(tag))
                )

            def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
                pool.submit(work, method.delivery_tag)

            channel.basic_consume("work", handle)
            until(connection, lambda: done)
        (process,), (settled,) = spans("process work"), spans("ack work")
        assert told(process, "settlement") is None
        assert [link.context.span_id for link in settled.links] == [process.context.span_id]

    def test_recover_gives_everything_unsettled_back(self, vhost: str, spans: Spans) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, b"0", b"1")
            for _ in range(2):
                channel.basic_get("work")
            channel.basic_recover(requeue=True)
            method, _, _ = channel.basic_get("work")
            assert method.redelivered
            channel.basic_ack(method.delivery_tag)
        (recovered,), (settled,) = spans("nack work"), spans("ack work")
        assert told(recovered, "settlement") == "nack_requeue"
        assert len(recovered.links) == 2
        assert len(settled.links) == 1

    def test_consumers_go_on_untraced_when_uninstrumented(self, vhost: str, spans: Spans) -> None:
        with connected(vhost) as connection:
            channel = filled(connection)
            seen: list[Any] = []

            def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
                seen.append(trace.get_current_span().get_span_context().is_valid)
                channel.basic_ack(method.delivery_tag)

            channel.basic_consume("work", handle)
            channel.basic_publish("", "work", b"x")
            until(connection, lambda: len(seen) == 1)
            strayline.uninstrument()
            channel.basic_publish("", "work", b"x")
            until(connection, lambda: len(seen) == 2)
        assert seen == [True, False]
        assert len(spans("process work")) == 1

    def test_each_thread_has_its_connection_and_its_numbers(self, vhost: str, spans: Spans) -> None:
        def work(number: int) -> None:
            with connected(vhost) as connection:
                channel = connection.channel()
                channel.queue_declare(f"q{number}")
                together.wait(10)
                for _ in range(50):
                    channel.basic_publish("", f"q{number}", b"x")
                for method, _, _ in channel.consume(f"q{number}"):
                    channel.basic_ack(method.delivery_tag)
                    if method.delivery_tag == 50:
                        break
                channel.cancel()

        together = threading.Barrier(3)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
        channels: set[int] = set()
        for number in range(3):
            published = spans(f"publish q{number}")
            stamps = [parse(told(span, "stamp")) for span in published]
            assert [stamp.n for stamp in stamps if stamp] == list(range(1, 51))
            channels |= {stamp.channel for stamp in stamps if stamp}
            handled = spans(f"process q{number}")
            assert len(handled) == 50
            assert all(map(is_child_and_linked, handled, published))
        assert len(channels) == 3


@pytest.mark.broker
class TestLoops:
    def test_nothing_is_handled_while_a_loop_waits(self, vhost: str, spans: Spans) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, b"x")
            current: list[bool] = []
            for method, _, _ in channel.consume("work", inactivity_timeout=0.05):
                current.append(trace.get_current_span().is_recording())
                if method is not None:
                    channel.basic_ack(method.delivery_tag)
                elif len(current) > 1:
                    break
            channel.cancel()
        assert current == [True, False]
        assert len(spans("process work")) == 1

    @pytest.mark.parametrize("kept", [False, True], ids=["dropped", "kept"])
    def test_leaving_a_loop_ends_the_handling_and_gives_the_rest_back(
        self, vhost: str, spans: Spans, kept: bool
    ) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, b"0", b"1", b"2")
            until(connection, lambda: ready(channel) == 3)
            messages = channel.consume("work") if kept else None
            for method, _, _ in messages or channel.consume("work"):
                until(connection, lambda: channel.get_waiting_message_count() == 2)
                channel.basic_ack(method.delivery_tag)
                break
            channel.cancel()
            assert not trace.get_current_span().is_recording()
            until(connection, lambda: ready(channel) == 2)
        (process,) = spans("process work")
        assert told(process, "settlement") == "ack"
        assert spans(messaging__operation__type="settle") == []

    def test_a_loop_resumed_handles_the_next_message(self, vhost: str, spans: Spans) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, b"0", b"1")
            first, second = channel.consume("work"), channel.consume("work")
            for loop in (first, second):
                method, _, _ = next(loop)
                assert trace.get_current_span().is_recording()
                channel.basic_ack(method.delivery_tag)
            channel.cancel()
        assert [told(span, "settlement") for span in spans("process work")] == ["ack", "ack"]
        assert not trace.get_current_span().is_recording()

    def test_an_error_in_the_body_leaves_the_loop_and_its_span(
        self, vhost: str, spans: Spans
    ) -> None:
        def loop(channel: Any) -> None:
            for _ in channel.consume("work"):
                raise ValueError("broken")

        with connected(vhost) as connection:
            channel = filled(connection, b"x")
            with pytest.raises(ValueError, match="broken"):
                loop(channel)
            assert not trace.get_current_span().is_recording()
        (process,) = spans("process work")
        assert told(process, "settlement") is None


@pytest.mark.broker
class TestOutcomes:
    def test_confirms_are_told_as_they_come_and_several_at_once(
        self, vhost: str, spans: Spans
    ) -> None:
        asked: list[Any] = []

        def begin(channel: Any, stop: Callable[[], None]) -> None:
            def confirmed(frame: Any) -> None:
                asked.append(frame.method.delivery_tag)
                if frame.method.delivery_tag == 6:
                    stop()

            def publish(frame: Any) -> None:
                channel.confirm_delivery(confirmed)
                unsendable = pika.BasicProperties(headers={"a": object()})
                # never sent, so never numbered by the broker
                with pytest.raises(pika.exceptions.UnsupportedAMQPFieldException):
                    channel.basic_publish("", "work", b"", unsendable)
                channel.basic_publish("", "nowhere", b"", mandatory=True)
                for body in (b"0", "1", b"2", b"3", b"4"):
                    channel.basic_publish(b"", b"work", body)

            channel.queue_declare("work", callback=publish)

        selected(vhost, begin)
        assert asked
        (broken, *published), (lost,) = spans("publish work"), spans("publish nowhere")
        assert [told(span, "outcome") for span in published] == ["confirmed"] * 5
        assert told(lost, "outcome") == "returned"
        assert told(broken, "outcome") == "unknown"
        assert told(broken, "error.type") == "UnsupportedAMQPFieldException"
        numbers = sorted(parse(told(span, "stamp")).n for span in published)  # type: ignore[union-attr]
        assert numbers == [3, 4, 5, 6, 7]

    def test_a_publish_that_the_broker_closes_the_channel_over_is_unknown(
        self, vhost: str, spans: Spans
    ) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, b"x", confirms=True)
            with pytest.raises(pika.exceptions.ChannelClosedByBroker):
                channel.basic_publish("missing", "key", b"x")
            again = filled(connection, b"x", confirms=True)
            again.close()
        (unknown,) = spans("publish missing:key")
        assert told(unknown, "outcome") == "unknown"
        first, second = spans("publish work")
        assert told(first, "channel") == told(unknown, "channel") != told(second, "channel")
        assert [parse(told(span, "stamp")).n for span in (first, unknown, second)] == [1, 2, 1]  # type: ignore[union-attr]

    def test_publishes_under_way_when_the_connection_is_lost_are_unknown(
        self, vhost: str, spans: Spans
    ) -> None:
        def begin(channel: Any, stop: Callable[[], None]) -> None:
            channel.confirm_delivery(lambda _: None)
            channel.basic_publish("", "work", b"x")
            channel.connection._terminate_stream(pika.exceptions.StreamLostError("cut"))

        selected(vhost, begin)
        (publish,) = spans("publish work")
        assert told(publish, "outcome") == "unknown"

    def test_a_return_without_confirms_reaches_the_users_callback_too(
        self, vhost: str, spans: Spans
    ) -> None:
        with connected(vhost) as connection:
            channel = connection.channel()
            returned: list[Any] = []
            channel.add_on_return_callback(lambda *told: returned.append(told[2].headers))
            channel.basic_publish("", "nowhere", b"x", mandatory=True)
            until(connection, lambda: returned)
        (publish,), (back,) = spans("publish nowhere"), spans("return nowhere")
        assert told(publish, "outcome") == "unconfirmed"
        assert told(back, "outcome") == "returned"
        assert [link.context.span_id for link in back.links] == [publish.context.span_id]
        assert returned[0]["x-strayline"] == told(publish, "stamp")

    def test_what_an_unroutable_publish_raises_is_the_users(self, vhost: str, spans: Spans) -> None:
        with connected(vhost) as connection:
            channel = filled(connection, confirms=True)
            properties = pika.BasicProperties(headers={"mine": 1})
            with pytest.raises(pika.exceptions.UnroutableError):
                channel.basic_publish("", "nowhere", "text", properties, mandatory=True)
        assert properties == pika.BasicProperties(headers={"mine": 1})
        (publish,) = spans("publish nowhere")
        assert told(publish, "outcome") == "returned"
        assert told(publish, "messaging.message.body.size") == 4
        assert publish.status.status_code is StatusCode.ERROR


@pytest.mark.broker
class TestTopology:
    def test_what_is_declared_without_an_answer_is_told_once_a_later_one_has_come(
        self, vhost: str, spans: Spans
    ) -> None:
        said: list[list[str]] = []

        def begin(channel: Any, stop: Callable[[], None]) -> None:
            channel.exchange_declare("events", "topic")
            channel.queue_declare("work")
            channel.queue_bind("", "events", "a.*")
            channel.queue_declare("")  # its name nobody will ever know
            said.append([item["kind"] for item in reported(spans)])
            channel.basic_qos(prefetch_count=1, callback=answered)

        def answered(frame: Any) -> None:
            said.append([item["kind"] for item in reported(spans)])
            frame_channel[0].connection.close()

        frame_channel: list[Any] = []

        def remember(channel: Any, stop: Callable[[], None]) -> None:
            frame_channel.append(channel)
            begin(channel, stop)

        selected(vhost, remember)
        assert said == [[], ["exchange", "queue", "binding"]]
        assert reported(spans)[2]["destination"] == "work"

    def test_what_the_broker_refused_without_an_answer_is_not_told(
        self, vhost: str, spans: Spans
    ) -> None:
        def begin(channel: Any, stop: Callable[[], None]) -> None:
            channel.add_on_close_callback(lambda *_: stop())
            channel.queue_declare("work")
            channel.queue_bind("work", "missing", "key")
            channel.basic_qos(prefetch_count=1, callback=lambda _: None)

        selected(vhost, begin)
        assert [item for item in reported(spans) if item["kind"] == "binding"] == []

    def test_a_channel_that_goes_on_publishing_had_its_declares_taken(
        self, vhost: str, spans: Spans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pika_wire, "CONSENT_S", 0.0)
        said: list[int] = []

        def begin(channel: Any, stop: Callable[[], None]) -> None:
            channel.queue_declare("work")
            channel.basic_publish("", "work", b"x")
            said.append(len(reported(spans)))
            stop()

        selected(vhost, begin)
        assert said == [1]

    def test_asking_whether_a_queue_is_there_is_a_check(self, vhost: str, spans: Spans) -> None:
        with connected(vhost) as connection:
            channel = filled(connection)
            channel.queue_declare("work", passive=True)
            with pytest.raises(pika.exceptions.ChannelClosedByBroker):
                channel.queue_declare("missing", passive=True)
        assert [(item["action"], item["name"]) for item in reported(spans)] == [
            ("declare", "work"),
            ("check", "work"),
        ]
