"""py-amqp: the suite, and what is its own."""

from __future__ import annotations

import threading
from typing import Any

import amqp
import pytest
from amqp import spec
from opentelemetry.trace import StatusCode

from strayline.stamp import parse
from tests.instrumentation.amqp.behaviour.base import told
from tests.instrumentation.amqp.client import Channel
from tests.instrumentation.amqp.drivers.py_amqp import PyAmqp
from tests.instrumentation.amqp.suite import AmqpSuite
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker
CLIENT = PyAmqp()


class TestPyAmqp(AmqpSuite):
    client = CLIENT


def on_raw(url: str, work: Any, *, confirms: bool = True) -> None:
    """Runs ``work`` with a channel of the library itself."""

    async def with_channel(connection: Any) -> None:
        channel: Channel = await connection.channel(confirms=confirms)
        work(channel.raw)  # type: ignore[attr-defined]

    CLIENT.run(url, with_channel)


def of(span: Any) -> tuple[int, int]:
    stamp = parse(told(span, "stamp"))
    assert stamp is not None
    return stamp.channel, stamp.n


def test_what_a_consumer_publishes_amid_a_publish_is_numbered_as_it_is_written(
    vhost: str, spans: Spans
) -> None:
    order: list[bytes] = []

    def work(channel: Any) -> None:
        channel.queue_declare("in")
        channel.queue_declare("out")
        channel.basic_publish(amqp.Message(b"begin"), "", "in")
        nested = channel.basic_consume(
            "in",
            no_ack=True,
            callback=lambda _: channel.basic_publish(amqp.Message(b"inner"), "", "out"),
        )
        while channel.basic_get("out", no_ack=True) is None:
            # reads what has come in, and so calls the consumer, before it writes
            channel.basic_publish(amqp.Message(b"begin"), "", "in")
            channel.basic_publish(amqp.Message(b"outer"), "", "out")
        channel.basic_cancel(nested)
        while (message := channel.basic_get("out", no_ack=True)) is not None:
            order.append(message.headers["x-strayline"])

    on_raw(vhost, work, confirms=False)
    numbers = [stamp.n for stamp in map(parse, order) if stamp is not None]
    assert len(numbers) == len(order)
    assert numbers == sorted(numbers)


def test_a_confirm_that_does_not_come_in_time_leaves_the_outcome_unknown(
    vhost: str,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work(channel: Any) -> None:
        channel.queue_declare("work")
        channel.basic_publish(amqp.Message(b"0"), "", "work")
        drain = channel.connection.drain_events

        def late(timeout: float | None = None) -> Any:
            raise TimeoutError("no answer")

        monkeypatch.setattr(channel.connection, "drain_events", late)
        with pytest.raises(TimeoutError):
            channel.basic_publish(amqp.Message(b"1"), "", "work")
        monkeypatch.setattr(channel.connection, "drain_events", drain)
        channel.basic_publish(amqp.Message(b"2"), "", "work")
        while len(spans("publish work")) < 3:  # the call took the late confirm for its own
            channel.connection.drain_events(timeout=10)

    on_raw(vhost, work)
    outcomes = [(of(s)[1], told(s, "outcome")) for s in spans("publish work")]
    assert sorted(outcomes) == [(1, "confirmed"), (2, "unknown"), (3, "confirmed")]
    (unknown,) = (s for s in spans("publish work") if told(s, "outcome") == "unknown")
    assert unknown.status.status_code is StatusCode.ERROR
    assert told(unknown, "error.type") == "TimeoutError"
    assert not caplog.records  # its late confirm finds nothing to end once more


def test_a_return_that_is_raised_is_told_at_once(vhost: str, spans: Spans) -> None:
    def work(channel: Any) -> None:
        with pytest.raises(amqp.ChannelError):
            channel.basic_publish(amqp.Message(b"x"), "", "nowhere", mandatory=True)
        (publish,) = spans("publish nowhere")
        assert told(publish, "outcome") == "returned"

    on_raw(vhost, work)


def test_confirms_that_the_application_listens_for_are_told(vhost: str, spans: Spans) -> None:
    acked: list[int] = []

    def work(channel: Any) -> None:
        channel.queue_declare("work")
        channel.confirm_select()
        channel.events["basic_ack"].add(lambda tag, multiple: acked.append(tag))
        for number in range(20):
            channel.basic_publish(amqp.Message(b"%d" % number), "", "work")
        while len([s for s in spans("publish work") if told(s, "outcome")]) < 20:
            channel.connection.drain_events(timeout=5)

    on_raw(vhost, work, confirms=False)
    assert acked
    assert {told(span, "outcome") for span in spans("publish work")} == {"confirmed"}


def test_a_channel_that_the_broker_closed_begins_anew_under_another_number(
    vhost: str, spans: Spans
) -> None:
    def work(channel: Any) -> None:
        channel.queue_declare("work")
        channel.basic_publish(amqp.Message(b"x"), "", "work")
        with pytest.raises(amqp.NotFound):
            channel.queue_declare("no such queue", passive=True)
        channel.basic_publish(amqp.Message(b"x"), "", "work")  # py-amqp opened it again
        assert channel.basic_get("work", no_ack=True).delivery_tag == 1

    on_raw(vhost, work, confirms=False)
    first, second = spans("publish work")
    assert (of(first)[1], of(second)[1]) == (1, 1)
    assert of(first)[0] != of(second)[0]
    assert [told(s, "outcome") for s in (first, second)] == ["unconfirmed", "unconfirmed"]


def test_recovered_deliveries_are_requeued(vhost: str, spans: Spans) -> None:
    def work(channel: Any) -> None:
        channel.queue_declare("work")
        channel.basic_publish(amqp.Message(b"x"), "", "work")
        assert channel.basic_get("work") is not None
        channel.basic_recover(requeue=True)
        again = None
        while again is None:
            again = channel.basic_get("work")
        assert again.delivery_info["redelivered"]
        channel.basic_ack(again.delivery_tag)

    on_raw(vhost, work)
    first, second = spans("get work")
    settled = {
        link.context.span_id: told(span, "settlement")
        for span in spans(messaging__operation__type="settle")
        for link in span.links
    }
    assert settled == {first.context.span_id: "nack_requeue", second.context.span_id: "ack"}


def test_a_text_is_sent_as_the_library_would_send_it(vhost: str, spans: Spans) -> None:
    class Mine(amqp.Message):
        """A subclass that keeps something of its own."""

    message = Mine("é", application_headers={"a": 1})
    message.mine = "kept"  # type: ignore[attr-defined]
    got: list[Any] = []

    def work(channel: Any) -> None:
        channel.queue_declare("work")
        channel.basic_publish(message, "", "work")
        got.append(channel.basic_get("work", no_ack=True))

    on_raw(vhost, work)
    assert (got[0].body, got[0].properties["content_encoding"]) == ("é", "utf-8")
    assert got[0].headers["a"] == 1
    assert message.properties == {"application_headers": {"a": 1}}
    assert told(spans("publish work")[0], "messaging.message.body.size") == 2


def test_declares_that_wait_for_no_answer_are_reported(vhost: str, spans: Spans) -> None:
    def work(channel: Any) -> None:
        channel.exchange_declare("events", "fanout", nowait=True)
        channel.queue_declare("work", nowait=True)
        channel.queue_bind("work", "events", nowait=True)
        channel.queue_delete("work", nowait=True)

    on_raw(vhost, work)
    said = [str(told(span, "topology")) for span in spans("strayline.topology")]
    for number, name in enumerate(("events", "work", "events", "work")):
        assert f'"{name}"' in said[number]


def test_what_is_written_on_a_broken_connection_has_an_unknown_outcome(
    vhost: str, spans: Spans
) -> None:
    def work(channel: Any) -> None:
        def broken(*args: Any, **kwargs: Any) -> None:
            raise OSError("gone")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channel.connection, "_frame_writer", broken)
            with pytest.raises(OSError, match="gone"):
                channel.send_method(
                    spec.Basic.Publish, "Bssbb", (0, "", "work", False, False), amqp.Message(b"x")
                )

    on_raw(vhost, work)
    (publish,) = spans("publish work")
    assert told(publish, "outcome") == "unknown"
    assert told(publish, "error.type") == "OSError"


def test_threads_with_connections_of_their_own_keep_apart(vhost: str, spans: Spans) -> None:
    def work(channel: Any) -> None:
        channel.queue_declare("work", auto_delete=False)
        for number in range(50):
            channel.basic_publish(amqp.Message(b"%d" % number), "", "work")

    threads = [threading.Thread(target=on_raw, args=(vhost, work)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    by_channel: dict[int, list[int]] = {}
    for span in spans("publish work"):
        channel, n = of(span)
        by_channel.setdefault(channel, []).append(n)
    assert list(by_channel.values()) == [list(range(1, 51))] * 4
    assert {told(span, "outcome") for span in spans("publish work")} == {"confirmed"}
