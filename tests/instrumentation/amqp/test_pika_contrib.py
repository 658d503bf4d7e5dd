"""pika with opentelemetry-instrumentation-pika on: one span a publish and one a handling, whoever came
first, with our facts on them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pika
import pika.exceptions
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.pika import PikaInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

import strayline
from tests.instrumentation.amqp.behaviour.base import told
from tests.instrumentation.amqp.drivers.pika_asyncio import AsyncioPika
from tests.instrumentation.amqp.pika_programs import connected, filled, until
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker

THEIRS = "opentelemetry.instrumentation.pika.pika_instrumentor"


@pytest.fixture(params=["ours first", "theirs first"])
def both(request: pytest.FixtureRequest, spans: Spans) -> Generator[Spans]:
    """Both instrumentations, in either order."""
    contrib = PikaInstrumentor()
    if request.param == "theirs first":
        strayline.uninstrument()
        contrib.instrument(publish_hook=hooked("published"), consume_hook=hooked("consumed"))
        strayline.instrument()
    else:
        contrib.instrument(publish_hook=hooked("published"), consume_hook=hooked("consumed"))
    yield spans
    contrib.uninstrument()


def hooked(name: str) -> Callable[[Any, bytes, Any], None]:
    """A hook of the user's, as contrib calls it."""
    return lambda span, body, properties: span.set_attribute("user", f"{name} {body.decode()}")


def of_kind(spans: Spans, kind: SpanKind) -> list[ReadableSpan]:
    return [span for span in spans() if span.kind is kind]


def is_theirs(span: ReadableSpan) -> bool:
    return span.instrumentation_scope is not None and span.instrumentation_scope.name == THEIRS


def assert_one_story(spans: Spans, *, process_is_theirs: bool) -> None:
    """One publish, one handling below it, both with our facts."""
    (publish,) = of_kind(spans, SpanKind.PRODUCER)
    (process,) = of_kind(spans, SpanKind.CONSUMER)
    assert is_theirs(publish)
    assert is_theirs(process) is process_is_theirs
    assert process.parent is not None
    assert process.parent.span_id == publish.context.span_id
    assert told(publish, "stamp") == told(process, "stamp") != None  # noqa: E711
    assert (told(publish, "exchange"), told(process, "queue")) == ("", "work")
    assert told(process, "settlement") == "ack"
    assert told(publish, "user") == "published x"
    if process_is_theirs or told(process, "user"):
        assert told(process, "user") == "consumed x"


def test_callbacks_of_a_blocking_channel(vhost: str, both: Spans) -> None:
    with connected(vhost) as connection:
        channel = filled(connection, b"x", confirms=True)
        current: list[int] = []

        def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            current.append(trace.get_current_span().get_span_context().span_id)
            channel.basic_ack(method.delivery_tag)

        channel.basic_consume("work", handle)
        until(connection, lambda: current)
        assert vars(channel._impl)["_strayline_channel"].deliveries == {}
    assert_one_story(both, process_is_theirs=True)
    assert told(of_kind(both, SpanKind.PRODUCER)[0], "outcome") == "confirmed"
    assert [of_kind(both, SpanKind.CONSUMER)[0].context.span_id] == current


def test_a_late_ack_is_linked_to_their_span(vhost: str, both: Spans) -> None:
    with connected(vhost) as connection:
        channel = filled(connection, b"x")
        tags: list[int] = []
        channel.basic_consume("work", lambda _, method, *__: tags.append(method.delivery_tag))
        until(connection, lambda: tags)
        channel.basic_ack(tags[0])
    (process,), (settled,) = of_kind(both, SpanKind.CONSUMER), both("ack work")
    assert [link.context.span_id for link in settled.links] == [process.context.span_id]


def test_a_handler_that_publishes_and_fails(vhost: str, both: Spans) -> None:
    with connected(vhost) as connection:
        channel = filled(connection, b"x")

        def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            channel.basic_publish("", "next", b"y")
            raise ValueError("broken")

        channel.basic_consume("work", handle)
        with pytest.raises(ValueError, match="broken"):
            until(connection, lambda: False)
    (process,) = of_kind(both, SpanKind.CONSUMER)
    _, onward = of_kind(both, SpanKind.PRODUCER)
    assert process.status.status_code is StatusCode.ERROR
    assert [event.name for event in process.events] == ["exception"]
    assert onward.parent is not None
    assert onward.parent.span_id == process.context.span_id


def test_a_span_around_all_consuming_is_no_messages_own(vhost: str, spans: Spans) -> None:
    task = trace.get_tracer("opentelemetry.instrumentation.celery").start_as_current_span(
        "run", kind=SpanKind.CONSUMER
    )
    with task, connected(vhost) as connection:
        channel = filled(connection, b"0", b"1")
        done: list[int] = []
        channel.basic_consume("work", lambda *_: done.append(1), auto_ack=True)
        until(connection, lambda: len(done) == 2)
    assert len(spans("process work")) == 2
    assert told(spans("run")[0], "queue") is None


def test_the_body_of_a_loop_is_inside_a_span_of_ours_and_their_hook_is_called(
    vhost: str, both: Spans
) -> None:
    with connected(vhost) as connection:
        channel = filled(connection, b"x")
        for method, _, _ in channel.consume("work"):
            assert trace.get_current_span().is_recording()
            channel.basic_ack(method.delivery_tag)
            break
        channel.cancel()
        assert not trace.get_current_span().is_recording()
    assert_one_story(both, process_is_theirs=False)
    assert told(of_kind(both, SpanKind.CONSUMER)[0], "user") == "consumed x"


def test_an_unroutable_publish_is_returned_on_their_span(vhost: str, both: Spans) -> None:
    with connected(vhost) as connection:
        channel = filled(connection, b"x", confirms=True)
        with pytest.raises(pika.exceptions.UnroutableError):
            channel.basic_publish("", "nowhere", b"x", mandatory=True)
        channel.basic_publish("", "work", b"x")
    outcomes = [told(span, "outcome") for span in of_kind(both, SpanKind.PRODUCER)]
    assert outcomes == ["confirmed", "returned", "confirmed"]


def test_an_asynchronous_channel(vhost: str, both: Spans, caplog: pytest.LogCaptureFixture) -> None:
    async def work(connection: Any) -> None:
        channel = await connection.channel(confirms=True)
        await channel.declare_queue("work")
        done: list[int] = []

        async def handle(message: Any) -> None:
            await channel.ack(message)
            done.append(1)

        await channel.consume("work", handle)
        await channel.publish(AsyncioPika().message(), "", "work")
        await channel.until(lambda: done)

    AsyncioPika().run(vhost, work)
    assert_one_story(both, process_is_theirs=False)
    ours_or_theirs = ("opentelemetry", "strayline")
    assert [record for record in caplog.records if record.name.startswith(ours_or_theirs)] == []


@pytest.mark.parametrize("ours_after", [False, True])
def test_a_channel_that_was_instrumented_alone(vhost: str, spans: Spans, ours_after: bool) -> None:
    if ours_after:
        strayline.uninstrument()
    with connected(vhost) as connection:
        channel = connection.channel()
        channel.queue_declare("work")
        PikaInstrumentor.instrument_channel(
            channel, publish_hook=hooked("published"), consume_hook=hooked("consumed")
        )
        strayline.instrument()
        done: list[int] = []

        def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            channel.basic_ack(method.delivery_tag)
            done.append(1)

        channel.basic_consume("work", handle)
        channel.basic_publish("", "work", b"x")
        until(connection, lambda: done)
    assert_one_story(spans, process_is_theirs=True)


def test_either_can_be_switched_off_and_the_other_stays(vhost: str, spans: Spans) -> None:
    strayline.uninstrument()
    untouched = [dict(vars(owner)) for owner in (BlockingConnection, BlockingChannel)]
    contrib = PikaInstrumentor()
    contrib.instrument()
    strayline.instrument()
    strayline.uninstrument()
    with connected(vhost) as connection:
        filled(connection, b"x")
    assert all(map(is_theirs, of_kind(spans, SpanKind.PRODUCER)))
    assert of_kind(spans, SpanKind.PRODUCER)
    strayline.instrument()
    contrib.uninstrument()
    with connected(vhost) as connection:
        filled(connection, b"x")
    assert len(spans("publish work")) == 1
    strayline.uninstrument()
    assert [dict(vars(owner)) for owner in (BlockingConnection, BlockingChannel)] == untouched


def test_what_was_taken_from_contrib_is_given_back(vhost: str, spans: Spans) -> None:
    contrib = PikaInstrumentor()
    contrib.instrument()
    try:
        with connected(vhost) as connection:
            channel = connection.channel()
            wrapped = vars(channel._impl).get("basic_publish")
            channel.queue_declare("work")
            channel.basic_publish("", "work", b"x")
            assert "basic_publish" not in vars(channel._impl)
            strayline.uninstrument()
            given_back = vars(channel._impl).get("basic_publish")
            assert given_back is not None
            assert is_contribs(given_back)
            assert wrapped in (None, given_back)
    finally:
        contrib.uninstrument()


def is_contribs(function: Any) -> bool:
    return str(function.__module__).startswith("opentelemetry.instrumentation.pika")
